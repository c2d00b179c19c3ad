"""What the app role may do in the database: each right is needed, and nothing else is there."""

import asyncpg
import pytest

from tests.service.billing.world import World

RIGHTS = """
SELECT t.tablename AS name, string_agg(p.privilege, ',' ORDER BY p.privilege) AS rights
FROM (SELECT tablename FROM pg_tables WHERE schemaname = 'public'
      UNION SELECT viewname FROM pg_views WHERE schemaname = 'public') t,
     unnest(ARRAY['DELETE', 'INSERT', 'REFERENCES', 'SELECT', 'TRIGGER', 'TRUNCATE', 'UPDATE']) AS p (privilege)
WHERE has_table_privilege('billing_app', t.tablename, p.privilege) GROUP BY 1
"""
SOME_COLUMNS = """
SELECT c.relname AS name, string_agg(a.attname, ' ' ORDER BY a.attname) AS columns
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
  AND has_column_privilege('billing_app', c.oid, a.attnum, 'UPDATE')
  AND NOT has_table_privilege('billing_app', c.oid, 'UPDATE') GROUP BY 1
"""
ADD, SWEPT = "INSERT,SELECT", "DELETE,INSERT,SELECT"
EXPECTED = {
    "account_balance": "SELECT", "alembic_version": "SELECT", "epoch": "SELECT", "number_gap": "SELECT",
    "charge": ADD, "payment": ADD, "seller": ADD, "clearing_item": ADD, "number_series": ADD, "provider_intent": ADD, "refund": ADD,
    "document": ADD, "document_line": ADD, "journal_entry": ADD, "journal_line": ADD,
    "export_batch": ADD, "export_row": ADD,
    "idempotency_key": SWEPT, "inbox": SWEPT, "outbox": SWEPT, "outbox_delivery": SWEPT, "stripe_event": SWEPT,
    "tax_rule": SWEPT,
}  # fmt: skip


async def test_the_app_role_has_these_rights_and_no_others(world: World):
    assert {row["name"]: row["rights"] for row in await world.rows(RIGHTS, owner=True)} == EXPECTED
    columns = {row["name"]: row["columns"] for row in await world.rows(SOME_COLUMNS, owner=True)}
    assert columns.keys() == {
        "charge", "payment", "seller", "clearing_item", "number_series", "provider_intent", "refund", "idempotency_key", "outbox", "outbox_delivery",
        "stripe_event",
    }  # fmt: skip
    assert columns["clearing_item"] == "detail note resolved_at resolved_by"
    assert columns["outbox"] == "data"
    assert columns["charge"] == (
        "cancelled_at confirmed_at fee_cents hold_until lines problem status sub verdicts version"
    )
    assert columns["payment"] == (
        "buyer checked_at checkout_url expires_at paid_at paid_cents provider_payment_id provider_session_id "
        "refunded_cents status sub version"
    )
    assert "operator" not in columns["seller"].split()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM payment", "DELETE FROM refund", "UPDATE refund SET amount_cents = 1", "DELETE FROM charge",
        "UPDATE charge SET gross_cents = 1", "UPDATE charge SET operator = 'x'", "UPDATE charge SET code = 'x'",
        "UPDATE payment SET amount_cents = 1", "UPDATE payment SET currency = 'USD'", "UPDATE payment SET operator = 'x'",
        "UPDATE payment SET booking_id = id", "UPDATE payment SET livemode = true", "UPDATE seller SET operator = 'x'",
        "DELETE FROM number_series", "DELETE FROM seller", "DELETE FROM provider_intent",
        "UPDATE provider_intent SET request = '{}'", "UPDATE tax_rule SET rate_percent = 0",
        "UPDATE alembic_version SET version_num = '0000'", "DELETE FROM alembic_version", "TRUNCATE payment CASCADE",
        "UPDATE stripe_event SET type = 'x'", "CREATE TABLE x ()", "DROP TABLE payment", "ALTER TABLE payment ADD x int",
    ],
)  # fmt: skip
async def test_the_app_role_is_refused(world: World, statement: str):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await world.rows(statement)
