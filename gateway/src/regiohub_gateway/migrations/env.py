"""Alembic's entry."""

from regiohub_gateway.tables import Base
from regiohub_shared.db.migrate import run_env

run_env(Base.metadata)
