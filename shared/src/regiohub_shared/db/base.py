"""Naming of constraints, and a registry of its own for each service."""

from sqlalchemy import MetaData
from sqlalchemy.orm import registry

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def new_registry() -> registry:
    """Return a registry with its own metadata: ``class Base(SQLModel, registry=new_registry())``.

    Without it, services imported into one process share SQLModel's metadata and clash on ``outbox``.
    """
    return registry(metadata=MetaData(naming_convention=NAMING))
