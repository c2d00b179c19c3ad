"""CloudEvents 1.0 in JSON, with the extension ``sequence`` = version of the subject."""

from datetime import datetime
from typing import Any, ClassVar, Literal, Protocol
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class Fact(Protocol):
    """What ``contracts/`` models look like."""

    type: ClassVar[str]
    subscribers: ClassVar[tuple[str, ...]]

    @property
    def subject(self) -> str:
        """What it is about."""

    @property
    def sequence(self) -> int:
        """Version of the subject."""

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        """The data as JSON values."""


class Envelope(BaseModel):
    """One fact on its way."""

    model_config = ConfigDict(frozen=True)

    specversion: Literal["1.0"] = "1.0"
    id: UUID
    source: str
    type: str
    subject: str
    time: datetime
    sequence: int
    data: dict[str, Any]
