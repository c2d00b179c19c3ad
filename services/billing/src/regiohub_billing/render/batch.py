"""A whole export from journal entries to bytes: what costs time, in one function that another process can run."""

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Any

from regiohub_billing.domain.hkr import Booked, frame, records, total_cents
from regiohub_billing.domain.journal import Accounts
from regiohub_billing.render import hkr


@dataclass(frozen=True, slots=True)
class Order:
    """What an export is made from. Plain values only: it travels between processes."""

    booked: tuple[Booked, ...]
    accounts: dict[str, Any]
    seller: str
    profile: str
    day: date
    test: bool
    rows: int = 0
    """How many rows a preview wants to see; the others are in the bytes only."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the n-th part of an entry stands in the file."""

    entry_id: str
    part: int
    position: int


@dataclass(frozen=True, slots=True)
class Made:
    """The file and what is told about it."""

    content: bytes
    sha256: str
    mandant: str
    profile: str
    columns: tuple[str, ...]
    row_count: int
    sum_cents: int
    rows: list[list[str]]
    replaced: list[hkr.Replaced]
    places: list[Place]


def make(order: Order) -> Made:
    """Return the file of an export: the same order gives the same bytes."""
    accounts, profile = Accounts(**order.accounts), hkr.PROFILES[order.profile]
    parts = records(order.booked, accounts)
    file = hkr.write(frame(parts, accounts, order.seller, order.day, test=order.test), profile)
    return Made(
        content=file.content, sha256=hashlib.sha256(file.content).hexdigest(), mandant=accounts.mandant,
        profile=profile.name, columns=tuple(column.title for column in profile.columns), row_count=len(parts),
        sum_cents=total_cents(parts), rows=file.rows[: order.rows], replaced=file.replaced,
        places=[Place(part.entry_id, part.part, part.record.position) for part in parts],
    )  # fmt: skip
