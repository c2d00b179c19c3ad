"""A PostgreSQL socket that leads to a server on loopback: a container without a network reaches it by a mount."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SOCKET = ".s.PGSQL.5432"


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    writer.close()


async def _serve(socket: Path, port: int, ready: threading.Event, stop: asyncio.Event) -> None:
    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))

    server = await asyncio.start_unix_server(connect, socket)
    ready.set()
    await stop.wait()
    server.close()


@contextmanager
def socket_folder(folder: Path, port: int) -> Iterator[Path]:
    """Yield a folder to mount; the socket in it has PostgreSQL's usual name."""
    folder.chmod(0o755)
    loop, ready, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    work = _serve(folder / _SOCKET, port, ready, stop)
    thread = threading.Thread(target=loop.run_until_complete, args=(work,), daemon=True)
    thread.start()
    ready.wait(10)
    (folder / _SOCKET).chmod(0o777)
    yield folder
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()
