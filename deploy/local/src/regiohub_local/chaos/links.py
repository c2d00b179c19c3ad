"""Wires between programs that can be cut, slowed, muted and hung: one small TCP proxy per wire, on loopback."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from socket import SO_LINGER, SOL_SOCKET
from typing import Literal, cast

Weather = Literal["clear", "cut", "slow", "mute", "hang"]
_SLOW_S, _HANG_STEP_S, _CHUNK = 0.15, 0.1, 65536


@dataclass(slots=True, eq=False)
class Link:
    """One wire, in one of five weathers.

    cut: nothing passes, open connections are reset. slow: each piece waits. mute: what was asked arrives, its answer is
    lost with the connection. hang: nothing moves, nothing is reset.
    """

    name: str
    target: int
    weather: Weather = "clear"
    server: asyncio.Server | None = None
    writers: set[asyncio.StreamWriter] = field(default_factory=set)
    calls: set[asyncio.Task[None]] = field(default_factory=set)

    async def open(self, port: int = 0) -> int:
        """Listen; return the port."""
        self.server = await asyncio.start_server(self._begin, "127.0.0.1", port)
        chosen: int = self.server.sockets[0].getsockname()[1]
        return chosen

    def far_end(self) -> int:
        """Return the port to which the next connection goes."""
        return self.target

    def turn(self, weather: Weather) -> None:
        """Change the weather."""
        self.weather = weather
        if weather == "cut":
            self.reset()

    def reset(self) -> None:
        """Break what is open."""
        for writer in list(self.writers):
            _reset(writer)

    async def close(self) -> None:
        """Stop to listen and break what is open."""
        if self.server is not None:
            self.server.close()
        self.turn("cut")
        await asyncio.gather(*self.calls, return_exceptions=True)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self.calls.add(task)
        task.add_done_callback(self.calls.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._still()
            if self.weather == "cut":
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.far_end())
        except OSError:
            return
        else:
            await self._both((reader, far_writer), (far_reader, writer))
        finally:
            if self.weather == "cut":
                _reset(writer)
            else:
                writer.close()

    async def _both(
        self,
        there: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        back: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self.writers |= {there[1], back[1]}
        pumps = [asyncio.create_task(self._pump(*there)), asyncio.create_task(self._pump(*back, is_back=True))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self.writers -= {there[1], back[1]}
            there[1].close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_back: bool = False) -> None:
        with suppress(OSError):
            while piece := await reader.read(_CHUNK):
                await self._still()
                if self.weather == "slow":
                    await asyncio.sleep(_SLOW_S)
                if self.weather == "cut" or (is_back and self.weather == "mute"):
                    return
                writer.write(piece)
                await writer.drain()

    async def _still(self) -> None:
        while self.weather == "hang":  # noqa: ASYNC110 - other spells come and go meanwhile; one look a tenth is cheap
            await asyncio.sleep(_HANG_STEP_S)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a reset instead of a farewell, as a broken line does."""
    with suppress(OSError):
        socket = writer.get_extra_info("socket")
        socket.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Links:
    """All wires of a house; made inside the event loop that runs them."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.all: list[Link] = []

    def open(self, name: str, target: int, port: int = 0) -> int:
        """Open a wire to `target` and return its port; for other threads than the loop's."""
        link = Link(name, target)
        self.all.append(link)
        return asyncio.run_coroutine_threadsafe(link.open(port), self._loop).result(10)

    async def spell(self, number: int, weather: str, seconds: float) -> str:
        """Turn one wire for a while; return its name."""
        link = self.all[number % len(self.all)]
        link.turn(cast("Weather", weather))
        await asyncio.sleep(seconds)
        link.turn("clear")
        return link.name

    @contextmanager
    def hung(self, beginning: str) -> Iterator[None]:
        """Hang every wire to a neighbour whose name begins so; databases, which would free what was claimed, go on."""
        found = [link for link in self.all if link.name.startswith(beginning) and not link.name.endswith("postgres")]
        for link in found:
            link.turn("hang")
        try:
            yield
        finally:
            for link in found:
                link.turn("clear")

    def clear(self) -> None:
        """End every spell."""
        for link in self.all:
            link.turn("clear")

    async def close(self) -> None:
        """Take all wires down."""
        await asyncio.gather(*(link.close() for link in self.all))
