"""While its own database starts again the gateway says "come back in a moment", not "our fault"."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from regiohub_gateway.edge import cookies
from regiohub_shared.db.database import Database
from tests.service.gateway.conftest import build


@asynccontextmanager
async def starting_postgres():
    """What PostgreSQL tells everybody while it recovers from a crash: 57P03."""
    error = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"

    async def serve(reader, writer):
        size = int.from_bytes(await reader.readexactly(4))
        if (await reader.readexactly(size - 4))[:4] == (80877103).to_bytes(4):  # SSLRequest
            writer.write(b"N")
            size = int.from_bytes(await reader.readexactly(4))
            await reader.readexactly(size - 4)
        writer.write(b"E" + (len(error) + 4).to_bytes(4) + error)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"postgresql://gateway_app:x@127.0.0.1:{server.sockets[0].getsockname()[1]}/regiohub_gateway"
    finally:
        server.close()


@pytest.mark.parametrize("path", ["/api/booking/v1/bookings", "/bookings", "/"])
async def test_a_database_that_is_starting_up_is_503_for_programs_and_people(house, path):
    async with starting_postgres() as url:
        db = Database(url)
        browser = build(db, house.settings, house).browser()
        browser.cookies[cookies.SESSION] = "s" * 43

        answer = await browser.get(path)

        await db.close()
    assert answer.status_code == 503, answer.text
    assert answer.headers["Retry-After"]
