"""Alembic's entry: the shared runner with booking's metadata."""

from regiohub_booking.tables import Base
from regiohub_shared.db.migrate import run_env

run_env(Base.metadata)
