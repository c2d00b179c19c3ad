"""The mails' text: German first, English below; data in, message out."""

from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Literal
from zoneinfo import ZoneInfo

from regiohub_booking.domain.booking import Booking
from regiohub_booking.domain.slot import Slot
from regiohub_shared.money import format_eur

_DAYS = ("Mo.", "Di.", "Mi.", "Do.", "Fr.", "Sa.", "So.")
_DAYS_EN = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS_EN = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Letter:
    """All that a mail says."""

    booking: Booking
    kind: Literal["confirmed", "cancelled"]
    member_name: str
    mail: str
    hub_name: str
    address: str
    door_hint: str
    zone: ZoneInfo
    origin: str
    sender: str

    @property
    def place(self) -> str:
        """Hub and address in one line."""
        return f"{self.hub_name}, {self.address}"

    @property
    def sender_address(self) -> str:
        """The bare address of the sender."""
        return parseaddr(self.sender)[1]

    @property
    def stamp(self) -> datetime:
        """When the change happened that the mail tells."""
        moment = self.booking.cancelled_at if self.kind == "cancelled" else self.booking.confirmed_at
        return moment or self.booking.created_at

    @property
    def url(self) -> str:
        """The booking's plain address."""
        return f"{self.origin}/bookings/{self.booking.id}"

    def find_url(self, language: str = "") -> str:
        """Where the hub's other times are."""
        return f"{self.origin}{language}/find?hub={self.booking.hub}"


def _when(slot: Slot, zone: ZoneInfo) -> str:
    start, end = slot.start.astimezone(zone), slot.end.astimezone(zone)
    until = f"{end:%H:%M}" if end.date() == start.date() else f"{_DAYS[end.weekday()]}, {end:%d.%m.%Y %H:%M}"
    return f"{_DAYS[start.weekday()]}, {start:%d.%m.%Y %H:%M}–{until} Uhr"


def _when_en(slot: Slot, zone: ZoneInfo) -> str:
    start, end = slot.start.astimezone(zone), slot.end.astimezone(zone)
    until = f"{end:%H:%M}" if end.date() == start.date() else f"{_day_en(end)}, {end:%H:%M}"
    return f"{_day_en(start)}, {start:%H:%M}–{until}"


def _day_en(moment: datetime) -> str:
    # Not strftime's names: they follow the machine's locale.
    return f"{_DAYS_EN[moment.weekday()]} {moment.day} {_MONTHS_EN[moment.month - 1]} {moment.year}"


def _eur_en(cents: int) -> str:
    return f"€{cents // 100:,}.{cents % 100:02d}"


def _german(letter: Letter) -> list[str]:
    booking, is_off = letter.booking, letter.kind == "cancelled"
    money = format_eur(booking.gross_cents)
    if is_off:
        after = [f"Der gezahlte Betrag ({money}) wird vollständig erstattet."] if booking.gross_cents else []
        after += [f"Andere Zeit suchen: {letter.find_url()}"] if booking.is_cancelled_by_hub else []
    else:
        after = [f"Preis: {money} (brutto)" if booking.gross_cents else "Preis: kostenlos"]
        after += [f"Zugang: {letter.door_hint}"] if letter.door_hint else []
        after += [f"Türschlüssel und PIN: {letter.url}"]
    off = "Der Hub hat Ihre Buchung storniert." if booking.is_cancelled_by_hub else "Ihre Buchung ist storniert."
    return [
        off if is_off else "Ihre Buchung ist bestätigt.", "",
        *(f"  {line.resource_name}: {_when(line.slot, letter.zone)}" for line in booking.lines),
        f"  {letter.place}", f"  Buchungsnummer: {booking.code}", "", *after,
    ]  # fmt: skip


def _english(letter: Letter) -> list[str]:
    booking, is_off = letter.booking, letter.kind == "cancelled"
    money = _eur_en(booking.gross_cents)
    if is_off:
        after = [f"The amount paid ({money}) is refunded in full."] if booking.gross_cents else []
        after += [f"Find another time: {letter.find_url('/en')}"] if booking.is_cancelled_by_hub else []
    else:
        after = [f"Price: {money} (gross)" if booking.gross_cents else "Price: free of charge"]
        after += [f"Way in: {letter.door_hint}"] if letter.door_hint else []
        after += [f"Door key and PIN: {letter.url}"]
    off = "The hub has cancelled your booking." if booking.is_cancelled_by_hub else "Your booking is cancelled."
    return [
        off if is_off else "Your booking is confirmed.", "",
        *(f"  {line.resource_name}: {_when_en(line.slot, letter.zone)}" for line in booking.lines),
        f"  {letter.place}", f"  Booking code: {booking.code}", "", *after,
    ]  # fmt: skip


def _body(letter: Letter) -> str:
    return "\n".join([f"Guten Tag {letter.member_name},", "", *_german(letter), "", "--", "", *_english(letter), ""])


def write_mail(letter: Letter, calendar: bytes) -> EmailMessage:
    """Return the message with its calendar file; header injection is impossible, the library refuses line breaks."""
    message = EmailMessage()
    message["From"] = Address(parseaddr(letter.sender)[0], addr_spec=letter.sender_address)
    message["To"] = Address(letter.member_name.replace("\n", " ").replace("\r", " "), addr_spec=letter.mail)
    state = "Storniert" if letter.kind == "cancelled" else "Bestätigt"
    message["Subject"] = f"{state}: {letter.hub_name}, {_when(letter.booking.lines[0].slot, letter.zone)}"
    message["Date"] = format_datetime(letter.stamp)
    # The same mail sent twice (a worker killed after sending) has the same id, so mailboxes can drop it.
    message["Message-ID"] = f"<{letter.booking.id}.{letter.kind}@{letter.sender_address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_body(letter))
    message.add_attachment(
        calendar,
        maintype="text",
        subtype="calendar",
        filename="buchung.ics",
        params={"method": "PUBLISH", "charset": "utf-8"},
    )
    return message
