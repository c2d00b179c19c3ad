"""The app role gets the rights that the code needs and no others."""

from regiohub_shared.db.rights import grant_rights

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_RIGHTS = {
    "session": "SELECT, INSERT, DELETE, "
    "UPDATE (tokens, access_expires_at, refresh_lease_until, refresh_attempt, seen_at)",
    "rate_limit": "SELECT, INSERT, UPDATE (hits, last_at), DELETE",
    "logout_token": "SELECT, INSERT, DELETE",
}


def upgrade() -> None:
    """List them."""
    grant_rights("gateway", _RIGHTS)


def downgrade() -> None:
    """Give whole rows, as 0001 relied on."""
    grant_rights("gateway", dict.fromkeys(_RIGHTS, "SELECT, INSERT, UPDATE, DELETE"))
