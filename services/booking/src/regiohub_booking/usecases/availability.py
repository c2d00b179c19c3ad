"""What is free: always read fresh, lapsed holds not counted, cost independent of the past."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from uuid import UUID

from regiohub_booking.domain.booking import Ask, Place
from regiohub_booking.domain.hours import day_slot, local_date, raster
from regiohub_booking.domain.occupancy import blocked
from regiohub_booking.domain.price import Quote, TotalNotPayable, check_total
from regiohub_booking.domain.rules import TooLong, TooShort
from regiohub_booking.domain.slot import Slot, subtract
from regiohub_booking.repo import occupancy, places
from regiohub_booking.repo.statement import On
from regiohub_shared.problem import Problem

_CHUNK = timedelta(days=14)
_REACH = timedelta(days=490)
"""How far the next free slot is looked for, whatever the horizon: anyone may ask, and each day costs time."""
_FIRST_DAYS = (1, 2, 14)
"""How many days of the calendar are looked at for the first free slot: most hubs have one today or tomorrow."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A free slot of a resource with its price."""

    place: Place
    slot: Slot
    quote: Quote


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a resource can be had for a slot; ``refusal`` is the reason if it cannot ("slot-taken" or a rule)."""

    place: Place
    offer: Offer | None
    refusal: str | None


@dataclass(frozen=True, slots=True)
class HubFree:
    """The first slot that a hub has, and all that can be had for it; no offers: nothing in the days looked at."""

    hub: str
    offers: tuple[Offer, ...]


def _free(place: Place, window: Slot, busy: dict[UUID, list[tuple[Slot, bool]]], now: datetime) -> list[Slot]:
    """Return where a core slot may lie inside ``window``: open, not taken, not in the past."""
    rows = [row for leaf in place.leaves for row in busy.get(leaf, ())]
    taken = blocked(rows, place.before, place.after)
    earliest = now - place.rules.step
    if earliest > window.start:
        if earliest >= window.end:
            return []
        # A slot has to start after ``earliest`` (exclusive); the raster makes a microsecond enough.
        window = Slot(earliest + timedelta(microseconds=1), window.end)
    inside = [
        Slot(max(o.start, window.start), min(o.end, window.end)) for o in place.openings(window) if o.overlaps(window)
    ]
    return subtract(inside, taken)


async def _busy(on: On, found: Sequence[Place], window: Slot, now: datetime) -> dict[UUID, list[tuple[Slot, bool]]]:
    """Return what lies in the window and, for buffers, just beside it."""
    before = max((place.before for place in found), default=timedelta())
    after = max((place.after for place in found), default=timedelta())
    leaves = {leaf for place in found for leaf in place.leaves}
    return await occupancy.list_busy(on, leaves, window.widened(before, after), now=now)


async def judge_slot(on: On, *, hub: str | None, slot: Slot, now: datetime) -> list[Verdict]:
    """Return every active resource of one hub (or of all) with its price for ``slot``, or why it cannot be had."""
    found = [
        place_ for row in await places.list_place_rows(on, hub=hub) if (place_ := places.place_from(row)).is_active
    ]
    refusals = {place.id: _refusal(place, slot, now) for place in found}
    # A slot that all rules refuse (a hundred years, say) is not even looked for.
    allowed = [place for place in found if refusals[place.id] is None]
    busy = await _busy(on, allowed, slot, now) if allowed else {}
    for place in allowed:
        refusals[place.id] = "slot-taken" if _is_taken(place, slot, busy) else None
    return [
        Verdict(place, None if (no := refusals[place.id]) else Offer(place, slot, place.quote(slot)), no)
        for place in found
    ]


def _refusal(place: Place, slot: Slot, now: datetime) -> str | None:
    try:
        place.check(slot, now)
        check_total(place.quote(slot).gross_cents)
    except Problem as refusal:
        return refusal.type
    return None


def _is_taken(place: Place, slot: Slot, busy: dict[UUID, list[tuple[Slot, bool]]]) -> bool:
    rows = [row for leaf in place.leaves for row in busy.get(leaf, ())]
    return any(taken.overlaps(slot) for taken in blocked(rows, place.before, place.after))


def _length(place: Place, minutes: int) -> timedelta:
    """Return the length on the raster; raises the named refusal for one that the resource does not offer."""
    if minutes < place.rules.shortest:
        raise TooShort(f"The shortest booking is {place.rules.shortest} minutes.", min_minutes=place.rules.shortest)
    length = _fitted(place, minutes)
    if minutes > place.rules.longest or not _is_offered(place, length):
        raise TooLong(f"The longest booking is {place.rules.longest} minutes.", max_minutes=place.rules.longest)
    return length


def _offers(place: Place, free: Iterable[Slot], length: timedelta, now: datetime) -> Iterator[Offer]:
    """Yield the bookable slots on the raster of each local day, in order; ``free`` is sorted and disjoint."""
    latest = now + timedelta(days=place.rules.horizon_days)
    for gap in free:
        # No start after this one fits, so a gap that is too short costs no walk over the raster, however long it is.
        last = min(gap.end, latest) - length
        if gap.start <= last:
            if not _is_payable(place, Slot(gap.start, gap.start + length)):
                return
            for start in _starts(place, gap.start, last):
                slot = Slot(start, start + length)
                yield Offer(place, slot, place.quote(slot))


async def free_slots(on: On, *, resource_id: UUID, day: date, minutes: int, now: datetime) -> list[Offer]:
    """Return all free slots of ``minutes`` that start on the local ``day``.

    Raises ``NotFound``, ``TooShort``, ``TooLong``.
    """
    place = (await places.get_places(on, [resource_id]))[resource_id]
    length = _length(place, minutes)
    whole = day_slot(day, place.zone)
    window = Slot(whole.start, whole.end + length)
    if not place.is_active or window.start > now + timedelta(days=place.rules.horizon_days):
        return []
    busy = await _busy(on, [place], window, now)
    offers = _offers(place, _free(place, window, busy, now), length, now)
    return [offer for offer in offers if offer.slot.start < whole.end]


async def next_free(
    on: On, *, resource_id: UUID, after: datetime, minutes: int, now: datetime, count: int = 3
) -> list[Offer]:
    """Return the next ``count`` free slots that start at or after ``after``, up to the horizon and within 490 days.

    Raises ``NotFound``, ``TooShort``, ``TooLong``.
    """
    place = (await places.get_places(on, [resource_id]))[resource_id]
    length = _length(place, minutes)
    offers: list[Offer] = []
    start = max(after, now - place.rules.step)
    last = min(now + timedelta(days=place.rules.horizon_days), start + _REACH)
    # Windows overlap by the length; as long as it, they look at no day more than twice.
    chunk = max(_CHUNK, length)
    while place.is_active and start < last and len(offers) < count:
        window = Slot(start, start + chunk + length)
        busy = await _busy(on, [place], window, now)
        end = start + chunk
        found = (
            offer for offer in _offers(place, _free(place, window, busy, now), length, now) if offer.slot.start < end
        )
        offers += islice(found, count - len(offers))
        start = end
    return offers


async def first_free(
    on: On, *, hub: str | None, kind: str | None, after: datetime, minutes: int, at_least: int, now: datetime
) -> list[HubFree]:
    """Return for each hub with such resources the first slot at or after ``after`` within two weeks.

    Both lengths are fitted to what a resource offers; a slot is shorter than ``minutes`` where a closing time or
    another booking cuts it, never shorter than ``at_least``.
    """
    rows = await places.list_place_rows(on, hub=hub)
    found = [places.place_from(row) for row in rows if row["is_active"] and kind in (None, row["kind"])]
    first: dict[str, tuple[Offer, ...]] = {place.hub: () for place in found}
    for days in _FIRST_DAYS:
        waiting = [place for place in found if not first[place.hub]]
        if not waiting:
            break
        for offer in await _first_offers(on, waiting, max(after, now), days, lengths=(minutes, at_least), now=now):
            first[offer.place.hub] = _better(first[offer.place.hub], offer)
    return [HubFree(slug, offers) for slug, offers in first.items()]


async def _first_offers(
    on: On, found: Sequence[Place], after: datetime, days: int, *, lengths: tuple[int, int], now: datetime
) -> list[Offer]:
    """Return the first offer of each resource that starts within so many days of the hub's calendar."""
    zone = found[0].zone
    end = day_slot(local_date(after, zone) + timedelta(days=days - 1), zone).end
    longest = max(_fitted(place, lengths[0]) for place in found)
    window = Slot(after, end + longest)
    busy = await _busy(on, found, window, now)
    fits = ((place, _first_fit(place, _free(place, window, busy, now), lengths, now)) for place in found)
    return [Offer(place, slot, place.quote(slot)) for place, slot in fits if slot and slot.start < end]


def _first_fit(place: Place, free: Iterable[Slot], lengths: tuple[int, int], now: datetime) -> Slot | None:
    """Return the first start on the raster with room enough; only the first start of a gap can have it."""
    wanted, shortest = (_fitted(place, minutes) for minutes in lengths)
    latest = now + timedelta(days=place.rules.horizon_days)
    for gap in free:
        start = next(_starts(place, gap.start, gap.end), None)
        room = min(gap.end, latest) - start if start else timedelta()
        length = min(wanted, room // place.rules.step * place.rules.step)
        slot = Slot(start, start + length) if start and length >= shortest and _is_offered(place, length) else None
        if slot and _is_payable(place, slot):
            return slot
    return None


def _starts(place: Place, first: datetime, last: datetime) -> Iterator[datetime]:
    """Yield the starts of the resource's raster from ``first`` to ``last``, day by day of its calendar."""
    day, end = local_date(first, place.zone), local_date(last, place.zone)
    while day <= end:
        yield from (s for s in raster(day, place.rules.granularity, place.zone) if first <= s <= last)
        day += timedelta(days=1)


def _fitted(place: Place, minutes: int) -> timedelta:
    """Return the nearest length on the raster that the resource offers, rather longer than shorter."""
    rules = place.rules
    steps = min(-(-max(minutes, rules.shortest) // rules.granularity), rules.longest // rules.granularity)
    return steps * rules.step


def _is_offered(place: Place, length: timedelta) -> bool:
    """Whether so short a slot can be booked; not in a room whose shortest and longest have no step between them."""
    return length >= timedelta(minutes=place.rules.shortest)


def _is_payable(place: Place, slot: Slot) -> bool:
    """Whether it is free or one payment can be of that size: prices from before the smallest payment may be lower."""
    try:
        check_total(place.quote(slot).gross_cents)
    except TotalNotPayable:
        return False
    return True


def _better(known: tuple[Offer, ...], offer: Offer) -> tuple[Offer, ...]:
    """Keep what starts first and, of that, what lasts longest; equals stand beside each other."""
    if not known:
        return (offer,)
    old, new = ((one.slot.start, -one.slot.duration) for one in (known[0], offer))
    return (*known, offer) if old == new else (offer,) if new < old else known


async def find_taken(on: On, asks: Sequence[Ask], *, now: datetime) -> int:
    """Return the number of the first line that someone else has; 0 if all are free by now."""
    found = await places.get_places(on, [ask.resource_id for ask in asks])
    for number, ask in enumerate(asks):
        place, slot = found[ask.resource_id], Slot(ask.start, ask.end)
        if _is_taken(place, slot, await _busy(on, [place], slot, now)):
            return number
    return 0


async def alternatives(on: On, *, resource_id: UUID, slot: Slot, now: datetime) -> tuple[list[Offer], list[Offer]]:
    """Return for a taken slot: the next free slots of the same resource, and what else is free in the hub then."""
    place = (await places.get_places(on, [resource_id]))[resource_id]
    minutes = int(slot.duration / timedelta(minutes=1))
    later = await next_free(on, resource_id=resource_id, after=slot.start, minutes=minutes, now=now)
    beside = [v.offer for v in await judge_slot(on, hub=place.hub, slot=slot, now=now) if v.offer]
    return later, [offer for offer in beside if offer.place.id != resource_id][:5]
