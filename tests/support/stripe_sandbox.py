"""The sandbox as a process of its own, a receiver for its webhooks, and the real SDK as client."""

import asyncio
import inspect
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import stripe

KEY, SECRET = "sk_test_sandbox", "whsec_sandbox"


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Receiver:
    """Takes webhooks; ``answers`` holds the statuses to give, 200 when it is empty."""

    address: str = ""
    answers: list[int] = field(default_factory=list)
    calls: list[tuple[str, bytes]] = field(default_factory=list)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the sandbox was killed in the middle of a delivery, which is what some tests are about
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.calls.append((headers.get("stripe-signature", ""), body))
        status = self.answers.pop(0) if self.answers else 200
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()

    def events(self, client: stripe.StripeClient) -> list[stripe.Event]:
        """Return what came in; the SDK checks each signature."""
        return [client.construct_event(body, signature, SECRET) for signature, body in self.calls]

    def types(self, client: stripe.StripeClient) -> list[str]:
        return [event.type for event in self.events(client)]


@dataclass
class Process:
    """The sandbox, which can be killed and started again on the same books."""

    folder: Path
    port: int
    webhook_url: str
    running: asyncio.subprocess.Process | None = None

    @property
    def origin(self) -> str:
        return f"http://localhost:{self.port}"

    async def start(self) -> None:
        own = {
            "SANDBOX_PORT": str(self.port),
            "SANDBOX_STATE_DIR": str(self.folder),
            "SANDBOX_API_KEY": KEY,
            "SANDBOX_WEBHOOK_SECRET": SECRET,
            "SANDBOX_WEBHOOK_URL": self.webhook_url,
            "SANDBOX_ORIGIN": self.origin,
        }
        self.running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "regiohub_local.stripe_sandbox", env=os.environ | own
        )
        async with httpx.AsyncClient(trust_env=False) as http:
            for _ in range(400):
                try:
                    if (await http.get(f"{self.origin}/healthz")).status_code == 200:
                        return
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
        raise AssertionError("the sandbox did not start")

    async def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.running is not None and self.running.returncode is None:
            self.running.send_signal(how)
            await self.running.wait()

    def client(self, **options: Any) -> stripe.StripeClient:
        """The SDK as billing uses it, retries off unless asked for."""
        return stripe.StripeClient(
            options.pop("key", KEY),
            base_addresses={"api": self.origin},
            http_client=stripe.HTTPXClient(timeout=20),
            **({"max_network_retries": 0} | options),
        )


async def close(client: stripe.StripeClient) -> None:
    """Close the client's connections; the SDK offers no public way."""
    transport = client._requestor._client
    assert transport is not None
    await transport.close_async()  # type: ignore[no-untyped-call]


async def eventually(condition: Callable[[], Any], within_s: float = 10) -> None:
    """Wait until the condition (a plain or an async function) holds; fails when it does not within the time."""
    for _ in range(int(within_s / 0.05)):
        holds = condition()
        if await holds if inspect.isawaitable(holds) else holds:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("did not come true in time")


def a_session(**changes: Any) -> Any:
    """Parameters as billing sends them."""
    line = {
        "price_data": {"currency": "eur", "unit_amount": 1200, "product_data": {"name": "Tisch 1"}},
        "quantity": 1,
    }
    return {
        "mode": "payment",
        "locale": "de",
        "client_reference_id": "b-1",
        "line_items": [line],
        "allowed_payment_method_types": ["card"],
        "success_url": "http://localhost/bookings/b-1?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://localhost/bookings/b-1",
        "metadata": {"payment_id": "p-1", "booking_id": "b-1"},
        "payment_intent_data": {"metadata": {"payment_id": "p-1"}, "description": "Buchung ABCD2345"},
    } | changes
