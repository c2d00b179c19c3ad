"""A wire carries what it should in each weather, seen from a client and a server on its two ends."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from regiohub_local.chaos.links import Link, Links


@asynccontextmanager
async def _wire():
    """A server that answers each line in capitals and remembers it, and a wire to it."""
    heard = []

    async def serve(reader, writer):
        while line := await reader.readline():
            heard.append(line)
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    link = Link("a → b", server.sockets[0].getsockname()[1])
    port = await link.open()
    try:
        yield link, port, heard
    finally:
        await link.close()
        server.close()


async def _ask(port, line=b"open\n"):
    """The answer; empty when the connection ended without one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(line)
        return await reader.readline()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_a_clear_wire_carries_both_ways():
    async with _wire() as (_, port, heard):
        assert await _ask(port) == b"OPEN\n"
        assert heard == [b"open\n"]


async def test_a_cut_wire_carries_nothing_and_resets_what_was_open():
    async with _wire() as (link, port, heard):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"before\n")
        assert await reader.readline() == b"BEFORE\n"

        link.turn("cut")

        with pytest.raises(ConnectionError):
            await reader.readexactly(1)
        assert await _ask(port) == b""
        assert heard == [b"before\n"]
        writer.close()


async def test_a_mute_wire_delivers_the_question_and_loses_the_answer():
    async with _wire() as (link, port, heard):
        link.turn("mute")

        assert await _ask(port) == b""
        assert heard == [b"open\n"]


async def test_a_hung_wire_goes_on_when_the_spell_is_over():
    async with _wire() as (link, port, heard):
        link.turn("hang")
        asking = asyncio.create_task(_ask(port))
        await asyncio.sleep(0.3)
        assert heard == []

        link.turn("clear")

        assert await asking == b"OPEN\n"


async def test_a_slow_wire_loses_nothing():
    async with _wire() as (link, port, _):
        link.turn("slow")

        assert await _ask(port) == b"OPEN\n"


async def test_a_spell_hits_one_wire_and_passes():
    links = Links()
    links.all = [Link("one", 1), Link("two", 2)]
    spell = asyncio.create_task(links.spell(3, "cut", 0.2))
    await asyncio.sleep(0.05)
    assert [link.weather for link in links.all] == ["clear", "cut"]

    assert await spell == "two"
    assert [link.weather for link in links.all] == ["clear", "clear"]
