"""The index of undelivered facts serves the count of dead letters too, which readiness and metrics ask for."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _recreate("delivered_at IS NULL")


def downgrade() -> None:
    _recreate("delivered_at IS NULL AND dead_at IS NULL")


def _recreate(condition: str) -> None:
    op.execute("DROP INDEX ix_outbox_delivery_due")
    op.execute(f"CREATE INDEX ix_outbox_delivery_due ON outbox_delivery (subscriber, next_at) WHERE {condition}")
