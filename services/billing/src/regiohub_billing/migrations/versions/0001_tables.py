"""Billing's tables: charges, payments, documents, journal, exports, calls, facts. What guards them is in 0002."""

from alembic import op

from regiohub_shared.db.migrate import NoStepBack

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
    """
CREATE TABLE charge (
    booking_id uuid NOT NULL, version bigint NOT NULL, code text NOT NULL, sub text NOT NULL, hub text NOT
    NULL, operator text NOT NULL, status text NOT NULL, gross_cents bigint NOT NULL, fee_cents bigint NOT
    NULL, hold_until timestamptz, confirmed_at timestamptz, cancelled_at timestamptz, lines jsonb NOT NULL,
    verdicts jsonb NOT NULL, problem text NOT NULL,
    CONSTRAINT pk_charge PRIMARY KEY (booking_id)
)
    """,
    "CREATE INDEX ix_charge_operator ON charge (operator)",
    "CREATE INDEX ix_charge_sub ON charge (sub)",
    """
CREATE TABLE clearing_item (
    id uuid NOT NULL, kind text NOT NULL, source text NOT NULL, operator text NOT NULL, payment_id uuid,
    amount_cents bigint NOT NULL, currency text NOT NULL, detail text NOT NULL, created_at timestamptz NOT
    NULL, resolved_at timestamptz, resolved_by text NOT NULL DEFAULT '', note text NOT NULL DEFAULT '',
    CONSTRAINT pk_clearing_item PRIMARY KEY (id)
)
    """,
    """
CREATE UNIQUE INDEX uq_clearing_item_case ON clearing_item (kind, source)
    WHERE resolved_at IS NULL OR kind <> 'not_invoiced'
    """,
    "CREATE INDEX ix_clearing_item_operator ON clearing_item (operator)",
    """
CREATE TABLE export_batch (
    id uuid NOT NULL, operator text NOT NULL, number bigint NOT NULL, productive boolean NOT NULL, profile
    text NOT NULL, file_name text NOT NULL, content bytea NOT NULL, sha256 text NOT NULL, row_count integer
    NOT NULL, sum_cents bigint NOT NULL, replaced jsonb NOT NULL, created_by text NOT NULL, created_at
    timestamptz NOT NULL,
    CONSTRAINT pk_export_batch PRIMARY KEY (id),
    CONSTRAINT uq_export_batch_operator_number UNIQUE (operator, number)
)
    """,
    """
CREATE TABLE idempotency_key (
    sub text NOT NULL, route text NOT NULL, key text NOT NULL, fingerprint text NOT NULL, status integer NOT
    NULL, body jsonb NOT NULL, created_at timestamptz NOT NULL,
    CONSTRAINT pk_idempotency_key PRIMARY KEY (sub, route, key)
)
    """,
    """
CREATE TABLE inbox (
    event_id uuid NOT NULL, source text NOT NULL, type text NOT NULL, received_at timestamptz NOT NULL,
    CONSTRAINT pk_inbox PRIMARY KEY (event_id)
)
    """,
    """
CREATE TABLE number_series (
    operator text NOT NULL, series text NOT NULL, last_number bigint NOT NULL, last_hash text NOT NULL,
    CONSTRAINT pk_number_series PRIMARY KEY (operator, series)
)
    """,
    """
CREATE TABLE outbox (
    id uuid NOT NULL, type text NOT NULL, subject text NOT NULL, sequence bigint NOT NULL, occurred_at
    timestamptz NOT NULL, data jsonb NOT NULL, trace jsonb NOT NULL,
    CONSTRAINT pk_outbox PRIMARY KEY (id)
)
    """,
    """
CREATE TABLE payment (
    id uuid NOT NULL, booking_id uuid NOT NULL, operator text NOT NULL, sub text NOT NULL, version bigint
    NOT NULL, status text NOT NULL, amount_cents bigint NOT NULL, paid_cents bigint NOT NULL, refunded_cents
    bigint NOT NULL, currency text NOT NULL, livemode boolean NOT NULL, buyer jsonb NOT NULL, provider text
    NOT NULL, provider_session_id text NOT NULL, provider_payment_id text NOT NULL, checkout_url text NOT
    NULL, expires_at timestamptz, paid_at timestamptz, created_at timestamptz NOT NULL, checked_at
    timestamptz NOT NULL,
    CONSTRAINT pk_payment PRIMARY KEY (id)
)
    """,
    "CREATE INDEX ix_payment_booking_id ON payment (booking_id)",
    "CREATE INDEX ix_payment_provider_payment_id ON payment (provider_payment_id)",
    "CREATE INDEX ix_payment_status ON payment (status)",
    "CREATE INDEX ix_payment_sub ON payment (sub)",
    "CREATE UNIQUE INDEX uq_payment_open ON payment (booking_id) WHERE status IN ('created', 'open', 'processing')",
    """
CREATE TABLE seller (
    operator text NOT NULL, version integer NOT NULL, name text NOT NULL, street text NOT NULL, postcode
    text NOT NULL, city text NOT NULL, country text NOT NULL, tax_number text NOT NULL, vat_id text NOT
    NULL, accounts jsonb NOT NULL, hkr_profile text NOT NULL, updated_at timestamptz NOT NULL,
    CONSTRAINT pk_seller PRIMARY KEY (operator)
)
    """,
    """
CREATE TABLE stripe_event (
    id text NOT NULL, type text NOT NULL, object_id text NOT NULL, created_at timestamptz NOT NULL,
    api_version text NOT NULL, livemode boolean NOT NULL, payload jsonb NOT NULL, received_at timestamptz
    NOT NULL, handled_at timestamptz, attempts integer NOT NULL, leased_until timestamptz, next_at
    timestamptz NOT NULL, last_error text NOT NULL,
    CONSTRAINT pk_stripe_event PRIMARY KEY (id)
)
    """,
    "CREATE INDEX ix_stripe_event_due ON stripe_event (next_at) WHERE handled_at IS NULL",
    """
CREATE TABLE document (
    id uuid NOT NULL, kind text NOT NULL, operator text NOT NULL, series text NOT NULL, serial bigint NOT
    NULL, number text NOT NULL, test boolean NOT NULL, booking_id uuid NOT NULL, booking_code text NOT NULL,
    payment_id uuid NOT NULL, refers_to uuid, refers_number text NOT NULL, issued_at timestamptz NOT NULL,
    issue_date date NOT NULL, supply_from timestamptz NOT NULL, supply_to timestamptz NOT NULL, seller jsonb
    NOT NULL, buyer jsonb NOT NULL, currency text NOT NULL, net_cents bigint NOT NULL, tax_cents bigint NOT
    NULL, gross_cents bigint NOT NULL, line_count integer NOT NULL, prev_hash text NOT NULL, hash text NOT
    NULL,
    CONSTRAINT pk_document PRIMARY KEY (id),
    CONSTRAINT uq_document_operator_number UNIQUE (operator, number),
    CONSTRAINT uq_document_operator_series_serial UNIQUE (operator, series, serial),
    CONSTRAINT uq_document_payment_id_kind UNIQUE (payment_id, kind),
    CONSTRAINT fk_document_payment_id_payment FOREIGN KEY (payment_id) REFERENCES payment (id),
    CONSTRAINT fk_document_refers_to_document FOREIGN KEY (refers_to) REFERENCES document (id)
)
    """,
    "CREATE INDEX ix_document_booking_id ON document (booking_id)",
    """
CREATE TABLE outbox_delivery (
    outbox_id uuid NOT NULL, subscriber text NOT NULL, attempts integer NOT NULL, refusals integer NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL, leased_until timestamptz, delivered_at timestamptz, dead_at timestamptz, last_error text NOT NULL,
    CONSTRAINT pk_outbox_delivery PRIMARY KEY (outbox_id, subscriber),
    CONSTRAINT fk_outbox_delivery_outbox_id_outbox FOREIGN KEY (outbox_id) REFERENCES outbox (id)
)
    """,
    """
CREATE TABLE tax_rule (
    operator text NOT NULL, tax_code text NOT NULL, valid_from date NOT NULL, rate_percent numeric(5, 2) NOT
    NULL, category text NOT NULL, note text NOT NULL, revenue_account text NOT NULL,
    CONSTRAINT pk_tax_rule PRIMARY KEY (operator, tax_code, valid_from),
    CONSTRAINT fk_tax_rule_operator_seller FOREIGN KEY (operator) REFERENCES seller (operator)
)
    """,
    """
CREATE TABLE document_line (
    document_id uuid NOT NULL, position integer NOT NULL, text text NOT NULL, supply_from timestamptz NOT
    NULL, supply_to timestamptz NOT NULL, gross_cents bigint NOT NULL, net_cents bigint NOT NULL, tax_cents
    bigint NOT NULL, tax_code text NOT NULL, rate_percent numeric(5, 2) NOT NULL, category text NOT NULL,
    note text NOT NULL, revenue_account text NOT NULL,
    CONSTRAINT pk_document_line PRIMARY KEY (document_id, position),
    CONSTRAINT fk_document_line_document_id_document FOREIGN KEY (document_id) REFERENCES document (id)
)
    """,
    """
CREATE TABLE journal_entry (
    id uuid NOT NULL, operator text NOT NULL, series text NOT NULL, serial bigint NOT NULL, test boolean NOT
    NULL, kind text NOT NULL, source_id uuid NOT NULL, payment_id uuid NOT NULL, document_id uuid,
    amount_cents bigint NOT NULL, reference text NOT NULL, posted_on date NOT NULL, posted_at timestamptz
    NOT NULL, line_count integer NOT NULL, prev_hash text NOT NULL, hash text NOT NULL,
    CONSTRAINT pk_journal_entry PRIMARY KEY (id),
    CONSTRAINT uq_journal_entry_kind_source_id UNIQUE (kind, source_id),
    CONSTRAINT uq_journal_entry_operator_series_serial UNIQUE (operator, series, serial),
    CONSTRAINT fk_journal_entry_payment_id_payment FOREIGN KEY (payment_id) REFERENCES payment (id),
    CONSTRAINT fk_journal_entry_document_id_document FOREIGN KEY (document_id) REFERENCES document (id)
)
    """,
    "CREATE INDEX ix_journal_entry_payment_id ON journal_entry (payment_id)",
    """
CREATE TABLE refund (
    id uuid NOT NULL, payment_id uuid NOT NULL, document_id uuid, reason text NOT NULL, amount_cents bigint
    NOT NULL, status text NOT NULL, provider_refund_id text NOT NULL, failure text NOT NULL, created_at
    timestamptz NOT NULL, settled_at timestamptz, checked_at timestamptz NOT NULL,
    CONSTRAINT pk_refund PRIMARY KEY (id),
    CONSTRAINT fk_refund_payment_id_payment FOREIGN KEY (payment_id) REFERENCES payment (id),
    CONSTRAINT fk_refund_document_id_document FOREIGN KEY (document_id) REFERENCES document (id)
)
    """,
    "CREATE INDEX ix_refund_payment_id ON refund (payment_id)",
    "CREATE INDEX ix_refund_provider_refund_id ON refund (provider_refund_id)",
    "CREATE INDEX ix_refund_status ON refund (status)",
    """
CREATE TABLE export_row (
    entry_id uuid NOT NULL, part integer NOT NULL, batch_id uuid NOT NULL, position integer NOT NULL,
    CONSTRAINT pk_export_row PRIMARY KEY (entry_id, part),
    CONSTRAINT fk_export_row_entry_id_journal_entry FOREIGN KEY (entry_id) REFERENCES journal_entry (id),
    CONSTRAINT fk_export_row_batch_id_export_batch FOREIGN KEY (batch_id) REFERENCES export_batch (id)
)
    """,
    "CREATE INDEX ix_export_row_batch_id ON export_row (batch_id)",
    """
CREATE TABLE journal_line (
    entry_id uuid NOT NULL, position integer NOT NULL, account text NOT NULL, debit_cents bigint NOT NULL,
    credit_cents bigint NOT NULL, tax_code text NOT NULL,
    CONSTRAINT pk_journal_line PRIMARY KEY (entry_id, position),
    CONSTRAINT fk_journal_line_entry_id_journal_entry FOREIGN KEY (entry_id) REFERENCES journal_entry (id)
)
    """,
    "CREATE INDEX ix_journal_line_account ON journal_line (account)",
    """
CREATE TABLE provider_intent (
    id uuid NOT NULL, kind text NOT NULL, payment_id uuid NOT NULL, refund_id uuid, attempt integer NOT
    NULL, idempotency_key text NOT NULL, request jsonb NOT NULL, state text NOT NULL, fence integer NOT
    NULL, leased_until timestamptz, next_at timestamptz NOT NULL, first_called_at timestamptz, created_at
    timestamptz NOT NULL, finished_at timestamptz, last_error text NOT NULL,
    CONSTRAINT pk_provider_intent PRIMARY KEY (id),
    CONSTRAINT uq_provider_intent_idempotency_key UNIQUE (idempotency_key),
    CONSTRAINT fk_provider_intent_payment_id_payment FOREIGN KEY (payment_id) REFERENCES payment (id),
    CONSTRAINT fk_provider_intent_refund_id_refund FOREIGN KEY (refund_id) REFERENCES refund (id)
)
    """,
    "CREATE INDEX ix_provider_intent_due ON provider_intent (next_at) WHERE state = 'pending'",
    "CREATE INDEX ix_provider_intent_payment_id ON provider_intent (payment_id)",
)


def upgrade() -> None:
    """Create every table and index."""
    for statement in _TABLES:
        op.execute(statement)


def downgrade() -> None:
    """There is nothing before it."""
    raise NoStepBack("No step back: this is the first schema; documents that are kept for ten years would be lost.")
