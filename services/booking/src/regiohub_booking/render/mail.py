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
}
_STATES = {"confirmed": "Bestätigt", "moved": "Umgebucht", "cancelled": "Storniert"}
_DAYS = ("Mo.", "Di.", "Mi.", "Do.", "Fr.", "Sa.", "So.")


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
    def url(self) -> str:
        """The booking's plain address."""
        return f"{self.origin}/bookings/{self.booking.id}"


def _when(slot: Slot, zone: ZoneInfo) -> str:
    start, end = slot.start.astimezone(zone), slot.end.astimezone(zone)
    until = f"{end:%H:%M}" if end.date() == start.date() else f"{_DAYS[end.weekday()]}, {end:%d.%m.%Y %H:%M}"
    return f"{_DAYS[start.weekday()]}, {start:%d.%m.%Y %H:%M}–{until} Uhr"


def _body(letter: Letter) -> str:
    is_off = letter.kind == "cancelled"
    booking = letter.booking
    what = [f"  {line.resource_name}: {_when(line.slot, letter.zone)}" for line in booking.lines]
    money = format_eur(booking.gross_cents)
    german, english = _NEWS[letter.kind]
    refund_de = f"Der gezahlte Betrag ({money}) wird vollständig erstattet."
    refund_en = f"The amount paid ({money}) is refunded in full."
    door = [f"Zugang: {letter.door_hint}"] if letter.door_hint else []
    key = [*door, f"Türschlüssel und PIN: {letter.url}"]
    after_de = ([refund_de] if booking.gross_cents else []) if is_off else [f"Preis: {money} (brutto)", *key]
    after_en = ([refund_en] if booking.gross_cents else []) if is_off else [f"Door key and PIN: {letter.url}"]
    return "\n".join(
        [
            f"Guten Tag {letter.member_name},", "", german, "", *what, f"  {letter.place}",
            f"  Buchungsnummer: {booking.code}", "", *after_de, "", "--", english, f"Booking code: {booking.code}",
            *after_en, "",
        ]
    )  # fmt: skip


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
