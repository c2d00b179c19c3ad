"""Sending events, signed as Stripe signs them, at least once, with back-off; and the sandbox's clockwork.

The list of deliveries is in the books: a kill between sending and writing that down sends the event again, as Stripe
may do too. There is no order between events.
"""

import asyncio
import json
import logging
import sqlite3
from contextlib import suppress

import httpx
from stripe import WebhookSignature

from regiohub_local.stripe_sandbox import books, switches
from regiohub_local.stripe_sandbox.api import Sandbox
from regiohub_local.stripe_sandbox.store import Rows

_IDLE_S, _BATCH = 0.25, 8
_FIRST_RETRY_S, _SLOWEST_RETRY_S, _GIVE_UP_AFTER = 0.5, 60.0, 4500  # about three days, as long as Stripe tries
Due = tuple[int, str, int]
log = logging.getLogger(__name__)


async def run(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """Do due jobs and deliveries until cancelled; woken by every request, else four times a second."""
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(_IDLE_S):
                await sandbox.bell.wait()
        sandbox.bell.clear()
        try:
            await _turn(sandbox, http)
        except sqlite3.Error:
            log.exception("the books could not be written; trying again")


async def _turn(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    await sandbox.store.run(lambda rows: books.run_due_jobs(sandbox.books(rows)))
    due = await sandbox.store.run(_due) if sandbox.settings.webhook_url else []
    if due:
        await asyncio.gather(*(_deliver(sandbox, http, entry) for entry in due))
        sandbox.bell.set()


def _due(rows: Rows) -> list[Due]:
    held = switches.read(rows).webhooks == "hold"
    states = "'urgent'" if held else "'urgent', 'waiting'"
    found: list[Due] = rows.sql.execute(
        f"SELECT id, event_id, attempts FROM delivery WHERE state IN ({states}) AND due <= ? ORDER BY id LIMIT ?",
        (books.epoch(), _BATCH),
    ).fetchall()
    return found


async def _deliver(sandbox: Sandbox, http: httpx.AsyncClient, due: Due) -> None:
    payload = await sandbox.store.run(lambda rows: json.dumps(rows.find("event", due[1]), indent=2))
    secret = sandbox.settings.webhook_secret.get_secret_value()
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": WebhookSignature.generate_signature_header(payload, secret, int(books.epoch())),
        "User-Agent": "Stripe/1.0 (RegioHub sandbox)",
    }
    try:
        response = await http.post(sandbox.settings.webhook_url, content=payload.encode(), headers=headers)
        said = str(response.status_code)
    except httpx.HTTPError as error:
        said = type(error).__name__
    await sandbox.store.run(lambda rows: _note(rows, due, said))


def _note(rows: Rows, due: Due, said: str) -> None:
    delivery_id, event_id, attempts = due
    retry = books.epoch() + min(_FIRST_RETRY_S * 2 ** min(attempts, 10), _SLOWEST_RETRY_S)
    taken = said.startswith("2")
    state = "done" if taken else "given_up" if attempts + 1 >= _GIVE_UP_AFTER else None
    rows.sql.execute(
        "UPDATE delivery SET attempts = ?, answer = ?, due = ?, state = coalesce(?, state) WHERE id = ?",
        (attempts + 1, said, retry, state, delivery_id),
    )
    if taken and (event := rows.find("event", event_id)) is not None:
        rows.put(event | {"pending_webhooks": 0})
