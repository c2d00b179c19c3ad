"""Commands to open a door from afar, and which version of commands a reader understands.

The code before this one gives no commands and neither reads nor writes what is new here.
"""

from alembic import op

from regiohub_shared.db.rights import FACT_RIGHTS, grant_rights

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_UP = (
    """CREATE TABLE command (
        id uuid PRIMARY KEY,
        hub varchar NOT NULL REFERENCES hub,
        door integer NOT NULL,
        reason varchar NOT NULL CHECK (length(reason) BETWEEN 1 AND 200),
        created_by varchar,
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        reader_id varchar REFERENCES reader,
        reader_chain varchar,
        outcome varchar CHECK (outcome IN ('opened', 'expired', 'refused')),
        outcome_reason varchar,
        decided_at timestamptz,
        CHECK ((reader_id IS NULL) = (reader_chain IS NULL)),
        CHECK ((outcome IS NULL) = (decided_at IS NULL)),
        CHECK (outcome IS NULL OR reader_id IS NOT NULL)
    )""",
    "CREATE INDEX ix_command_hub_created_at ON command (hub, created_at)",
    "ALTER TABLE reader ADD COLUMN commands_version integer NOT NULL DEFAULT 1",
    "ALTER TABLE door_event DROP CONSTRAINT door_event_method_check",
    "ALTER TABLE door_event ADD CONSTRAINT door_event_method_check CHECK (method IN ('pass', 'pin', 'command'))",
)
# Door events of commands stay: the chain would break without them. The old rule holds for new rows only.
_DOWN = (
    "ALTER TABLE door_event DROP CONSTRAINT door_event_method_check",
    "ALTER TABLE door_event ADD CONSTRAINT door_event_method_check CHECK (method IN ('pass', 'pin')) NOT VALID",
    "ALTER TABLE reader DROP COLUMN commands_version",
    "DROP TABLE command",
)
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
    """Make the table; the app role gets the rights it needs and no others."""
    for statement in _UP:
        op.execute(statement)
    grant_rights("access", _RIGHTS, functions=("purge_door_events",))


def downgrade() -> None:
    """Forget all commands; their door events stay."""
    for statement in _DOWN:
        op.execute(statement)
