"""The sandbox as a process of its own, a receiver for its webhooks, and the real SDK as client."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import stripe

from tests.support.stripe_sandbox import KEY, Process, Receiver, close, free_port


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.handle, "127.0.0.1", 0)
    receiver.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/webhooks/stripe"
    async with server:
        yield receiver


@pytest.fixture
async def stopped(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Process]:
    """A sandbox not yet started; whatever the test does, nothing of it stays behind."""
    process = Process(tmp_path / "books", free_port(), receiver.address)
    yield process
    await process.end()


@pytest.fixture
async def process(stopped: Process) -> Process:
    await stopped.start()
    return stopped


@pytest.fixture
async def client(process: Process) -> AsyncIterator[stripe.StripeClient]:
    client = process.client()
    yield client
    await close(client)


@pytest.fixture
async def http(process: Process) -> AsyncIterator[httpx.AsyncClient]:
    """A browser without memory, and the way to the sandbox's own switches."""
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=process.origin, headers=headers, trust_env=False) as http:
        yield http
