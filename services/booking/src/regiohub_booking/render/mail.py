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

_NEWS = {
    "confirmed": ("Ihre Buchung ist bestätigt.", "Your booking is confirmed."),
    "moved": (
        "Ihre Buchung ist umgebucht; es gilt nur noch diese Zeit. Laden Sie den Türschlüssel neu, die PIN bleibt.",
        "Your booking is moved; only this time is valid now. Load the door key again, the PIN stays.",
    ),
    "cancelled": ("Ihre Buchung ist storniert.", "Your booking is cancelled."),
    "moved by hub": (
        "Der Hub hat Ihre Buchung umgebucht; es gilt nur noch diese Zeit. Passt sie nicht, können Sie kostenlos stornieren.",
        "The hub has moved your booking; only this time is valid now. If it does not suit you, cancel free of charge.",
    ),
    "cancelled by hub": ("Der Hub hat Ihre Buchung storniert.", "The hub has cancelled your booking."),
}
_STATES = {"confirmed": "Bestätigt", "moved": "Umgebucht", "cancelled": "Storniert"}
_DAYS = ("Mo.", "Di.", "Mi.", "Do.", "Fr.", "Sa.", "So.")
_DAYS_EN = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS_EN = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Letter:
    """All that a mail says."""

    booking: Booking
    kind: Literal["confirmed", "moved", "cancelled"]
    sequence: int
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
        stamps = {"cancelled": self.booking.cancelled_at, "moved": self.booking.moved_at}
        return stamps.get(self.kind, self.booking.confirmed_at) or self.booking.created_at

    @property
    def change_id(self) -> str:
        """The change that the mail tells, the same in each repeat of the mail: only a move can happen again."""
        return f"{self.booking.id}.{self.kind}" + (f".{self.sequence}" if self.kind == "moved" else "")

    @property
    def news(self) -> tuple[str, str]:
        """The change in one sentence, in German and English; it says who did it where it was the hub."""
        by_hub = {"cancelled": self.booking.is_cancelled_by_hub, "moved": self.booking.moved_by == "operator"}
        return _NEWS[f"{self.kind} by hub" if by_hub.get(self.kind) else self.kind]

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
    return [
        letter.news[0], "",
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
    return [
        letter.news[1], "",
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
    state = _STATES[letter.kind]
    message["Subject"] = f"{state}: {letter.hub_name}, {_when(letter.booking.lines[0].slot, letter.zone)}"
    message["Date"] = format_datetime(letter.stamp)
    # The same mail sent twice (a worker killed after sending) has the same id, so mailboxes can drop it.
    message["Message-ID"] = f"<{letter.change_id}@{letter.sender_address.rpartition('@')[2]}>"
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
