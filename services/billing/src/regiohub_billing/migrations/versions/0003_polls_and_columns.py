"""Indexes for what the worker asks for many times a minute, updates by column only, and disputes as cases.

Written by hand: autogenerate does not see rights. What a charge or a payment was agreed on never changes.
"""

from alembic import op

from regiohub_shared.db.migrate import NoStepBack
from regiohub_shared.db.rights import FACT_RIGHTS, grant_rights

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_INDEXES = (
    # Without dead_at in its condition: readiness counts dead letters too.
    "CREATE INDEX ix_outbox_delivery_due ON outbox_delivery (subscriber, next_at) WHERE delivered_at IS NULL",
    # Nearly all refunds are done: the two partial ones take its place.
    "DROP INDEX ix_refund_status",
    "CREATE INDEX ix_refund_waiting ON refund (checked_at) WHERE status = 'pending'",
    # Bounded by age: done refunds pile up for ever, those of two weeks do not.
    "CREATE INDEX ix_refund_recent ON refund (created_at, checked_at) WHERE status = 'succeeded'",
    "CREATE INDEX ix_charge_stuck ON charge (booking_id) WHERE problem <> ''",
)

_DISPUTES = (
    "ALTER TABLE clearing_item DROP CONSTRAINT ck_clearing_item_kind",
    """
ALTER TABLE clearing_item ADD CONSTRAINT ck_clearing_item_kind
    CHECK (kind IN ('refund_failed', 'refund_unmatched', 'payment_unmatched', 'not_invoiced', 'dispute'))
    """,
)

_RIGHTS = {
    "charge": "SELECT, INSERT, UPDATE (version, sub, status, fee_cents, hold_until, confirmed_at, cancelled_at, lines, "
    "verdicts, problem)",
    "payment": "SELECT, INSERT, UPDATE (sub, version, status, paid_cents, refunded_cents, buyer, provider_session_id, "
    "provider_payment_id, checkout_url, expires_at, paid_at, checked_at)",
    "refund": "SELECT, INSERT, UPDATE (status, provider_refund_id, failure, settled_at, checked_at)",
    "provider_intent": "SELECT, INSERT, "
    "UPDATE (state, fence, leased_until, next_at, first_called_at, finished_at, last_error)",
    "stripe_event": "SELECT, INSERT, DELETE, UPDATE (handled_at, attempts, leased_until, next_at, last_error)",
    "seller": "SELECT, INSERT, UPDATE (version, name, street, postcode, city, country, tax_number, vat_id, accounts, "
    "hkr_profile, updated_at)",
    "tax_rule": "SELECT, INSERT, DELETE",
    "number_series": "SELECT, INSERT, UPDATE (last_number, last_hash)",
    "clearing_item": "SELECT, INSERT, UPDATE (detail, resolved_at, resolved_by, note)",
    "idempotency_key": "SELECT, INSERT, UPDATE (status, body), DELETE",
    "account_balance": "SELECT",
} | dict.fromkeys(
    ("document", "document_line", "journal_entry", "journal_line", "export_batch", "export_row"), "SELECT, INSERT"
)


def upgrade() -> None:
    """Add the indexes and the kind; take the right to change what is agreed."""
    for statement in (*_INDEXES, *_DISPUTES):
        op.execute(statement)
    # An erased member's id goes out of facts too.
    grant_rights("billing", _RIGHTS | FACT_RIGHTS | {"outbox": f"{FACT_RIGHTS['outbox']}, UPDATE (data)"})


def downgrade() -> None:
    """Not offered: restore a backup."""
    raise NoStepBack("No step back: money that a payer's bank takes back would no longer be a case.")
