"""Day lists find lines by resource and start; the outer span of a booking says nothing about a day.

The new index takes the place of two that nobody reads any more, so that a booking does not write more than before.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX ix_line_resource_id_starts_at ON line (resource_id, starts_at)")
    op.execute("DROP INDEX ix_line_resource_id")
    op.execute("DROP INDEX ix_booking_hub_starts_at")


def downgrade() -> None:
    op.execute("CREATE INDEX ix_booking_hub_starts_at ON booking (hub, starts_at)")
    op.execute("CREATE INDEX ix_line_resource_id ON line (resource_id)")
    op.execute("DROP INDEX ix_line_resource_id_starts_at")
