"""Doors, grants, PINs, passes, deny-list, readers, door events, outbox and inbox.

Revision: 0001, the first
"""

from alembic import op

from regiohub_shared.db.migrate import NoStepBack
from regiohub_shared.db.rights import FACT_RIGHTS, grant_rights

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_PLACES = """
CREATE TABLE hub (
    slug varchar PRIMARY KEY,
    margin_minutes integer NOT NULL CHECK (margin_minutes BETWEEN 0 AND 120),
    address varchar,
    version integer NOT NULL,
    change_sequence bigint NOT NULL,
    epoch bigint NOT NULL CHECK (epoch > 0),
    deny_sequence bigint NOT NULL,
    pins_sequence bigint NOT NULL,
    pins_digest bytea,
    event_number bigint NOT NULL,
    event_hash bytea,
    chain_checked bigint NOT NULL,
    chain_broken bigint
);
CREATE TABLE door (
    hub varchar NOT NULL REFERENCES hub,
    number integer NOT NULL CHECK (number BETWEEN 1 AND 65535),
    name varchar NOT NULL,
    is_outer boolean NOT NULL,
    PRIMARY KEY (hub, number)
);
CREATE TABLE door_resource (
    hub varchar NOT NULL,
    number integer NOT NULL,
    resource_id uuid NOT NULL,
    PRIMARY KEY (hub, number, resource_id),
    FOREIGN KEY (hub, number) REFERENCES door ON DELETE CASCADE
);
CREATE TABLE reader (
    id varchar PRIMARY KEY,
    hub varchar NOT NULL REFERENCES hub,
    created_at timestamptz NOT NULL,
    last_sync_at timestamptz,
    log_id varchar,
    log_sequence bigint NOT NULL,
    log_hash varchar,
    deny_epoch bigint,
    deny_sequence bigint
);
CREATE INDEX ix_reader_hub ON reader (hub);
"""

_GRANTS = """
CREATE TABLE "grant" (
    id uuid PRIMARY KEY,
    booking_id uuid NOT NULL CONSTRAINT uq_grant_booking_id UNIQUE,
    hub varchar NOT NULL REFERENCES hub,
    sub varchar,
    version integer NOT NULL,
    status varchar NOT NULL CHECK (status IN ('active', 'revoked')),
    created_at timestamptz NOT NULL,
    activated_at timestamptz,
    revoked_at timestamptz,
    erased_at timestamptz,
    opened_version integer NOT NULL,
    first_opened_at timestamptz,
    CHECK ((status = 'revoked') = (revoked_at IS NOT NULL)),
    CHECK (erased_at IS NULL OR (sub IS NULL AND status = 'revoked'))
);
CREATE INDEX ix_grant_sub ON "grant" (sub);
CREATE INDEX ix_grant_hub ON "grant" (hub);
CREATE TABLE grant_line (
    grant_id uuid NOT NULL REFERENCES "grant" ON DELETE CASCADE,
    line_id uuid NOT NULL,
    resource_id uuid NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL CHECK (ends_at > starts_at),
    PRIMARY KEY (grant_id, line_id)
);
CREATE TABLE pin (
    grant_id uuid PRIMARY KEY REFERENCES "grant" ON DELETE CASCADE,
    hub varchar NOT NULL REFERENCES hub,
    sealed bytea NOT NULL,
    digest bytea NOT NULL,
    CONSTRAINT uq_pin_hub_digest UNIQUE (hub, digest)
);
CREATE TABLE armed_pin (
    reader_id varchar NOT NULL REFERENCES reader,
    grant_id uuid NOT NULL REFERENCES pin ON DELETE CASCADE,
    armed_at timestamptz NOT NULL,
    PRIMARY KEY (reader_id, grant_id)
);
CREATE INDEX ix_armed_pin_grant_id ON armed_pin (grant_id);
"""

_PASSES = """
CREATE TABLE issuer_key (
    kid bytea PRIMARY KEY CHECK (length(kid) BETWEEN 1 AND 4),
    x bytea NOT NULL,
    y bytea NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL,
    active_at timestamptz NOT NULL
);
CREATE TABLE holder_key (
    grant_id uuid NOT NULL REFERENCES "grant" ON DELETE CASCADE,
    thumbprint bytea NOT NULL CHECK (length(thumbprint) = 32),
    created_at timestamptz NOT NULL,
    replaced_at timestamptz,
    PRIMARY KEY (grant_id, thumbprint)
);
CREATE TABLE pass (
    id bytea PRIMARY KEY CHECK (length(id) = 8),
    grant_id uuid NOT NULL REFERENCES "grant" ON DELETE CASCADE,
    hub varchar NOT NULL REFERENCES hub,
    thumbprint bytea NOT NULL,
    kid bytea NOT NULL,
    doors integer[] NOT NULL CHECK (cardinality(doors) > 0),
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    token bytea NOT NULL,
    issued_at timestamptz NOT NULL,
    revoked_at timestamptz,
    CHECK (ends_at > starts_at AND ends_at <= starts_at + interval '24 hours')
);
CREATE INDEX ix_pass_grant_id ON pass (grant_id);
-- One live pass per day (piece of a window) and key.
CREATE UNIQUE INDEX uq_pass_live ON pass (grant_id, thumbprint, starts_at) WHERE revoked_at IS NULL;
CREATE TABLE deny_entry (
    hub varchar NOT NULL REFERENCES hub,
    pass_id bytea NOT NULL,
    sequence bigint NOT NULL,
    ends_at timestamptz NOT NULL,
    PRIMARY KEY (hub, pass_id),
    CONSTRAINT uq_deny_entry_hub_sequence UNIQUE (hub, sequence)
);
"""

_EVENTS = """
CREATE TABLE door_event (
    hub varchar NOT NULL REFERENCES hub,
    number bigint NOT NULL CHECK (number > 0),
    reader_id varchar NOT NULL,
    reader_log varchar NOT NULL,
    reader_sequence bigint NOT NULL,
    door integer NOT NULL,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    method varchar NOT NULL CHECK (method IN ('pass', 'pin')),
    decision varchar NOT NULL CHECK (decision IN ('allowed', 'denied')),
    reason varchar NOT NULL,
    credential varchar,
    late boolean NOT NULL,
    is_chained boolean NOT NULL,
    doubt varchar,
    PRIMARY KEY (hub, number),
    CONSTRAINT uq_door_event_reader UNIQUE (reader_id, reader_log, reader_sequence)
);
CREATE INDEX ix_door_event_received_at ON door_event (received_at);
CREATE INDEX ix_door_event_credential ON door_event (credential);
CREATE TABLE chain_link (
    hub varchar NOT NULL REFERENCES hub,
    number bigint NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (hub, number)
);
"""

# The only way a door event goes. The bounds hold whatever the caller says: never younger than 30 or 90 days.
_PURGE = """
CREATE FUNCTION purge_door_events(p_now timestamptz, p_allowed_days integer, p_denied_days integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH gone AS (
        DELETE FROM door_event
        WHERE received_at < least(p_now, clock_timestamp())
            - make_interval(days => CASE decision WHEN 'allowed' THEN greatest(p_allowed_days, 30)
                                                  ELSE greatest(p_denied_days, 90) END)
        RETURNING 1
    ) SELECT count(*) FROM gone
$$;
"""

_FACTS = """
CREATE TABLE outbox (
    id uuid PRIMARY KEY,
    type text NOT NULL,
    subject text NOT NULL,
    sequence bigint NOT NULL,
    occurred_at timestamptz NOT NULL,
    data jsonb NOT NULL,
    trace jsonb NOT NULL
);
CREATE TABLE outbox_delivery (
    outbox_id uuid NOT NULL REFERENCES outbox,
    subscriber text NOT NULL,
    attempts integer NOT NULL,
    refusals integer NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL,
    leased_until timestamptz,
    delivered_at timestamptz,
    dead_at timestamptz,
    last_error text NOT NULL,
    PRIMARY KEY (outbox_id, subscriber)
);
CREATE INDEX ix_outbox_delivery_due ON outbox_delivery (subscriber, next_at)
    WHERE delivered_at IS NULL AND dead_at IS NULL;
CREATE TABLE inbox (
    event_id uuid PRIMARY KEY,
    source text NOT NULL,
    type text NOT NULL,
    received_at timestamptz NOT NULL
);
"""

_RIGHTS = {
    "hub": "SELECT, INSERT, UPDATE",
    "door": "SELECT, INSERT, UPDATE, DELETE",
    "door_resource": "SELECT, INSERT, DELETE",
    "reader": "SELECT, INSERT, UPDATE",
    "grant": "SELECT, INSERT, UPDATE",
    "grant_line": "SELECT, INSERT, DELETE",
    "pin": "SELECT, INSERT, DELETE",
    "armed_pin": "SELECT, INSERT, DELETE",
    "issuer_key": "SELECT, INSERT, DELETE",
    "holder_key": "SELECT, INSERT, UPDATE, DELETE",
    "pass": "SELECT, INSERT, UPDATE, DELETE",
    "deny_entry": "SELECT, INSERT, DELETE",
    "door_event": "SELECT, INSERT",
    "chain_link": "SELECT, INSERT",
    **FACT_RIGHTS,
}


def _run(statements: str) -> None:
    # asyncpg prepares one statement at a time.
    for statement in statements.split(";\n"):
        if statement.strip():
            op.execute(statement)


def upgrade() -> None:
    """Make everything; the app role gets the rights it needs and no others."""
    for part in (_PLACES, _GRANTS, _PASSES, _EVENTS, _FACTS):
        _run(part)
    op.execute(_PURGE)
    op.execute("REVOKE ALL ON FUNCTION purge_door_events FROM PUBLIC")
    grant_rights("access", _RIGHTS, functions=("purge_door_events",))


def downgrade() -> None:
    """There is nothing before it."""
    raise NoStepBack("No step back: this is the first schema; all grants and door events would be lost.")
