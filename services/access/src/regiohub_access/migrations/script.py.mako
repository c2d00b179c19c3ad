"""${message}

Revision: ${up_revision}, after ${down_revision}
"""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Expand first; contract in a later revision (the old code still runs)."""


def downgrade() -> None:
    """Not offered: restore a backup."""
    raise NotImplementedError
