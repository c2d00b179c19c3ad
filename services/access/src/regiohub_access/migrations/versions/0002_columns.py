"""Updates by column only, and a grant that can lose its person but never gets another; an index for readiness.

Written by hand: autogenerate sees neither rights nor triggers.
"""

from alembic import op

from regiohub_shared.db.rights import FACT_RIGHTS, grant_rights

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_KEEP_PERSON = (
    """
CREATE FUNCTION refuse_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a grant stays its person''s own' USING ERRCODE = 'restrict_violation';
END $$
    """,
    """
CREATE TRIGGER grant_keeps_its_person BEFORE UPDATE OF sub ON "grant"
    FOR EACH ROW WHEN (NEW.sub IS NOT NULL AND NEW.sub IS DISTINCT FROM OLD.sub)
    EXECUTE FUNCTION refuse_another_person()
    """,
)

_INDEXES = (
    "DROP INDEX ix_outbox_delivery_due",
    # Without dead_at in its condition: readiness counts dead letters too.
    "CREATE INDEX ix_outbox_delivery_due ON outbox_delivery (subscriber, next_at) WHERE delivered_at IS NULL",
)

_DOWN = (
    "DROP INDEX ix_outbox_delivery_due",
    """
CREATE INDEX ix_outbox_delivery_due ON outbox_delivery (subscriber, next_at)
    WHERE delivered_at IS NULL AND dead_at IS NULL
    """,
    'DROP TRIGGER grant_keeps_its_person ON "grant"',
    "DROP FUNCTION refuse_another_person()",
)

_RIGHTS = {
    "hub": "SELECT, INSERT, UPDATE (margin_minutes, address, version, change_sequence, epoch, deny_sequence, "
    "pins_sequence, pins_digest, event_number, event_hash, chain_checked, chain_broken)",
    "door": "SELECT, INSERT, DELETE",
    "door_resource": "SELECT, INSERT, DELETE",
    "reader": "SELECT, INSERT, UPDATE (hub, last_sync_at, log_id, log_sequence, log_hash, deny_epoch, deny_sequence)",
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
    **FACT_RIGHTS,
}

_WHOLE_ROWS = dict.fromkeys(("hub", "reader", "grant"), "SELECT, INSERT, UPDATE") | dict.fromkeys(
    ("door", "holder_key", "pass"), "SELECT, INSERT, UPDATE, DELETE"
)


def upgrade() -> None:
    """Guard the person; take the rights that the code does not use."""
    for statement in (*_KEEP_PERSON, *_INDEXES):
        op.execute(statement)
    grant_rights("access", _RIGHTS, functions=("purge_door_events",))


def downgrade() -> None:
    """Give whole rows again, as the code of 0001 relied on."""
    for statement in _DOWN:
        op.execute(statement)
    grant_rights("access", _RIGHTS | _WHOLE_ROWS, functions=("purge_door_events",))
