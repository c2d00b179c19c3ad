"""A member's calendar feed: make, renew, revoke, read."""

from datetime import datetime
from zoneinfo import ZoneInfo

from regiohub_booking.calendars.feed import Entry, feed_of
from regiohub_booking.domain import feed
from regiohub_booking.domain.booking import Booking
from regiohub_booking.repo import feeds
from regiohub_booking.repo.statement import On, Row
from regiohub_shared.problem import NotFound


async def renew_feed(on: On, *, sub: str, now: datetime) -> str:
    """Return the secret of a new address, which nobody can be told again; the old one is void."""
    token = feed.draw()
    await feeds.put_feed(on, sub=sub, digest=feed.digest(token), now=now)
    return token


async def get_feed(on: On, *, sub: str) -> datetime:
    """Return since when the member has this address; raises ``NotFound``."""
    created_at = await feeds.find_feed(on, sub)
    if created_at is None:
        raise NotFound("There is no calendar feed.")
    return created_at


async def read_feed(on: On, *, name: str, origin: str, now: datetime) -> bytes:
    """Return the calendar behind an address; raises ``NotFound`` in the same words for every one that leads nowhere."""
    token = feed.token_of(name)
    sub = await feeds.find_owner(on, feed.digest(token)) if token else None
    if sub is None:
        raise NotFound
    bookings = await feeds.list_for_feed(on, sub=sub, since=now - feed.KEPT, limit=feed.MOST)
    hubs = await feeds.hubs_of(on, bookings)
    return feed_of([_entry(booking, hubs[booking.hub], origin) for booking in reversed(bookings)])


def _entry(booking: Booking, hub: Row, origin: str) -> Entry:
    place = f"{hub['name']}, {hub['street']}, {hub['postcode']} {hub['city']}"
    return Entry(booking, ZoneInfo(hub["time_zone"]), place, f"{origin}/bookings/{booking.id}")
