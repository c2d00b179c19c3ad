"""The sandbox's own routes, which Stripe does not have: switches, settling a refund, sending one event now."""

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from regiohub_local.stripe_sandbox import books, objects, switches
from regiohub_local.stripe_sandbox.api import Authorised, SandboxDep
from regiohub_local.stripe_sandbox.store import Json, Rows
from regiohub_local.stripe_sandbox.switches import Switches

router = APIRouter(prefix="/sandbox", dependencies=[Authorised])


class Settlement(BaseModel):
    """How a refund ends."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["succeeded", "failed"]


class Opening(BaseModel):
    """Which payment a payer's bank takes back."""

    model_config = ConfigDict(extra="forbid")

    payment_intent: str


class Verdict(BaseModel):
    """How a dispute ends."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["won", "lost"]


@router.get("/switches")
async def read_switches(sandbox: SandboxDep) -> Switches:
    """Return all switches."""
    return await sandbox.store.run(switches.read)


@router.post("/switches")
async def write_switches(changes: dict[str, Any], sandbox: SandboxDep) -> Switches:
    """Change the named switches and return all of them."""
    changed = await sandbox.store.run(lambda rows: switches.write(rows, changes))
    sandbox.bell.set()
    return changed


@router.post("/refunds/{refund_id}")
async def settle_refund(refund_id: str, settlement: Settlement, sandbox: SandboxDep) -> Json:
    """Let a refund succeed or fail now."""

    def act(rows: Rows) -> Json:
        return objects.public(books.settle_refund(sandbox.books(rows), refund_id, settlement.status))

    settled = await sandbox.store.run(act)
    sandbox.bell.set()
    return settled


@router.post("/disputes")
async def open_dispute(opening: Opening, sandbox: SandboxDep) -> Json:
    """Let the payer's bank take a payment back."""

    def act(rows: Rows) -> Json:
        return objects.public(books.open_dispute(sandbox.books(rows), opening.payment_intent))

    opened = await sandbox.store.run(act)
    sandbox.bell.set()
    return opened


@router.post("/disputes/{dispute_id}")
async def close_dispute(dispute_id: str, verdict: Verdict, sandbox: SandboxDep) -> Json:
    """Let a dispute end now."""

    def act(rows: Rows) -> Json:
        return objects.public(books.close_dispute(sandbox.books(rows), dispute_id, verdict.status))

    closed = await sandbox.store.run(act)
    sandbox.bell.set()
    return closed


@router.post("/events/{event_id}/deliver")
async def deliver_event(event_id: str, sandbox: SandboxDep) -> Json:
    """Send one event now, once more and past the switch ``hold``: duplicates and wrong orders on demand."""

    def act(rows: Rows) -> Json:
        own = sandbox.books(rows)
        own.deliver(own.get("event", event_id)["id"], state="urgent")
        return {"id": event_id}

    queued = await sandbox.store.run(act)
    sandbox.bell.set()
    return queued


@router.get("/deliveries")
async def list_deliveries(sandbox: SandboxDep) -> list[Json]:
    """Return the last hundred deliveries, newest first: event, state, attempts, last answer."""

    def act(rows: Rows) -> list[Json]:
        found = rows.sql.execute(
            "SELECT event_id, state, attempts, answer FROM delivery ORDER BY id DESC LIMIT 100"
        ).fetchall()
        return [dict(zip(("event", "state", "attempts", "answer"), row, strict=True)) for row in found]

    return await sandbox.store.run(act)
