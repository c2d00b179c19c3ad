"""Bookings can be moved: a stamp, the right to move a line (never to change its price), and a mail per move.

The code before this one knows no move; its mails conflict as before, once per kind.
"""

from alembic import op

from regiohub_shared.db.rights import FACT_RIGHTS, grant_rights

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_UP = (
    "ALTER TABLE booking ADD COLUMN moved_at timestamptz, ADD COLUMN moved_by text",
    "ALTER TABLE mail_job DROP CONSTRAINT ck_mail_job_kind",
    "ALTER TABLE mail_job ADD CONSTRAINT ck_mail_job_kind CHECK (kind IN ('confirmed', 'moved', 'cancelled'))",
    "ALTER TABLE mail_job DROP CONSTRAINT uq_mail_job_booking_id_kind",
    "CREATE UNIQUE INDEX uq_mail_job_booking_id_kind ON mail_job (booking_id, kind) WHERE kind <> 'moved'",
    "CREATE UNIQUE INDEX uq_mail_job_moved ON mail_job (booking_id, sequence) WHERE kind = 'moved'",
)
# Mails about moves that were not sent are lost with the step back; the bookings stay where they were moved.
_DOWN = (
    "DELETE FROM mail_job WHERE kind = 'moved'",
    "DROP INDEX uq_mail_job_moved",
    "DROP INDEX uq_mail_job_booking_id_kind",
    "ALTER TABLE mail_job ADD CONSTRAINT uq_mail_job_booking_id_kind UNIQUE (booking_id, kind)",
    "ALTER TABLE mail_job DROP CONSTRAINT ck_mail_job_kind",
    "ALTER TABLE mail_job ADD CONSTRAINT ck_mail_job_kind CHECK (kind IN ('confirmed', 'cancelled'))",
    "ALTER TABLE booking DROP COLUMN moved_at, DROP COLUMN moved_by",
)
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
_RIGHTS_BEFORE = _RIGHTS | {
    "booking": "SELECT, INSERT, UPDATE (sub, status, version, fee_cents, held_at, hold_until, confirmed_at, "
    "cancelled_at, cancelled_by, expired_at, checked_in_at, completed_at)",
    "line": "SELECT, INSERT",
}


def upgrade() -> None:
    for statement in _UP:
        op.execute(statement)
    grant_rights("booking", _RIGHTS, sequences=("occupancy_lane",))


def downgrade() -> None:
    for statement in _DOWN:
        op.execute(statement)
    grant_rights("booking", _RIGHTS_BEFORE, sequences=("occupancy_lane",))
