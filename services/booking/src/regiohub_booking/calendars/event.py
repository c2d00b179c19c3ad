"""iCalendar files (RFC 5545) that every client reads alike: static rule-based zone, stable UID, own stamp."""

from datetime import UTC, datetime
from typing import Literal, cast
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, Timezone, vCalAddress

from regiohub_booking.domain.booking import Booking
from regiohub_booking.domain.slot import Slot

# The library's own VTIMEZONE lists dates one by one, which some clients read wrongly by an hour.
_BERLIN = """BEGIN:VTIMEZONE\r
TZID:Europe/Berlin\r
BEGIN:DAYLIGHT\r
DTSTART:19700329T020000\r
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\r
TZNAME:CEST\r
TZOFFSETFROM:+0100\r
TZOFFSETTO:+0200\r
END:DAYLIGHT\r
BEGIN:STANDARD\r
DTSTART:19701025T030000\r
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\r
TZNAME:CET\r
TZOFFSETFROM:+0200\r
TZOFFSETTO:+0100\r
END:STANDARD\r
END:VTIMEZONE\r
"""
BERLIN_KEY = "Europe/Berlin"
Kind = Literal["confirmed", "moved", "cancelled"]


def _times(slot: Slot, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return start and end in the zone that the file describes; for any other zone in UTC, which needs none."""
    shown = zone if zone.key == BERLIN_KEY else UTC
    return slot.start.astimezone(shown), slot.end.astimezone(shown)


def berlin() -> Timezone:
    """Return the static VTIMEZONE."""
    return cast(Timezone, Timezone.from_ical(_BERLIN))


def event_of(booking: Booking, number: int, *, kind: Kind, sequence: int, stamp: datetime, zone: ZoneInfo) -> Event:
    """Return the event of one line."""
    line = booking.lines[number]
    event = Event()
    event.add("UID", f"{line.id}@regiohub")
    event.add("DTSTAMP", stamp.astimezone(UTC))
    event.add("SEQUENCE", sequence)
    start, end = _times(line.slot, zone)
    event.add("DTSTART", start)
    event.add("DTEND", end)
    event.add("SUMMARY", line.resource_name)
    event.add("STATUS", "CANCELLED" if kind == "cancelled" else "CONFIRMED")
    event.add("TRANSP", "TRANSPARENT" if kind == "cancelled" else "OPAQUE")
    return event


def calendar_of(
    booking: Booking, *, kind: Kind, sequence: int, stamp: datetime, zone: ZoneInfo, organizer: str, location: str,
    url: str,
) -> bytes:  # fmt: skip
    """Return the file for one mail: one event per line, the same UIDs for the booking's whole life.

    ``stamp`` is the time of the change, so the same change always gives the same bytes; ``sequence`` rises with each.
    """
    calendar = Calendar()
    calendar.add("PRODID", "-//RegioHub//Booking//DE")
    calendar.add("VERSION", "2.0")
    # PUBLISH: we process no replies, and people take "decline" for a cancellation.
    calendar.add("METHOD", "PUBLISH")
    if zone.key == BERLIN_KEY:
        calendar.add_component(berlin())
    for number in range(len(booking.lines)):
        event = event_of(booking, number, kind=kind, sequence=sequence, stamp=stamp, zone=zone)
        event["ORGANIZER"] = vCalAddress(f"mailto:{organizer}")
        event.add("LOCATION", location)
        event.add("URL", url)
        calendar.add_component(event)
    content: bytes = calendar.to_ical()
    return content
