"""Alembic's entry: the rest is shared."""

from regiohub_shared.db.migrate import run_env
from tests.service.shared.probe.tables import Base

run_env(Base.metadata)
