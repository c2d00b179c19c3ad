"""The database keeps wholes and parts one level deep; the index of undelivered facts serves dead letters too.

A whole claims its parts' rows and no others, so a part with parts of its own could be booked beside its whole. The
trigger takes the hub's row first, as every writer of parts does: two changes at once see each other.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ONE_LEVEL = """
CREATE FUNCTION parts_are_one_level() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM hub WHERE slug = (SELECT hub FROM resource WHERE id = NEW.resource_id) FOR NO KEY UPDATE;
    IF EXISTS (SELECT FROM resource_part WHERE resource_id = NEW.part_id)
        OR EXISTS (SELECT FROM resource_part WHERE part_id = NEW.resource_id)
        OR (SELECT hub FROM resource WHERE id = NEW.part_id) <> (SELECT hub FROM resource WHERE id = NEW.resource_id)
    THEN
        RAISE EXCEPTION 'a part has no parts, a whole is nobody''s part, and both are of one hub'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_resource_part_one_level';
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    # Without dead_at in its condition: readiness and metrics count dead letters.
    _recreate_due("delivered_at IS NULL")
    op.execute(_ONE_LEVEL)
    op.execute(
        "CREATE TRIGGER resource_part_one_level BEFORE INSERT OR UPDATE ON resource_part "
        "FOR EACH ROW EXECUTE FUNCTION parts_are_one_level()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER resource_part_one_level ON resource_part")
    op.execute("DROP FUNCTION parts_are_one_level()")
    _recreate_due("delivered_at IS NULL AND dead_at IS NULL")


def _recreate_due(condition: str) -> None:
    op.execute("DROP INDEX ix_outbox_delivery_due")
    op.execute(f"CREATE INDEX ix_outbox_delivery_due ON outbox_delivery (subscriber, next_at) WHERE {condition}")
