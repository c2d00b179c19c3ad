"""From the first schema, with the rows of real use in it, to the newest, one step back, and forward again."""

import asyncio
import sys
from contextlib import ExitStack
from datetime import UTC, datetime

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from regiohub_shared.db.migrate import NoStepBack
from tests.service.booking.world import DESK, FREE
from tests.service.migrations.old_rows import bring_to, columns_of, first_schema, lay, rows_of, schema_of, validate
from tests.service.restore.test_drill import Tale, fetch_keys
from tests.support.pg import Cluster, migrations_of
from tests.support.restoring import SERVICES
from tests.support.world_street import Street, street_on

AT = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
LATER = {"booking": {"calendar_feed"}, "access": {"command"}, "billing": {"number_gap"}}
"""Tables that the first version had not, beside the epoch."""
FIRST = {"booking": "-5", "access": "-3", "billing": "-1"}
"""As many steps as there are before one that refuses."""


async def lived_in(town: Street) -> list[dict[str, object]]:
    """Paid with a pass on a phone, cancelled with the money back, free, and held."""
    paid, cancelled, free, held = [await town.hold(place) for place in (DESK, DESK, FREE, DESK)]
    for booking in (paid, cancelled):
        await town.pay(booking)
    await town.deliver()
    await town.cancel(cancelled)
    await town.deliver()
    await town.billing.work()
    await town.deliver()
    await fetch_keys(town, Tale(), paid)
    return [paid, cancelled, free, held]


async def test_an_installation_of_the_first_day_becomes_one_of_today(
    cluster: Cluster, town: Street, sandbox_origin: str
) -> None:
    bookings = await lived_in(town)
    told = [await town.read(booking) for booking in bookings]
    with ExitStack() as stack:
        old = {name: stack.enter_context(first_schema(cluster, name, town.urls[name])) for name in SERVICES}
        laid = {}
        for name, urls in old.items():
            columns = await columns_of(urls.owner)
            assert (await columns_of(town.urls[name].owner)).keys() - columns.keys() == LATER[name] | {"epoch"}
            rows = laid[name] = await rows_of(town.urls[name].owner, columns)
            await lay(cluster, urls.owner, rows, columns)
            assert await rows_of(urls.owner, columns) == rows

            for revision in ("head", "-1", "head", FIRST[name], "head"):
                bring_to(name, urls, revision)
                assert await rows_of(urls.owner, columns) == rows, f"{name} to {revision}"
            assert await columns_of(urls.owner) == await columns_of(town.urls[name].owner)

        async with street_on(old, sandbox_origin) as today:
            today.by = town.by
            assert [await today.read(booking) for booking in bookings] == told
    filled = {name: {table for table, rows in found.items() if rows} for name, found in laid.items()}
    assert filled["booking"] >= {"booking", "line", "occupancy", "outbox", "outbox_delivery", "inbox", "mail_job"}
    assert filled["access"] >= {"hub", "door", "grant", "pass", "holder_key", "inbox"}
    assert filled["billing"] >= {"payment", "document", "document_line", "journal_entry", "journal_line", "refund"}


@pytest.mark.parametrize(("member", "revisions"), [
    ("booking", ["0005", "0004", "0003", "0002", "0001"]), ("access", ["0003", "0002", "0001"]),
    ("billing", ["0003"]), ("gateway", ["0001"]),
])  # fmt: skip
async def test_a_step_back_leaves_what_the_version_before_made_and_may_use(
    cluster: Cluster, member: str, revisions: list[str]
) -> None:
    """Columns, indexes, constraints, triggers and the app's rights; a right more than before does no harm."""
    with cluster.database(member) as newest, first_schema(cluster, member, newest) as fresh:
        made = {}
        for revision in reversed(revisions):
            bring_to(member, fresh, revision)
            made[revision] = schema_of(fresh.owner)
        for revision in revisions:
            bring_to(member, newest, "-1")
            await validate(newest.owner)
            back = schema_of(newest.owner)
            lacking = sorted(made[revision] - back)
            more = sorted(one for one in back - made[revision] if not one.startswith("GRANT "))
            assert (lacking, more) == ([], []), f"{member} at {revision}"


@pytest.mark.parametrize(
    ("member", "steps", "why"),
    [
        ("booking", "-6", "all bookings"),
        ("access", "-4", "all grants and door events"),
        ("billing", "-2", "a payer's bank"),
    ],
)
async def test_a_step_back_that_would_lose_facts_says_which(
    cluster: Cluster, member: str, steps: str, why: str
) -> None:
    with cluster.database(member) as urls:
        before = await columns_of(urls.owner)

        with pytest.raises(NoStepBack, match=why):
            bring_to(member, urls, steps)

        assert await columns_of(urls.owner) == before


async def test_sessions_of_the_first_day_go_on(cluster: Cluster) -> None:
    with cluster.database("gateway") as newest, first_schema(cluster, "gateway", newest) as urls:
        owner = await asyncpg.connect(urls.owner)
        await owner.execute(
            "INSERT INTO session VALUES ('a', 'member', 'sid', 'csrf', '\\x00ff', $1, NULL, 0, $1, $1, $1)", AT
        )
        await owner.execute("INSERT INTO rate_limit VALUES ('address', ARRAY[$1::timestamptz], $1)", AT)
        await owner.execute("INSERT INTO logout_token VALUES ('jti', $1)", AT)
        await owner.close()
        columns = await columns_of(urls.owner)
        rows = await rows_of(urls.owner, columns)
        assert all(rows.values())

        for revision in ("head", "-1", "head"):
            bring_to("gateway", urls, revision)
            assert await rows_of(urls.owner, columns) == rows


@pytest.mark.parametrize("member", SERVICES)
async def test_no_step_back_loses_what_a_restore_has_written(cluster: Cluster, member: str) -> None:
    with cluster.database(member) as urls:
        owner = await asyncpg.connect(urls.owner)
        await owner.execute("INSERT INTO epoch VALUES (1, $1, $1)", AT)

        with pytest.raises(DBAPIError, match="a restore has raised the epoch"):
            bring_to(member, urls, "-1")

        assert await owner.fetchval("SELECT number FROM epoch") == 1
        await owner.close()
        assert await _told_by_the_job(member, urls.owner) == (
            "No step back: a restore has raised the epoch, and without it neighbours skip what is new."
        )


async def _told_by_the_job(member: str, owner: str) -> str:
    call = "import sys; from pathlib import Path; from regiohub_shared.db.migrate import main; main(Path(sys.argv.pop()), sys.argv.pop())"
    command = [sys.executable, "-c", call, "-1", owner, str(migrations_of(f"regiohub_{member}"))]
    job = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, said = await job.communicate()
    assert job.returncode == 1
    return said.decode().strip()
