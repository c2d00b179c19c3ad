"""The epoch that a restore raises: all versions after it lie above those before. Only the restore writes it, as owner."""

from alembic import op

from regiohub_shared.db.epoch import CREATE, DROP
from regiohub_shared.db.rights import FACT_RIGHTS, grant_rights

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_RIGHTS = {
    "hub": "SELECT, INSERT, UPDATE (margin_minutes, address, version, change_sequence, epoch, deny_sequence, "
    "pins_sequence, pins_digest, event_number, event_hash, chain_checked, chain_broken)",
    "door": "SELECT, INSERT, DELETE",
    "door_resource": "SELECT, INSERT, DELETE",
    "reader": "SELECT, INSERT, UPDATE (hub, last_sync_at, log_id, log_sequence, log_hash, deny_epoch, deny_sequence, "
    "commands_version)",
    "grant": "SELECT, INSERT, UPDATE (sub, version, status, activated_at, revoked_at, erased_at, opened_version, "
    "first_opened_at)",
    "grant_line": "SELECT, INSERT, DELETE",
    "pin": "SELECT, INSERT, DELETE",
    "armed_pin": "SELECT, INSERT, DELETE",
    "issuer_key": "SELECT, INSERT, DELETE",
    "holder_key": "SELECT, INSERT, UPDATE (created_at, replaced_at), DELETE",
    "pass": "SELECT, INSERT, UPDATE (revoked_at), DELETE",
    "deny_entry": "SELECT, INSERT, DELETE",
    "door_event": "SELECT, INSERT",
    "chain_link": "SELECT, INSERT",
    # Who gave it is cut when that person is erased; door, reason and times never change.
    "command": "SELECT, INSERT, DELETE, "
    "UPDATE (created_by, reader_id, reader_chain, outcome, outcome_reason, decided_at)",
    **FACT_RIGHTS,
}


def upgrade() -> None:
    op.execute(CREATE)
    grant_rights("access", _RIGHTS | {"epoch": "SELECT"}, functions=("purge_door_events",))


def downgrade() -> None:
    for statement in DROP:
        op.execute(statement)
    grant_rights("access", _RIGHTS, functions=("purge_door_events",))
