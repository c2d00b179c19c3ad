"""The first schema of booking: places, bookings, occupancy, facts, mails.

Written by hand: autogenerate does not see exclusion constraints, lanes and rights.
"""

from alembic import op

from regiohub_shared.db.migrate import NoStepBack
from regiohub_shared.db.rights import FACT_RIGHTS, grant_rights

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_PLACES = (
    "CREATE EXTENSION IF NOT EXISTS btree_gist",
    """CREATE TABLE operator (
        slug text CONSTRAINT pk_operator PRIMARY KEY,
        name text NOT NULL,
        version integer NOT NULL)""",
    """CREATE TABLE hub (
        slug text CONSTRAINT pk_hub PRIMARY KEY,
        operator text NOT NULL CONSTRAINT fk_hub_operator_operator REFERENCES operator (slug),
        name text NOT NULL, street text NOT NULL, postcode text NOT NULL, city text NOT NULL,
        door_hint text NOT NULL, time_zone text NOT NULL, version integer NOT NULL)""",
    "CREATE INDEX ix_hub_operator ON hub (operator)",
    """CREATE TABLE resource (
        id uuid CONSTRAINT pk_resource PRIMARY KEY,
        hub text NOT NULL CONSTRAINT fk_resource_hub_hub REFERENCES hub (slug),
        name text NOT NULL, kind text NOT NULL, description text NOT NULL, position integer NOT NULL,
        cents_per_hour integer NOT NULL, tax_code text NOT NULL,
        granularity_minutes integer NOT NULL, min_minutes integer NOT NULL, max_minutes integer NOT NULL,
        horizon_days integer NOT NULL, buffer_before_minutes integer NOT NULL, buffer_after_minutes integer NOT NULL,
        is_active boolean NOT NULL, version integer NOT NULL,
        CONSTRAINT ck_resource_price CHECK (cents_per_hour >= 0),
        CONSTRAINT ck_resource_granularity CHECK (granularity_minutes BETWEEN 5 AND 1440),
        CONSTRAINT ck_resource_duration CHECK (min_minutes > 0 AND max_minutes >= min_minutes),
        CONSTRAINT ck_resource_buffer CHECK (buffer_before_minutes >= 0 AND buffer_after_minutes >= 0),
        CONSTRAINT ck_resource_horizon CHECK (horizon_days > 0),
        CONSTRAINT ck_resource_tax_code CHECK (tax_code IN ('S19', 'S07', 'E12', 'K19', 'O2B')))""",
    "CREATE INDEX ix_resource_hub ON resource (hub)",
    """CREATE TABLE resource_part (
        resource_id uuid NOT NULL CONSTRAINT fk_resource_part_resource_id_resource REFERENCES resource (id),
        part_id uuid NOT NULL CONSTRAINT fk_resource_part_part_id_resource REFERENCES resource (id),
        CONSTRAINT pk_resource_part PRIMARY KEY (resource_id, part_id),
        CONSTRAINT ck_resource_part_not_itself CHECK (resource_id <> part_id))""",
    "CREATE INDEX ix_resource_part_part_id ON resource_part (part_id)",
    """CREATE TABLE opening_hours (
        id uuid CONSTRAINT pk_opening_hours PRIMARY KEY,
        hub text NOT NULL CONSTRAINT fk_opening_hours_hub_hub REFERENCES hub (slug),
        resource_id uuid CONSTRAINT fk_opening_hours_resource_id_resource REFERENCES resource (id),
        weekday integer NOT NULL, opens integer NOT NULL, closes integer NOT NULL,
        CONSTRAINT ck_opening_hours_weekday CHECK (weekday BETWEEN 1 AND 7),
        CONSTRAINT ck_opening_hours_minutes CHECK (opens >= 0 AND opens < closes AND closes <= 1440))""",
    "CREATE INDEX ix_opening_hours_hub ON opening_hours (hub)",
    "CREATE INDEX ix_opening_hours_resource_id ON opening_hours (resource_id)",
    """CREATE TABLE closure (
        id uuid CONSTRAINT pk_closure PRIMARY KEY,
        hub text NOT NULL CONSTRAINT fk_closure_hub_hub REFERENCES hub (slug),
        resource_id uuid CONSTRAINT fk_closure_resource_id_resource REFERENCES resource (id),
        starts_at timestamptz NOT NULL, ends_at timestamptz NOT NULL, reason text NOT NULL,
        created_by text NOT NULL, created_at timestamptz NOT NULL,
        CONSTRAINT ck_closure_order CHECK (starts_at < ends_at))""",
    "CREATE INDEX ix_closure_hub ON closure (hub)",
)

_BOOKINGS = (
    """CREATE TABLE member (
        sub text CONSTRAINT pk_member PRIMARY KEY, name text NOT NULL, mail text, read_at timestamptz NOT NULL)""",
    """CREATE TABLE booking (
        id uuid CONSTRAINT pk_booking PRIMARY KEY,
        code text NOT NULL CONSTRAINT uq_booking_code UNIQUE,
        sub text NOT NULL,
        hub text NOT NULL CONSTRAINT fk_booking_hub_hub REFERENCES hub (slug),
        operator text NOT NULL, status text NOT NULL, version integer NOT NULL,
        gross_cents integer NOT NULL, fee_cents integer NOT NULL,
        starts_at timestamptz NOT NULL, ends_at timestamptz NOT NULL, created_at timestamptz NOT NULL,
        held_at timestamptz, hold_until timestamptz, confirmed_at timestamptz, cancelled_at timestamptz,
        cancelled_by text, expired_at timestamptz, checked_in_at timestamptz, completed_at timestamptz,
        CONSTRAINT ck_booking_status CHECK (status IN ('requested', 'held', 'confirmed', 'checked_in', 'completed',
            'rejected', 'expired', 'cancelled', 'no_show')),
        CONSTRAINT ck_booking_hold_has_end CHECK (status NOT IN ('held', 'requested') OR hold_until IS NOT NULL),
        CONSTRAINT ck_booking_confirmed CHECK (status NOT IN ('confirmed', 'checked_in', 'completed')
            OR confirmed_at IS NOT NULL),
        CONSTRAINT ck_booking_cancelled CHECK (status <> 'cancelled' OR cancelled_at IS NOT NULL),
        CONSTRAINT ck_booking_order CHECK (starts_at < ends_at),
        CONSTRAINT ck_booking_cents CHECK (gross_cents >= 0 AND fee_cents >= 0 AND version > 0))""",
    "CREATE INDEX ix_booking_sub_id ON booking (sub, id)",
    "CREATE INDEX ix_booking_hub_starts_at ON booking (hub, starts_at)",
    "CREATE INDEX ix_booking_hold_until ON booking (hold_until) WHERE status IN ('held', 'requested')",
    "CREATE INDEX ix_booking_ends_at ON booking (ends_at) WHERE status IN ('confirmed', 'checked_in')",
    """CREATE TABLE line (
        id uuid CONSTRAINT pk_line PRIMARY KEY,
        booking_id uuid NOT NULL CONSTRAINT fk_line_booking_id_booking REFERENCES booking (id),
        position integer NOT NULL,
        resource_id uuid NOT NULL CONSTRAINT fk_line_resource_id_resource REFERENCES resource (id),
        resource_name text NOT NULL, starts_at timestamptz NOT NULL, ends_at timestamptz NOT NULL,
        gross_cents integer NOT NULL, tax_code text NOT NULL, derivation jsonb NOT NULL,
        CONSTRAINT uq_line_booking_id_position UNIQUE (booking_id, position),
        CONSTRAINT ck_line_order CHECK (starts_at < ends_at),
        CONSTRAINT ck_line_cents CHECK (gross_cents >= 0))""",
    "CREATE INDEX ix_line_resource_id ON line (resource_id)",
    """CREATE TABLE payment_verdict (
        payment_id uuid CONSTRAINT pk_payment_verdict PRIMARY KEY,
        booking_id uuid NOT NULL CONSTRAINT fk_payment_verdict_booking_id_booking REFERENCES booking (id),
        version bigint NOT NULL, paid_cents integer NOT NULL, refunded_cents integer NOT NULL,
        verdict text, decided_at timestamptz,
        CONSTRAINT ck_payment_verdict_verdict CHECK (verdict IN ('accepted', 'refund')))""",
    "CREATE INDEX ix_payment_verdict_booking_id ON payment_verdict (booking_id)",
    # One booking is paid at most once; every further payment goes back.
    "CREATE UNIQUE INDEX uq_payment_verdict_accepted ON payment_verdict (booking_id) WHERE verdict = 'accepted'",
    """CREATE TABLE mail_job (
        id uuid CONSTRAINT pk_mail_job PRIMARY KEY,
        booking_id uuid NOT NULL CONSTRAINT fk_mail_job_booking_id_booking REFERENCES booking (id),
        kind text NOT NULL, sequence integer NOT NULL, attempts integer NOT NULL, next_at timestamptz NOT NULL, leased_until timestamptz,
        sent_at timestamptz, dead_at timestamptz, last_error text NOT NULL,
        CONSTRAINT uq_mail_job_booking_id_kind UNIQUE (booking_id, kind),
        CONSTRAINT ck_mail_job_kind CHECK (kind IN ('confirmed', 'cancelled')))""",
    "CREATE INDEX ix_mail_job_due ON mail_job (next_at) WHERE sent_at IS NULL AND dead_at IS NULL",
)

_OCCUPANCY = (
    "CREATE SEQUENCE occupancy_lane AS bigint",
    """CREATE TABLE occupancy (
        id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_occupancy PRIMARY KEY,
        line_id uuid CONSTRAINT fk_occupancy_line_id_line REFERENCES line (id),
        closure_id uuid CONSTRAINT fk_occupancy_closure_id_closure REFERENCES closure (id),
        resource_id uuid NOT NULL, span tstzrange NOT NULL, lane int8range NOT NULL,
        CONSTRAINT ck_occupancy_one_owner CHECK (num_nonnulls(line_id, closure_id) = 1),
        CONSTRAINT ck_occupancy_span CHECK (NOT isempty(span) AND NOT lower_inf(span) AND NOT upper_inf(span)),
        CONSTRAINT ck_occupancy_lane CHECK (NOT isempty(lane)),
        CONSTRAINT occupancy_no_overlap EXCLUDE USING gist (resource_id WITH =, span WITH &&, lane WITH &&))""",
    "CREATE INDEX ix_occupancy_line_id ON occupancy (line_id)",
    "CREATE INDEX ix_occupancy_closure_id ON occupancy (closure_id)",
)

_FACTS = (
    """CREATE TABLE outbox (
        id uuid CONSTRAINT pk_outbox PRIMARY KEY, type text NOT NULL, subject text NOT NULL, sequence bigint NOT NULL,
        occurred_at timestamptz NOT NULL, data jsonb NOT NULL, trace jsonb NOT NULL)""",
    "CREATE INDEX ix_outbox_subject ON outbox (subject)",
    """CREATE TABLE outbox_delivery (
        outbox_id uuid NOT NULL CONSTRAINT fk_outbox_delivery_outbox_id_outbox REFERENCES outbox (id),
        subscriber text NOT NULL, attempts integer NOT NULL, refusals integer NOT NULL DEFAULT 0,
        next_at timestamptz NOT NULL, leased_until timestamptz,
        delivered_at timestamptz, dead_at timestamptz, last_error text NOT NULL,
        CONSTRAINT pk_outbox_delivery PRIMARY KEY (outbox_id, subscriber))""",
    """CREATE INDEX ix_outbox_delivery_due ON outbox_delivery (subscriber, next_at)
        WHERE delivered_at IS NULL AND dead_at IS NULL""",
    """CREATE TABLE inbox (
        event_id uuid CONSTRAINT pk_inbox PRIMARY KEY, source text NOT NULL, type text NOT NULL,
        received_at timestamptz NOT NULL)""",
    """CREATE TABLE idempotency_key (
        sub text NOT NULL, route text NOT NULL, key text NOT NULL, fingerprint text NOT NULL, status integer NOT NULL,
        body jsonb NOT NULL, created_at timestamptz NOT NULL,
        CONSTRAINT pk_idempotency_key PRIMARY KEY (sub, route, key))""",
    "CREATE INDEX ix_idempotency_key_created_at ON idempotency_key (created_at)",
)

# Nothing that was promised can be deleted, frozen lines and prices cannot be changed.
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
    "cancelled_at, cancelled_by, expired_at, checked_in_at, completed_at)",
    "line": "SELECT, INSERT",
    "occupancy": "SELECT, INSERT, DELETE",
    "payment_verdict": "SELECT, INSERT, UPDATE (version, paid_cents, refunded_cents, verdict, decided_at)",
    "mail_job": "SELECT, INSERT, DELETE, UPDATE (attempts, next_at, leased_until, sent_at, dead_at, last_error)",
    "idempotency_key": "SELECT, INSERT, DELETE",
} | FACT_RIGHTS


def upgrade() -> None:
    for statement in (*_PLACES, *_BOOKINGS, *_OCCUPANCY, *_FACTS):
        op.execute(statement)
    grant_rights("booking", _RIGHTS, sequences=("occupancy_lane",))


def downgrade() -> None:
    raise NoStepBack("No step back: this is the first schema; all bookings would be lost.")
