"""A person's data as JSON."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel

from regiohub_access.api.schemas.hubs import DoorEventOut
from regiohub_access.tables import Command, Grant, Pass
from regiohub_access.usecases.subjects import SubjectData


class SubjectGrant(BaseModel):
    """A grant of the person."""

    id: UUID
    booking_id: UUID
    hub: str
    status: str
    created_at: datetime
    revoked_at: datetime | None
    first_opened_at: datetime | None

    @classmethod
    def of(cls, row: Grant) -> Self:
        """Export a grant."""
        return cls.model_validate({name: getattr(row, name) for name in cls.model_fields})


class SubjectPass(BaseModel):
    """A pass of the person, without the signed bytes."""

    id: str
    grant_id: UUID
    doors: list[int]
    starts_at: datetime
    ends_at: datetime
    issued_at: datetime
    revoked_at: datetime | None

    @classmethod
    def of(cls, row: Pass) -> Self:
        """Export a pass."""
        return cls.model_validate({name: getattr(row, name) for name in cls.model_fields} | {"id": row.id.hex()})


class SubjectCommand(BaseModel):
    """A door that the person, as an operator, had opened."""

    id: UUID
    hub: str
    door: int
    reason: str
    created_at: datetime
    outcome: str | None

    @classmethod
    def of(cls, row: Command) -> Self:
        """Export a command."""
        return cls.model_validate({name: getattr(row, name) for name in cls.model_fields})


class SubjectOut(BaseModel):
    """All that access knows of one person."""

    sub: str
    grants: list[SubjectGrant]
    passes: list[SubjectPass]
    door_events: list[DoorEventOut]
    commands: list[SubjectCommand]

    @classmethod
    def of(cls, sub: str, found: SubjectData) -> Self:
        """Export a person's data."""
        return cls(
            sub=sub, grants=[SubjectGrant.of(row) for row in found.grants],
            passes=[SubjectPass.of(row) for row in found.passes],
            door_events=[DoorEventOut.of(row) for row in found.events],
            commands=[SubjectCommand.of(row) for row in found.commands],
        )  # fmt: skip


class ErasedOut(BaseModel):
    """How many grants no longer name the person."""

    grants: int
