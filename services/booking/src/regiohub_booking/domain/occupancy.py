"""Which leaf resources a booking claims, when, and in which lane.

A core row takes every lane, so it clashes with all; a buffer row takes the booking's own lane, so buffers of two
bookings may share time, while a buffer and a foreign core may not::

    booking A   ......[core A][buf]
    booking B           [buf][core B]....     buffers overlap: allowed
    booking C         [core C]                core C meets core A and a buffer: refused
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from uuid import UUID

from regiohub_booking.domain.slot import Slot, subtract, union
from regiohub_shared.problem import Conflict


class LinesOverlap(Conflict):
    """Two lines of one request want the same place at the same time."""

    type, title = "lines-overlap", "Two lines of this booking overlap"


@dataclass(frozen=True, slots=True)
class Want:
    """One line's demand: its slot on every leaf of its resource, with the resource's buffers."""

    line_id: UUID
    leaves: tuple[UUID, ...]
    slot: Slot
    before: timedelta = timedelta()
    after: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Claim:
    """One row to insert."""

    leaf_id: UUID
    slot: Slot
    line_id: UUID
    is_core: bool


def _on_leaf(leaf: UUID, wants: Sequence[Want]) -> list[Claim]:
    """Return the cores on one leaf and the buffers around the union of touching cores, less the cores themselves."""
    ordered = sorted(wants, key=lambda want: want.slot)
    for one, other in pairwise(ordered):
        if one.slot.overlaps(other.slot):
            raise LinesOverlap(f"Two lines overlap from {other.slot.start.isoformat()}.", resource_id=str(leaf))
    cores = union(want.slot for want in ordered)
    widened = [_widen(core, ordered) for core in cores]
    buffers = subtract(widened, cores)
    claims = [Claim(leaf, want.slot, want.line_id, is_core=True) for want in ordered]
    claims += [Claim(leaf, buffer, _neighbour(buffer, ordered), is_core=False) for buffer in buffers]
    return claims


def _widen(core: Slot, wants: Sequence[Want]) -> Slot:
    first = next(want for want in wants if want.slot.start == core.start)
    last = next(want for want in wants if want.slot.end == core.end)
    return core.widened(first.before, last.after)


def _neighbour(buffer: Slot, wants: Sequence[Want]) -> UUID:
    """Return the line that the buffer leans on: the one that ends where it begins, else begins where it ends."""
    for want in wants:
        if want.slot.end == buffer.start or want.slot.start == buffer.end:
            return want.line_id
    return wants[0].line_id


def claims(wants: Iterable[Want]) -> list[Claim]:
    """Return all rows, sorted by (leaf, start), so that two transactions insert in the same order.

    Raises :class:`LinesOverlap` if the request contradicts itself, before anything is inserted.
    """
    by_leaf: dict[UUID, list[Want]] = {}
    for want in wants:
        for leaf in want.leaves:
            by_leaf.setdefault(leaf, []).append(want)
    rows = [claim for leaf, some in by_leaf.items() for claim in _on_leaf(leaf, some)]
    return sorted(rows, key=lambda claim: (claim.leaf_id, claim.slot.start))


def blocked(busy: Iterable[tuple[Slot, bool]], before: timedelta, after: timedelta) -> list[Slot]:
    """Return the times that a new core slot must avoid, given the rows of others as (slot, is_core).

    Any row blocks itself; a foreign core also keeps our buffers away: our ``after`` before it, our ``before`` after it.
    """
    return union(slot.widened(after, before) if is_core else slot for slot, is_core in busy)
