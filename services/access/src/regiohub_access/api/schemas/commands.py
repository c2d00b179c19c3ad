"""Commands of operators as JSON."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic import Field as Limits

from regiohub_access.domain.commands import state
from regiohub_access.tables import Command

Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=3, max_length=200, pattern=r"^[^\x00-\x1f]*$"),
    Limits(examples=["Mitglied steht ohne Telefon vor der Tür"]),
]


class CommandIn(BaseModel):
    """Open this door now; the reason is shown to the member concerned."""

    model_config = ConfigDict(extra="forbid")

    door: Annotated[int, Limits(ge=1, le=65535)]
    reason: Reason


class CommandOut(BaseModel):
    """A command as operators see it; ``opened_by`` is a subject id, null once that person is erased.

    ``waiting``: accepted, nothing more. ``opened``: the reader reported it. ``expired``: not by ``expires_at`` (real
    time); a report that was delayed may still turn it into ``opened``. ``refused``: the reader said why.
    """

    id: UUID
    hub: str
    door: int
    reason: str
    opened_by: str | None
    created_at: datetime
    expires_at: datetime
    state: Literal["waiting", "opened", "expired", "refused"]
    outcome_reason: str | None
    decided_at: datetime | None

    @classmethod
    def of(cls, row: Command, *, real_now: datetime) -> Self:
        """Show a command."""
        told = {
            "opened_by": row.created_by,
            "state": state(row.outcome, row.expires_at, real_now=real_now),  # type: ignore[arg-type]  # the table's CHECK
        }
        return cls.model_validate({n: getattr(row, n) for n in cls.model_fields if n not in told} | told)


class CommandList(BaseModel):
    """The newest 100 of a hub, so ``next`` is always null; kept as long as refusals at doors."""

    items: list[CommandOut]
    next: None


class RemoteOpening(BaseModel):
    """A door of the grant that an operator opened while it was good, why, and who (a subject id)."""

    door: int
    opened_at: datetime
    reason: str
    opened_by: str | None

    @classmethod
    def of(cls, row: Command) -> Self:
        """Show it to the member concerned."""
        return cls.model_validate(
            {"door": row.door, "opened_at": row.decided_at, "reason": row.reason, "opened_by": row.created_by}
        )


class RemoteOpeningList(BaseModel):
    """In order of time; they are few, so ``next`` is always null."""

    items: list[RemoteOpening]
    next: None
