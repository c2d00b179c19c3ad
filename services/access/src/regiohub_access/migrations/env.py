"""Alembic's entry: the rest is shared."""

from regiohub_access.tables import Base
from regiohub_shared.db.migrate import run_env

run_env(Base.metadata)
