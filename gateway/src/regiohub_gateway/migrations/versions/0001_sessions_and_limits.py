"""Sessions, limits, seen logout tokens."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TIME = sa.TIMESTAMP(timezone=True)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "session",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("sub", sa.String, nullable=False, index=True),
        sa.Column("keycloak_sid", sa.String, nullable=False, index=True),
        sa.Column("csrf", sa.String, nullable=False),
        sa.Column("tokens", sa.LargeBinary, nullable=False),
        sa.Column("access_expires_at", _TIME, nullable=False),
        sa.Column("refresh_lease_until", _TIME),
        sa.Column("refresh_attempt", sa.Integer, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("seen_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False, index=True),
        sa.CheckConstraint("refresh_attempt >= 0", name="refresh_attempt"),
    )
    op.create_table(
        "rate_limit",
        sa.Column("bucket", sa.String, primary_key=True),
        sa.Column("hits", ARRAY(_TIME), nullable=False),
        sa.Column("last_at", _TIME, nullable=False, index=True),
    )
    op.create_table(
        "logout_token",
        sa.Column("jti", sa.String, primary_key=True),
        sa.Column("received_at", _TIME, nullable=False),
    )


def downgrade() -> None:
    """Drop them; everyone is logged out."""
    for table in ("logout_token", "rate_limit", "session"):
        op.drop_table(table)
