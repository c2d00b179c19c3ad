"""The registry of booking's tables, and its stamp."""

from sqlalchemy import DateTime
from sqlmodel import SQLModel

from regiohub_shared.db.base import new_registry


class Base(SQLModel, registry=new_registry()):
    """Booking's own registry and metadata."""


class Stamp(DateTime):
    """``timestamptz``."""

    cache_ok = True

    def __init__(self) -> None:
        """Every stamp has a zone."""
        super().__init__(timezone=True)
