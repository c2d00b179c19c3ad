"""What is there at rest: frozen copies of the rows and objects that `checks` compares."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Booking:
    """A row of booking's database."""

    id: str
    status: str
    gross_cents: int
    confirmed_at: datetime | None
    checked_in_at: datetime | None


@dataclass(frozen=True, slots=True)
class Place:
    """A leaf that a line of a live booking takes, with its buffers around `[start, end)`."""

    booking_id: str
    leaf: str
    start: datetime
    end: datetime
    padded_start: datetime
    padded_end: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """A booked resource and slot."""

    booking_id: str
    resource_id: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Charge:
    """What billing knows that a booking costs."""

    booking_id: str
    gross_cents: int


@dataclass(frozen=True, slots=True)
class Payment:
    """One attempt to be paid."""

    id: str
    booking_id: str
    status: str
    paid_cents: int
    refunded_cents: int


@dataclass(frozen=True, slots=True)
class Document:
    """An invoice or its cancellation."""

    booking_id: str
    payment_id: str
    kind: str
    gross_cents: int


@dataclass(frozen=True, slots=True)
class Refund:
    """Money that billing sent back."""

    payment_id: str
    amount_cents: int
    status: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A journal entry with its sums; `clearing_cents` is what it moved on the provider's account."""

    id: str
    kind: str
    payment_id: str
    debit_cents: int
    credit_cents: int
    clearing_cents: int


@dataclass(frozen=True, slots=True)
class Grant:
    """Who may open."""

    booking_id: str
    status: str


@dataclass(frozen=True, slots=True)
class DoorEvent:
    """A decision as access stored it; `at` as the reader wrote it."""

    hub: str
    chain: str
    sequence: int
    door: int
    at: str
    decision: str


@dataclass(frozen=True, slots=True)
class Reader:
    """What a hub's reader says of itself: its newest event's number, and how many access has not confirmed."""

    hub: str
    newest: int
    pending: int


@dataclass(frozen=True, slots=True)
class Money:
    """A payment that succeeded in the provider's books."""

    payment_id: str
    cents: int


@dataclass(frozen=True, slots=True)
class Returned:
    """A refund that succeeded in the provider's books."""

    payment_id: str
    cents: int


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact for one subscriber, and how often its receiver has it in its inbox.

    `error` is how the last attempt to deliver it failed, empty if it did not.
    """

    id: str
    source: str
    subscriber: str
    is_dead: bool
    received: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """All of it. `keys` are booking's stored idempotency keys, `cases` what billing wants people to look at."""

    bookings: tuple[Booking, ...] = ()
    lines: tuple[Line, ...] = ()
    places: tuple[Place, ...] = ()
    occupied: frozenset[tuple[str, str, datetime, datetime]] = frozenset()
    keys: frozenset[str] = frozenset()
    charges: tuple[Charge, ...] = ()
    payments: tuple[Payment, ...] = ()
    documents: tuple[Document, ...] = ()
    refunds: tuple[Refund, ...] = ()
    entries: tuple[Entry, ...] = ()
    cases: tuple[str, ...] = ()
    grants: tuple[Grant, ...] = ()
    door_events: tuple[DoorEvent, ...] = ()
    readers: tuple[Reader, ...] = ()
    money: tuple[Money, ...] = ()
    returned: tuple[Returned, ...] = ()
    facts: tuple[Fact, ...] = ()
