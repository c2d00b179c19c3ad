"""The probe's tables."""

from alembic import op

from regiohub_shared.db.rights import grant_rights

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE outbox (
    id uuid PRIMARY KEY, type text NOT NULL, subject text NOT NULL, sequence bigint NOT NULL,
    occurred_at timestamptz NOT NULL, data jsonb NOT NULL, trace jsonb NOT NULL
);
CREATE TABLE outbox_delivery (
    outbox_id uuid NOT NULL REFERENCES outbox, subscriber text NOT NULL, attempts integer NOT NULL,
    next_at timestamptz NOT NULL, leased_until timestamptz, delivered_at timestamptz, dead_at timestamptz,
    last_error text NOT NULL, refusals integer NOT NULL DEFAULT 0, PRIMARY KEY (outbox_id, subscriber)
);
CREATE INDEX ix_outbox_delivery_due ON outbox_delivery (subscriber, next_at)
    WHERE delivered_at IS NULL AND dead_at IS NULL;
CREATE TABLE inbox (event_id uuid PRIMARY KEY, source text NOT NULL, type text NOT NULL, received_at timestamptz NOT NULL);
CREATE TABLE idempotency_key (
    sub text NOT NULL, route text NOT NULL, key text NOT NULL, fingerprint text NOT NULL, status integer NOT NULL,
    body jsonb NOT NULL, created_at timestamptz NOT NULL, PRIMARY KEY (sub, route, key)
);
CREATE TABLE note (
    id uuid PRIMARY KEY, text text NOT NULL, number bigint NOT NULL,
    parent_id uuid REFERENCES note DEFERRABLE INITIALLY DEFERRED
);
CREATE TABLE effect (id uuid PRIMARY KEY, subject text NOT NULL, version integer NOT NULL, applied_at timestamptz NOT NULL);
CREATE TABLE copy (subject text PRIMARY KEY, version integer NOT NULL);
"""


_NAMES = ("outbox", "outbox_delivery", "inbox", "idempotency_key", "note", "effect", "copy")


def upgrade() -> None:
    for statement in _TABLES.split(";"):
        if statement.strip():
            op.execute(statement)
    grant_rights("probe", dict.fromkeys(_NAMES, "SELECT, INSERT, UPDATE, DELETE"))


def downgrade() -> None:
    raise NotImplementedError("the probe only goes up")
