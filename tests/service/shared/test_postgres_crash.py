"""`pg_ctl -m immediate stop` and a new start, as chaos runs do it: what was committed is there."""

import asyncpg
import pytest

from regiohub_local import postgres
from regiohub_local.ports import free_port


@pytest.fixture
def state(tmp_path):
    yield tmp_path
    postgres.stop(tmp_path, remove=True)


async def test_a_crashed_server_comes_back_with_what_was_committed(state):
    port = free_port()
    server = postgres.start(state, port)
    connection = await asyncpg.connect(server.admin_url)
    await connection.execute("CREATE TABLE kept (id int); INSERT INTO kept VALUES (1)")
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("INSERT INTO kept VALUES (2)")

    assert postgres.crash(state)

    assert not postgres.is_running(state)
    assert not postgres.crash(state)
    connection.terminate()
    again = await asyncpg.connect(postgres.start(state, port).admin_url)
    assert [row["id"] for row in await again.fetch("SELECT id FROM kept")] == [1]
    await again.close()
