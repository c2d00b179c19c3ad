"""Alembic's entry: everything is in ``regiohub_shared.db.migrate``."""

from regiohub_billing.tables import Base
from regiohub_shared.db.migrate import run_env

run_env(Base.metadata)
