"""What guards billing's tables: checks, sums at commit, append-only triggers, and the app role's rights.

Written by hand: autogenerate sees neither triggers nor rights. Issued documents, the journal and export batches are
append-only twice: the app role has no right to change them, and a trigger refuses everyone, the owner included.
"""

from alembic import op

from regiohub_shared.db.migrate import NoStepBack
from regiohub_shared.db.rights import FACT_RIGHTS, grant_rights

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_CHECKS = (
    ("charge", "amounts", "gross_cents >= 0 AND fee_cents >= 0"),
    ("payment", "status", "status IN ('created', 'open', 'processing', 'failed', 'expired', 'succeeded')"),
    ("payment", "paid", "amount_cents > 0 AND paid_cents IN (0, amount_cents)"),
    ("payment", "refunded", "refunded_cents BETWEEN 0 AND paid_cents"),
    ("payment", "succeeded", "(status = 'succeeded') = (paid_cents > 0)"),
    ("refund", "status", "status IN ('created', 'pending', 'succeeded', 'failed')"),
    ("refund", "amount", "amount_cents > 0"),
    ("provider_intent", "kind", "kind IN ('checkout', 'expire', 'refund')"),
    ("provider_intent", "state", "state IN ('pending', 'done', 'refused')"),
    ("tax_rule", "rate", "rate_percent BETWEEN 0 AND 100"),
    ("tax_rule", "category", "category IN ('S', 'E', 'O') AND (category = 'S') = (rate_percent > 0)"),
    ("document", "kind", "kind IN ('invoice', 'cancellation')"),
    ("document", "sums", "net_cents + tax_cents = gross_cents AND net_cents >= 0 AND tax_cents >= 0"),
    ("document", "test_series", "test = (series LIKE 'TEST-%')"),
    ("document", "refers", "(kind = 'cancellation') = (refers_to IS NOT NULL)"),
    ("document_line", "sums", "net_cents + tax_cents = gross_cents AND net_cents >= 0 AND tax_cents >= 0"),
    ("journal_entry", "test_series", "test = (series LIKE 'TEST-%')"),
    ("journal_line", "one_side", "least(debit_cents, credit_cents) = 0 AND greatest(debit_cents, credit_cents) > 0"),
    ("clearing_item", "kind", "kind IN ('refund_failed', 'refund_unmatched', 'payment_unmatched', 'not_invoiced')"),
    ("clearing_item", "resolution", "(resolved_at IS NULL) = (resolved_by = '') AND (resolved_by <> '' OR note = '')"),
)

_FUNCTIONS = (
    """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only; correct by a new row', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$
    """,
    """
CREATE FUNCTION check_journal_entry() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    entry journal_entry%ROWTYPE;
    found record;
BEGIN
    SELECT * INTO entry FROM journal_entry WHERE id = (to_jsonb(NEW) ->> TG_ARGV[0])::uuid;
    SELECT count(*) AS lines, coalesce(sum(debit_cents), 0) AS debit, coalesce(sum(credit_cents), 0) AS credit
        INTO found FROM journal_line WHERE entry_id = entry.id;
    IF found.lines <> entry.line_count OR found.lines < 2 OR found.debit <> found.credit THEN
        RAISE EXCEPTION 'journal entry % is not balanced', entry.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$
    """,
    """
CREATE FUNCTION check_document() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    issued document%ROWTYPE;
    found record;
BEGIN
    SELECT * INTO issued FROM document WHERE id = (to_jsonb(NEW) ->> TG_ARGV[0])::uuid;
    SELECT count(*) AS lines, coalesce(sum(net_cents), 0) AS net, coalesce(sum(tax_cents), 0) AS tax
        INTO found FROM document_line WHERE document_id = issued.id;
    IF found.lines <> issued.line_count OR found.net <> issued.net_cents OR found.tax <> issued.tax_cents THEN
        RAISE EXCEPTION 'document % does not add up', issued.number USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$
    """,
)

_RESOLUTION = """
CREATE TRIGGER clearing_item_resolved_once BEFORE UPDATE OR DELETE ON clearing_item
    FOR EACH ROW WHEN (OLD.resolved_at IS NOT NULL) EXECUTE FUNCTION refuse_change()
"""

_AT_COMMIT = (
    ("journal_entry", "check_journal_entry", "id"),
    ("journal_line", "check_journal_entry", "entry_id"),
    ("document", "check_document", "id"),
    ("document_line", "check_document", "document_id"),
)

_APPEND_ONLY = ("document", "document_line", "journal_entry", "journal_line", "export_batch", "export_row")

_BALANCE = """
CREATE VIEW account_balance AS
SELECT e.operator, e.test, l.account, sum(l.debit_cents) AS debit_cents, sum(l.credit_cents) AS credit_cents,
       sum(l.debit_cents - l.credit_cents) AS balance_cents
FROM journal_line l JOIN journal_entry e ON e.id = l.entry_id
GROUP BY e.operator, e.test, l.account
"""

_RIGHTS = {
    "charge": "SELECT, INSERT, UPDATE",
    "payment": "SELECT, INSERT, UPDATE",
    "refund": "SELECT, INSERT, UPDATE (status, provider_refund_id, failure, settled_at, checked_at)",
    "provider_intent": "SELECT, INSERT, "
    "UPDATE (state, fence, leased_until, next_at, first_called_at, finished_at, last_error)",
    "stripe_event": "SELECT, INSERT, DELETE, UPDATE (handled_at, attempts, leased_until, next_at, last_error)",
    "seller": "SELECT, INSERT, UPDATE",
    "tax_rule": "SELECT, INSERT, DELETE",
    "number_series": "SELECT, INSERT, UPDATE (last_number, last_hash)",
    "clearing_item": "SELECT, INSERT, UPDATE (resolved_at, resolved_by, note)",
    "idempotency_key": "SELECT, INSERT, UPDATE (status, body), DELETE",
    "account_balance": "SELECT",
} | dict.fromkeys(_APPEND_ONLY, "SELECT, INSERT")


def upgrade() -> None:
    """Guard everything."""
    for table, name, condition in _CHECKS:
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_{name} CHECK ({condition})")
    for statement in (*_FUNCTIONS, _BALANCE, _RESOLUTION):
        op.execute(statement)
    for table, function, key in _AT_COMMIT:
        op.execute(
            f"CREATE CONSTRAINT TRIGGER {table}_adds_up AFTER INSERT ON {table} "
            f"DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {function}('{key}')"
        )
    for table in _APPEND_ONLY:
        for name, when in (("row", "UPDATE OR DELETE"), ("statement", "TRUNCATE")):
            op.execute(
                f"CREATE TRIGGER {table}_append_only_{name} BEFORE {when} ON {table} "
                f"FOR EACH {name} EXECUTE FUNCTION refuse_change()"
            )
    # An erased member's id goes out of facts too.
    grant_rights("billing", _RIGHTS | FACT_RIGHTS | {"outbox": f"{FACT_RIGHTS['outbox']}, UPDATE (data)"})


def downgrade() -> None:
    """Not offered: restore a backup."""
    raise NoStepBack(
        "No step back: what guards issued documents and the journal, which are kept for ten years, would go."
    )
