"""The matrix's own eyes: what they would see, and that nothing is left of it afterwards."""

import pytest

from regiohub_shared.ids import new_id
from tests.service.matrix.roles import ROLES
from tests.service.matrix.scene import Scene
from tests.service.matrix.table import Row, read_table

pytestmark = pytest.mark.asyncio(loop_scope="session")
PLANTED = {
    "booking": (
        "UPDATE booking SET version = version + 1 WHERE id = (SELECT min(id::text)::uuid FROM booking)",
        "booking",
    ),
    "access": ('DELETE FROM "pin"', "pin"),
    "billing": ("UPDATE charge SET fee_cents = fee_cents + 1 WHERE status = 'held'", "charge"),
}


@pytest.mark.parametrize("name", PLANTED)
async def test_a_changed_row_is_seen_and_put_back(scene: Scene, name: str):
    rows, (statement, table) = scene.rows[name], PLANTED[name]
    assert await rows.changed() == []
    async with getattr(scene.street, name).db.transaction() as connection:
        await connection.execute(statement)

    assert await rows.changed() == [table]
    assert await rows.restore() == [table]
    assert await rows.changed() == []


async def test_rows_that_may_never_change_are_put_back_too(scene: Scene):
    rows = scene.rows["billing"]
    await scene.street.billing.rows(
        "INSERT INTO export_batch SELECT (jsonb_populate_record(b, jsonb_build_object('id', $1::text, 'number', 99))).* "
        "FROM export_batch b LIMIT 1", str(new_id()), owner=True,
    )  # fmt: skip

    assert await rows.restore() == ["export_batch"]
    assert await rows.changed() == []


@pytest.mark.parametrize("name", ["booking", "access", "billing", "gateway", "proxy"])
async def test_every_cell_holds_a_status_or_a_word(name: str):
    rows: list[Row] = read_table(name)
    words = {cell for row in rows for cell in row.cells.values()}

    assert {cell for cell in words if not (cell.isdigit() and len(cell) == 3)} <= {"login", "go"}
    assert all(tuple(row.cells) == ROLES for row in rows)
