"""The server's own patience: heads that do not end, in time or in size. Bodies and answers have the app's limits."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import uvicorn

from regiohub_shared.web.server import HEAD_BYTES, HEAD_S, BoundedHttp


class Hasty(BoundedHttp):
    """The same within half a second."""

    head_s = 0.5


async def app(scope, receive, send):
    """Reads the body, thinks for a second at ``/long``, tells how much came."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    if scope["path"] == "/long":
        await asyncio.sleep(1.0)
    text = f"{scope['path']} {size}".encode()
    names = b"headers=" + b",".join(name for name, _ in scope["headers"])
    headers = [(b"content-length", str(len(text)).encode()), (b"x-told", names)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


class Line:
    """One connection, byte by byte; listens all the time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer, self._reader, self._heard = writer, reader, b""
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        with suppress(ConnectionError):
            while part := await self._reader.read(65536):
                self._heard += part

    @property
    def is_cut(self) -> bool:
        return self._listening.done()

    async def drip(self, data: bytes, pause_s: float = 0.05) -> bool:
        """Send one byte after the other; return whether the other side hung up before the end."""
        for byte in data:
            if self.is_cut:
                return True
            with suppress(ConnectionError):
                self.writer.write(bytes([byte]))
                await self.writer.drain()
            await asyncio.sleep(pause_s)
        return self.is_cut

    async def rest(self) -> bytes:
        """All that was heard until the other side hung up."""
        async with asyncio.timeout(10):
            await self._listening
        return self._heard


@pytest.fixture
async def port() -> AsyncIterator[int]:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=Hasty, lifespan="off", log_level="critical", ws="none")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.01)
    yield int(listening.getsockname()[1])
    server.should_exit = True
    await task
    listening.close()


@pytest.fixture
async def line(port: int) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    yield Line(reader, writer)
    writer.close()


def test_the_limits_are_the_promised_ones():
    assert (BoundedHttp.head_s, HEAD_S, HEAD_BYTES) == (10.0, 10.0, 65536)


async def test_a_head_that_drips_in_is_not_waited_for(line: Line):
    assert await line.drip(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"x" * 100)
    assert (await line.rest()).startswith(b"HTTP/1.1 408 ")


async def test_a_connection_without_a_word_ends_without_one(line: Line):
    assert await line.rest() == b""


async def test_empty_lines_before_a_request_buy_no_time(line: Line):
    assert await line.drip(b"\r\n" * 60)


async def flooded(line: Line, begin: bytes) -> bytes:
    """Send without end until the other side hangs up; return what it said."""
    line.writer.write(begin)
    sent = 0
    with suppress(ConnectionError):
        while sent < 16 * HEAD_BYTES and not line.is_cut:
            line.writer.write(b"x" * 4096)
            await line.writer.drain()
            await asyncio.sleep(0)
            sent += 4096
    assert sent < 16 * HEAD_BYTES
    return await line.rest()


@pytest.mark.parametrize("begin", [b"X-Long: ", b"", b"X-Many: 1\r\n" * 9000])
async def test_a_head_without_end_is_cut_off(line: Line, begin: bytes):
    assert b" 200 " not in await flooded(line, b"GET / HTTP/1.1\r\nHost: x\r\n" + begin)


async def test_a_long_head_is_told_so(line: Line):
    line.writer.write(b"GET / HTTP/1.1\r\nX-Long: " + b"x" * HEAD_BYTES)
    assert (await line.rest()).startswith(b"HTTP/1.1 431 ")


async def test_after_an_answer_the_clock_starts_anew(line: Line):
    line.writer.write(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n")
    assert await line.drip(b"GET /second HTTP/1.1\r\nX-Slow: " + b"x" * 100)
    told = await line.rest()
    assert b"/first 0" in told
    assert told.rpartition(b"HTTP/1.1 ")[2].startswith(b"408 ")


async def test_a_long_answer_is_waited_for(line: Line):
    line.writer.write(b"GET /long HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await line.rest()).endswith(b"/long 0")


async def test_a_body_has_the_apps_time(line: Line):
    line.writer.write(b"POST /body HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 20\r\n\r\n")
    assert not await line.drip(b"x" * 19)
    line.writer.write(b"x")
    assert (await line.rest()).endswith(b"/body 20")


CHUNKED = b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"


async def test_a_trailer_is_no_header(line: Line):
    line.writer.write(CHUNKED + b"2\r\nhi\r\n0\r\nX-Late: 1\r\nAuthorization: x\r\n\r\n")
    told = await line.rest()
    assert told.endswith(b"/body 2")
    assert b"headers=host,transfer-encoding,connection" in told


async def test_a_trailer_without_end_is_cut_off(line: Line):
    assert b" 200 " not in await flooded(line, CHUNKED + b"2\r\nhi\r\n0\r\nX-Late: ")


async def test_a_body_in_small_chunks_is_no_head_without_end(line: Line):
    line.writer.write(CHUNKED + b"1\r\nx\r\n" * HEAD_BYTES + b"0\r\n\r\n")
    assert (await line.rest()).endswith(b"/body 65536")


async def test_requests_sent_ahead_are_all_answered(line: Line):
    line.writer.write(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    told = await line.rest()
    assert told.index(b"/long 0") < told.index(b"/b 0")
