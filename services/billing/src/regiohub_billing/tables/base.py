"""The metadata that all of billing's tables share."""

from typing import Any

from sqlalchemy import DateTime
from sqlmodel import SQLModel

from regiohub_shared.db.base import new_registry

UTC_TIME: Any = DateTime(timezone=True)


class Base(SQLModel, registry=new_registry()):
    """Own registry and metadata, so that services can share a process."""
