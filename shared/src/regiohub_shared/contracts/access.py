"""What access tells booking. Data only."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class DoorOpened(BaseModel):
    """A grant opened its first door; the earliest time wins."""

    model_config = ConfigDict(frozen=True)

    type: ClassVar[str] = "regiohub.door.opened"
    subscribers: ClassVar[tuple[str, ...]] = ("booking",)

    grant_id: UUID
    booking_id: UUID
    version: int
    first_opened_at: datetime

    @property
    def subject(self) -> str:
        """The grant that this is about."""
        return str(self.grant_id)

    @property
    def sequence(self) -> int:
        """Version of the subject; later is larger."""
        return self.version
