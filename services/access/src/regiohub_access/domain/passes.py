"""Who may fetch a pass, for which pieces, and what a further phone costs the oldest."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from regiohub_access.domain.keys import PASS_AHEAD
from regiohub_access.domain.windows import MAX_PASS, Window, pieces
from regiohub_shared.problem import Conflict, Forbidden, Malformed, NotFound, TooManyRequests

MAX_KEYS = 3
"""Phones that may hold a key to one grant at the same time."""
PROOF_LEEWAY = timedelta(seconds=60)
"""How far the phone's clock may be off when it asks for a pass (real time)."""
MAX_PASSES_PER_HOUR = 24
"""New passes of one grant: more only fill the readers' deny-lists."""


class GrantNotFound(NotFound):
    """No such grant, or another member's: both look the same."""

    type, title = "grant-not-found", "There is no such grant"


class GrantRevoked(Conflict):
    """The booking ended without use."""

    type, title = "grant-revoked", "This booking no longer opens a door"


class GrantEnded(Conflict):
    """The last window is over."""

    type, title = "grant-ended", "The time of this booking is over"


class NoDoors(Conflict):
    """Nobody has told access which doors lead to the booked rooms."""

    type, title = "no-doors", "No electronic door leads to this booking"


class PassTooEarly(Conflict):
    """Passes are signed at most 30 days ahead; ``available_at`` says from when."""

    type, title = "pass-too-early", "The pass for this booking is not available yet"


class KeyMalformed(Malformed):
    """Not a public P-256 key."""

    type, title = "key-malformed", "The key is not a public P-256 key"


class ProofRejected(Forbidden):
    """The signature does not prove that the caller holds the key, or its time is too far off."""

    type, title = "proof-rejected", "The proof of the key was not accepted"


class TooManyPasses(TooManyRequests):
    """One grant asked for new passes too often."""

    type, title = "too-many-passes", "Too many new passes for this booking"


def check_proof_time(ts: int, *, real_now: datetime) -> None:
    """Raise :class:`ProofRejected` with our time if ``ts`` (Unix seconds) is more than the leeway away from it."""
    if abs(real_now.timestamp() - ts) > PROOF_LEEWAY.total_seconds():
        detail = "The clock of this device is too far off."
        raise ProofRejected(detail, reason="clock", server_time=real_now.isoformat())


def pieces_to_issue(windows: Iterable[Window], *, now: datetime) -> tuple[Window, ...]:
    """Return what passes are due: the first piece that is not over, and those that begin within a day of it.

    Raises :class:`GrantEnded` if all is over, :class:`NoDoors` if no window has a door and :class:`PassTooEarly`
    more than ``PASS_AHEAD`` before the first one.
    """
    left = sorted((p for w in windows for p in pieces(w) if now < p.ends_at), key=lambda p: p.starts_at)
    if not left:
        raise GrantEnded
    usable = [piece for piece in left if piece.doors]
    if not usable:
        raise NoDoors
    available_at = usable[0].starts_at - PASS_AHEAD
    if now < available_at:
        raise PassTooEarly(available_at=available_at.isoformat())
    horizon = max(now, usable[0].starts_at) + MAX_PASS
    return tuple(piece for piece in usable if piece.starts_at < horizon)


def key_to_replace(holders: Sequence[bytes], newcomer: bytes) -> bytes | None:
    """Return the key that ``newcomer`` replaces; ``holders`` are live thumbprints, the oldest first."""
    if newcomer in holders or len(holders) < MAX_KEYS:
        return None
    return holders[0]


def check_pass_rate(issued_last_hour: int) -> None:
    """Raise :class:`TooManyPasses` (retry after ten minutes) above the hourly bound."""
    if issued_last_hour >= MAX_PASSES_PER_HOUR:
        raise TooManyPasses(retry_after_s=600)
