"""What services tell each other after a restore, by a file that the operator carries. Data only."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from regiohub_shared.contracts.booking import BookingChanged


class GivenBack(BaseModel):
    """A booking whose money the provider gave back after the backup: it was cancelled in the lost window."""

    model_config = ConfigDict(frozen=True)

    booking_id: UUID
    fee_cents: int
    """What was kept of its price."""


class Witness(BaseModel):
    """What one database knows of the others at the moment that it was restored to, or lives on with."""

    model_config = ConfigDict(frozen=True)

    service: Literal["booking", "access", "billing"]
    highest: dict[str, int]
    """By service, itself too: the highest version that it has given (itself) or heard (the others)."""
    since: datetime
    """``bookings`` holds all that end after this."""
    bookings: tuple[BookingChanged, ...] = ()
    known_bookings: tuple[UUID, ...] = ()
    """Bookings that it has heard of and whose snapshot it does not keep."""
    given_back: tuple[GivenBack, ...] = ()
