"""Doors, readers and door events as JSON."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, model_validator

from regiohub_access.domain.openings import Doubt
from regiohub_access.repo.places import DoorPlan
from regiohub_access.tables import Command, DoorEventRow, Hub, Reader
from regiohub_access.usecases.places import HubPlan, ReaderView

MAX_DOORS = 16
"""A pass names at most so many doors."""
Slug = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,60}$")]


class DoorIn(BaseModel):
    """A door: an outer one belongs to every grant at the hub, others to the resources that they lead to."""

    number: Annotated[int, Field(ge=1, le=65535)]
    name: Annotated[str, Field(min_length=1, max_length=80)]
    outer: bool = False
    resource_ids: Annotated[list[UUID], Field(max_length=500)] = []


class DoorsIn(BaseModel):
    """All doors of a hub."""

    doors: Annotated[list[DoorIn], Field(max_length=MAX_DOORS)]
    margin_minutes: Annotated[int, Field(ge=0, le=120)] = 10
    address: Annotated[str, Field(max_length=300)] | None = None

    @model_validator(mode="after")
    def _numbers_differ(self) -> Self:
        if len({door.number for door in self.doors}) != len(self.doors):
            raise ValueError("door numbers must differ")
        return self

    def plan(self) -> HubPlan:
        """Return it as the use case takes it, in order of number."""
        doors = [DoorPlan(d.number, d.name, d.outer, frozenset(d.resource_ids)) for d in self.doors]
        return HubPlan(sorted(doors, key=lambda door: door.number), self.margin_minutes, self.address)


class DoorSetUp(BaseModel):
    """A door as stored."""

    number: int
    name: str
    outer: bool
    resource_ids: list[UUID]


class DoorsOut(BaseModel):
    """All doors of a hub as stored; ``version`` is also the ETag."""

    hub: str
    version: int
    margin_minutes: int
    address: str | None
    doors: list[DoorSetUp]

    @classmethod
    def of(cls, hub: Hub, doors: list[DoorPlan]) -> Self:
        """Show the county what it configured."""
        return cls(
            hub=hub.slug, version=hub.version, margin_minutes=hub.margin_minutes, address=hub.address,
            doors=[
                DoorSetUp(number=d.number, name=d.name, outer=d.is_outer, resource_ids=sorted(d.resource_ids))
                for d in doors
            ],
        )  # fmt: skip


class ReaderIn(BaseModel):
    """Where a reader stands."""

    hub: Slug


class ReaderOut(BaseModel):
    """A registered reader."""

    id: str
    hub: str
    created_at: datetime
    last_sync_at: datetime | None

    @classmethod
    def of(cls, row: Reader) -> Self:
        """Show a reader."""
        return cls(id=row.id, hub=row.hub, created_at=row.created_at, last_sync_at=row.last_sync_at)


class PinArrivalOut(BaseModel):
    """A PIN (never its digits) and since when the reader holds it, null while it does not."""

    grant_id: UUID
    booking_id: UUID
    starts_at: datetime
    ends_at: datetime
    armed_at: datetime | None


class ReaderStateOut(ReaderOut):
    """A reader as its operator sees it; ``deny_lag`` counts revocations that have not reached it."""

    deny_lag: int
    pins: list[PinArrivalOut]

    @classmethod
    def of_view(cls, view: ReaderView) -> Self:
        """Show a reader and what has arrived there."""
        row = view.reader
        return cls(
            id=row.id, hub=row.hub, created_at=row.created_at, last_sync_at=row.last_sync_at, deny_lag=view.deny_lag,
            pins=[
                PinArrivalOut(
                    grant_id=p.grant_id, booking_id=p.booking_id, starts_at=p.starts_at, ends_at=p.ends_at,
                    armed_at=p.armed_at,
                )
                for p in view.pins
            ],
        )  # fmt: skip


class ReaderList(BaseModel):
    """All readers of a hub; they are few, so ``next`` is always null."""

    items: list[ReaderStateOut]
    next: None


class DoorEventOut(BaseModel):
    """A decision at a door, pseudonymous: ``credential`` names a pass or a PIN, never a person or digits.

    ``late``: it arrived more than a minute after it happened. ``is_chained`` false: events before it are missing, or it
    was changed on its way. ``operator`` (a subject id) and ``operator_reason``: who ordered a ``command`` and why.
    ``doubt``: why a reported opening cannot be true; it then checks nobody in.
    """

    number: int
    reader: str
    door: int
    at: datetime
    received_at: datetime
    method: Literal["pass", "pin", "command"]
    decision: Literal["allowed", "denied"]
    reason: str
    credential: str | None
    late: bool
    is_chained: bool
    doubt: Doubt | None
    operator: str | None
    operator_reason: str | None

    @classmethod
    def of(cls, row: DoorEventRow, command: Command | None = None) -> Self:
        """Show a stored event."""
        told = {
            "reader": row.reader_id, "operator": command.created_by if command else None,
            "operator_reason": command.reason if command else None,
        }  # fmt: skip
        return cls.model_validate({n: getattr(row, n) for n in cls.model_fields if n not in told} | told)


class DoorEventPage(BaseModel):
    """Door events, the newest first."""

    items: list[DoorEventOut]
    next: str | None
