"""A member's calendar feed as JSON."""

from datetime import datetime

from pydantic import BaseModel


class CalendarFeedPublic(BaseModel):
    """That there is a feed, and since when; its address cannot be read again."""

    created_at: datetime


class CalendarFeedCreated(BaseModel):
    """The address, told this once: whoever has it can read the member's bookings."""

    url: str
    created_at: datetime
