"""A member's whole calendar: the same events as in the mails, cancelled ones kept, the same bytes until one changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from icalendar import Calendar

from regiohub_booking.calendars.event import BERLIN_KEY, Kind, berlin, event_of
from regiohub_booking.domain.booking import Booking

_REFRESH = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """A booking with where it is and its page."""

    booking: Booking
    zone: ZoneInfo
    place: str
    url: str

    @property
    def kind(self) -> Kind:
        """A cancelled event stays, marked: one that just vanished would stay in many calendars as it was."""
        return "cancelled" if self.booking.cancelled_at else "confirmed"

    @property
    def stamp(self) -> datetime:
        """When the event last changed."""
        stamps = (self.booking.created_at, self.booking.confirmed_at, self.booking.moved_at, self.booking.cancelled_at)
        return max(stamp for stamp in stamps if stamp)


def feed_of(entries: Sequence[Entry]) -> bytes:
    """Return the calendar; without METHOD and ORGANIZER, which would make invitations of the events."""
    calendar = Calendar()
    calendar.add("PRODID", "-//RegioHub//Booking//DE")
    calendar.add("VERSION", "2.0")
    calendar.add("NAME", "RegioHub")
    calendar.add("X-WR-CALNAME", "RegioHub")
    calendar.add("REFRESH-INTERVAL", _REFRESH, parameters={"VALUE": "DURATION"})
    calendar.add("X-PUBLISHED-TTL", "PT1H")
    if any(entry.zone.key == BERLIN_KEY for entry in entries):
        calendar.add_component(berlin())
    for entry in entries:
        _add(calendar, entry)
    content: bytes = calendar.to_ical()
    return content


def _add(calendar: Calendar, entry: Entry) -> None:
    for number in range(len(entry.booking.lines)):
        event = event_of(
            entry.booking, number, kind=entry.kind, sequence=entry.booking.version, stamp=entry.stamp, zone=entry.zone
        )
        event.add("LOCATION", entry.place)
        event.add("URL", entry.url)
        calendar.add_component(event)
