"""What a restore leaves in the books: its epoch, the numbers that are left out, and a case for each town.

A gap is written once, by the restore, as owner; the app role reads it. Nobody changes it.
"""

from alembic import op

from regiohub_shared.db.epoch import CREATE, DROP
from regiohub_shared.db.rights import FACT_RIGHTS, grant_rights

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_UP = (
    CREATE,
    """
CREATE TABLE number_gap (
    operator text NOT NULL, series text NOT NULL, first_number bigint NOT NULL, last_number bigint NOT NULL,
    epoch integer NOT NULL, reason text NOT NULL, noted_at timestamptz NOT NULL,
    CONSTRAINT pk_number_gap PRIMARY KEY (operator, series, first_number),
    CONSTRAINT fk_number_gap_epoch_epoch FOREIGN KEY (epoch) REFERENCES epoch (number),
    CONSTRAINT ck_number_gap_order CHECK (0 < first_number AND first_number <= last_number)
)
    """,
    "ALTER TABLE clearing_item DROP CONSTRAINT ck_clearing_item_kind",
    """
ALTER TABLE clearing_item ADD CONSTRAINT ck_clearing_item_kind
    CHECK (kind IN ('refund_failed', 'refund_unmatched', 'payment_unmatched', 'not_invoiced', 'dispute', 'restored'))
    """,
)

_DOWN = (
    DROP[0],
    "DROP TABLE number_gap",
    DROP[1],
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

_FACTS = FACT_RIGHTS | {"outbox": f"{FACT_RIGHTS['outbox']}, UPDATE (data)"}


def upgrade() -> None:
    """Add both tables and the kind."""
    for statement in _UP:
        op.execute(statement)
    for name, when in (("row", "UPDATE OR DELETE"), ("statement", "TRUNCATE")):
        op.execute(
            f"CREATE TRIGGER number_gap_append_only_{name} BEFORE {when} ON number_gap "
            f"FOR EACH {name} EXECUTE FUNCTION refuse_change()"
        )
    grant_rights("billing", _RIGHTS | _FACTS | {"epoch": "SELECT", "number_gap": "SELECT"})


def downgrade() -> None:
    """Take both away as long as no restore has written into them: a gap in the numbers is kept like the documents."""
    for statement in _DOWN:
        op.execute(statement)
    grant_rights("billing", _RIGHTS | _FACTS)
