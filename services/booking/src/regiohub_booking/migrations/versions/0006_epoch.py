"""The epoch that a restore raises: all versions after it lie above those before. Only the restore writes it, as owner."""

from alembic import op

from regiohub_shared.db.epoch import CREATE, DROP
from regiohub_shared.db.rights import FACT_RIGHTS, grant_rights

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_RIGHTS = {
    "operator": "SELECT, INSERT, UPDATE (name, version)",
    "hub": "SELECT, INSERT, UPDATE (name, street, postcode, city, door_hint, time_zone, version)",
    "resource": "SELECT, INSERT, UPDATE (name, kind, description, position, cents_per_hour, tax_code, "
    "granularity_minutes, min_minutes, max_minutes, horizon_days, buffer_before_minutes, buffer_after_minutes, "
    "is_active, version)",
    "resource_part": "SELECT, INSERT, DELETE",
    "opening_hours": "SELECT, INSERT, DELETE",
    "closure": "SELECT, INSERT, DELETE, UPDATE (created_by)",
    "member": "SELECT, INSERT, DELETE",
    "booking": "SELECT, INSERT, UPDATE (sub, status, version, fee_cents, held_at, hold_until, confirmed_at, "
    "cancelled_at, cancelled_by, expired_at, checked_in_at, completed_at, starts_at, ends_at, moved_at, moved_by)",
    "line": "SELECT, INSERT, UPDATE (resource_id, resource_name, starts_at, ends_at, derivation)",
    "occupancy": "SELECT, INSERT, DELETE",
    "calendar_feed": "SELECT, INSERT, DELETE, UPDATE (token_digest, created_at)",
    "payment_verdict": "SELECT, INSERT, UPDATE (version, paid_cents, refunded_cents, verdict, decided_at)",
    "mail_job": "SELECT, INSERT, DELETE, UPDATE (attempts, next_at, leased_until, sent_at, dead_at, last_error)",
    "idempotency_key": "SELECT, INSERT, DELETE",
} | FACT_RIGHTS


def upgrade() -> None:
    op.execute(CREATE)
    grant_rights("booking", _RIGHTS | {"epoch": "SELECT"}, sequences=("occupancy_lane",))


def downgrade() -> None:
    for statement in DROP:
        op.execute(statement)
    grant_rights("booking", _RIGHTS, sequences=("occupancy_lane",))
