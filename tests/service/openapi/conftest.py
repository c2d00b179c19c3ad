"""The three services on ports of this machine, with the matrix's scene behind them."""

import asyncio
import socket
import threading
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

from regiohub_shared.web.server import BoundedHttp
from tests.service.billing.conftest import sandbox_origin
from tests.service.matrix.scene import Scene, set_scene
from tests.support.pg import Cluster

__all__ = ["sandbox_origin"]
SERVICES = ("booking", "access", "billing")


@dataclass
class Served:
    """The scene lives on a loop of its own: schemathesis asks without one."""

    loop: asyncio.AbstractEventLoop
    scene: Scene
    urls: dict[str, str] = field(default_factory=dict)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(120)

    def put_back(self, service: str) -> None:
        """A service's database as it was at the beginning; no relay is at work."""
        self.run(self.scene.rows[service].restore())


async def serve(served: Served, stack: AsyncExitStack) -> None:
    for name in SERVICES:
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        app = getattr(served.scene.street, name).app
        config = uvicorn.Config(app, http=BoundedHttp, lifespan="off", log_config=None, access_log=False, ws="none")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[listening]))
        stack.push_async_callback(end, server, task, listening)
        while not server.started:
            await asyncio.sleep(0.01)
        served.urls[name] = f"http://127.0.0.1:{listening.getsockname()[1]}"


async def end(server: uvicorn.Server, task: "asyncio.Task[None]", listening: socket.socket) -> None:
    server.should_exit = True
    await task
    listening.close()


@pytest.fixture(scope="session")
def served(cluster: Cluster, sandbox_origin: str) -> Iterator[Served]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    stack = AsyncExitStack()

    async def begin() -> Served:
        made = Served(loop, await stack.enter_async_context(set_scene(cluster, sandbox_origin)))
        await serve(made, stack)
        return made

    running = asyncio.run_coroutine_threadsafe(begin(), loop).result(120)
    yield running
    running.run(stack.aclose())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
