"""Openings that cannot be true are marked; grants remember that they were active; hubs, how far their chain was checked.

Revision: 0002, after 0001
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_CHANGES = (
    "ALTER TABLE door_event ADD doubt varchar",
    'ALTER TABLE "grant" ADD activated_at timestamptz',
    # Which of the old ones were active nobody wrote down: give them the benefit.
    'UPDATE "grant" SET activated_at = created_at',
    "ALTER TABLE hub ADD chain_checked bigint NOT NULL DEFAULT 0, ADD chain_broken bigint",
)


def upgrade() -> None:
    """Old rows keep their hashes: an event without a doubt is linked as before."""
    for statement in _CHANGES:
        op.execute(statement)


def downgrade() -> None:
    """Not offered: restore a backup."""
    raise NotImplementedError
