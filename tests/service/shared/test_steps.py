"""Each migration goes forward over rows, one step back, and forward again; the code before it keeps its rights."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.script import ScriptDirectory

from regiohub_local.postgres import Urls
from regiohub_shared.db.migrate import _config, run_migrations
from tests.service.booking.world import FREE, MEMBER, running, tomorrow
from tests.support.pg import Cluster, migrations_of

STEPS = [("booking", "0004"), ("booking", "0005"), ("access", "0003")]


def _back(package: str, urls: Urls, to: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(command.downgrade, _config(migrations_of(package), urls.owner), to).result()


def _forward(package: str, urls: Urls) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(run_migrations, migrations_of(package), urls.owner).result()


async def _shape(url: str) -> list[Any]:
    """Columns, constraints, indexes and what the app role may do."""
    owner = await asyncpg.connect(url)
    queries = (
        (
            "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns "
            "WHERE table_schema = 'public' ORDER BY 1, 2"
        ),
        (
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"
        ),
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        (
            "SELECT grantee, table_name, column_name, privilege_type FROM information_schema.column_privileges "
            "WHERE table_schema = 'public' AND grantee LIKE '%_app' ORDER BY 1, 2, 3, 4"
        ),
    )
    found = [[tuple(row) for row in await owner.fetch(query)] for query in queries]
    await owner.close()
    return found


@pytest.mark.parametrize(("member", "step"), STEPS)
async def test_one_step_back_and_forward_again(cluster: Cluster, member: str, step: str) -> None:
    package = f"regiohub_{member}"
    scripts = ScriptDirectory.from_config(_config(migrations_of(package)))
    before = str(scripts.get_revision(step).down_revision)
    with cluster.database(member) as urls:
        if member == "booking":
            async with running(urls) as world:
                await world.book((FREE, tomorrow(9), tomorrow(10)))
        newest = await _shape(urls.owner)

        _back(package, urls, before)
        older = await _shape(urls.owner)
        _forward(package, urls)

        assert older != newest
        assert await _shape(urls.owner) == newest


async def test_a_moved_booking_survives_the_step_back(cluster: Cluster) -> None:
    with cluster.database("booking") as urls:
        async with running(urls) as world:
            made = (await world.book((FREE, tomorrow(9), tomorrow(10)))).json()
            line = {
                "line_id": made["lines"][0]["id"], "resource_id": str(FREE), "start": tomorrow(14).isoformat(),
                "end": tomorrow(15).isoformat(),
            }  # fmt: skip
            moved = await world.post(f"/v1/bookings/{made['id']}/move", {"lines": [line]}, by=MEMBER, version=1)
            assert moved.status_code == 200
        _back("regiohub_booking", urls, "0004")
        owner = await asyncpg.connect(urls.owner)
        assert await owner.fetchval("SELECT starts_at FROM booking") == tomorrow(14)
        assert await owner.fetchval("SELECT array_agg(kind ORDER BY kind) FROM mail_job") == ["confirmed"]
        await owner.close()
        _forward("regiohub_booking", urls)
