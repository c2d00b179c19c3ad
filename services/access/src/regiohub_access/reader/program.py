"""The reader put together: decide, remember, answer; sync beside it."""

import asyncio
import json
import logging
import signal
import sqlite3
import ssl
from typing import Any

import httpx

from regiohub_access.reader import local_api
from regiohub_access.reader.clock import Clock, make_clock
from regiohub_access.reader.decide import Decided, PassShown, PinTyped, Shown, decide, told
from regiohub_access.reader.local_api import Answer, BadCall
from regiohub_access.reader.settings import Settings
from regiohub_access.reader.store import Store
from regiohub_access.reader.sync import Syncer
from regiohub_access.reader.wire import GRANTED, Event, format_time
from regiohub_access.rh1 import Reason

LOG_TAIL = 50
_MAX_PIN = 32

log = logging.getLogger("regiohub.reader")


class Reader:
    """The doors of one hub."""

    def __init__(self, settings: Settings, store: Store, syncer: Syncer, clock: Clock) -> None:
        self._settings = settings
        self._store = store
        self._syncer = syncer
        self._clock = clock

    def present(self, shown: Shown) -> dict[str, Any]:
        """Decide on what was shown, store it, then say so; without a stored decision no door opens."""
        moment = self._clock()
        decided = decide(self._store.state, shown, moment)
        if decided.reason != Reason.UNKNOWN_DOOR:  # what is no door of ours is no event of ours
            try:
                self._store.record(decided, moment)
            except sqlite3.Error:
                log.exception("a decision could not be stored")
                decided = Decided(decided.door, decided.kind, Reason.READER_FAULT)
            self._syncer.wake.set()
        self._log(decided)
        return {
            "door": decided.door,
            "decision": decided.decision,
            "reason": decided.told,
            "at": format_time(moment.now),
        }

    def take(self, door: int) -> tuple[int, dict[str, Any]]:
        """Answer the device beside a door that asks whether an operator wants it open: yes is said once."""
        if all(door != known.number for known in self._store.state.doors):
            return 404, {"door": door, "opened": False, "reason": Reason.UNKNOWN_DOOR}
        command_id = self._syncer.commands.take(door)
        if command_id is None:
            return 200, {"door": door, "opened": False}
        self._syncer.wake.set()
        return 200, {"door": door, "opened": True, "command_id": command_id}

    def status(self) -> dict[str, Any]:
        """What the page beside the reader shows; no PINs, and of refused ones not whether they exist."""
        state = self._store.state
        return {
            "hub": state.hub,
            "reader": self._settings.client_id,
            "now": format_time(self._clock().now),
            "last_sync_at": format_time(state.last_sync_at) if state.last_sync_at else None,
            "last_error": self._syncer.last_error,
            "is_clock_off": state.is_clock_off,
            "events_pending": self._store.pending_count(),
            "doors": [door.to_json() for door in state.doors],
            "epoch": state.epoch,
            "denylist_seq": state.denylist_seq,
            "pins_seq": state.pins_seq,
            "pins_stored": list(state.pins_stored()),
            "commands_waiting": len(self._syncer.commands),
            "log": [_told(event) for event in self._store.tail(LOG_TAIL)],
        }

    def routes(self) -> dict[tuple[str, str], local_api.Handler]:
        """The local API."""
        return {
            ("POST", "/present"): lambda body: _answered(self.present(_shown(body))),
            ("POST", "/take"): lambda body: self.take(_door(body)),
            ("GET", "/status"): lambda _: (200, self.status()),
        }

    def _log(self, decided: Decided) -> None:
        line = {
            "door": decided.door,
            "kind": decided.kind,
            "decision": decided.decision,
            "reason": decided.reason,
            "pass_id": decided.pass_id.hex() if decided.pass_id else None,
            "pin_id": decided.pin_id,
        }
        log.info("%s", json.dumps(line))


def _told(event: Event) -> dict[str, Any]:
    """An event as the device beside the door may show it (its hash is that of the whole one)."""
    pin_id = event.pin_id if event.reason == GRANTED else None
    return event.to_json() | {"reason": told(event.kind, event.reason), "pin_id": pin_id}


def _answered(answer: dict[str, Any]) -> Answer:
    status = {Reason.UNKNOWN_DOOR: 404, Reason.READER_FAULT: 503}.get(answer["reason"], 200)
    return status, answer


def _door(body: dict[str, Any]) -> int:
    door = body.get("door")
    if type(door) is not int:
        raise BadCall(400, "door: a number is needed")
    return door


def _shown(body: dict[str, Any]) -> Shown:
    door = _door(body)
    match body:
        case {"presentation": str(text), **rest} if "pin" not in rest:
            return PassShown(door, text.strip())  # base45 never begins or ends in a space here
        case {"pin": str(pin), **rest} if "presentation" not in rest and len(pin) <= _MAX_PIN:
            return PinTyped(door, pin.strip())
    raise BadCall(400, "either presentation or pin is needed")


async def run(settings: Settings, clock: Clock, stop: asyncio.Event) -> None:
    """Serve and sync until `stop` is set."""
    store = Store(settings.state_dir, issuer=settings.issuer, hub=settings.hub)
    try:
        # No proxy from the environment: a reader talks to its own access service or to nobody.
        async with httpx.AsyncClient(trust_env=False, verify=ssl.create_default_context()) as client:
            syncer = Syncer(settings, store, client, clock)
            reader = Reader(settings, store, syncer, clock)
            server = await local_api.serve(reader.routes(), settings.port)
            async with server:
                log.info("reader %s serves %s", settings.client_id, settings.hub)
                await syncer.run(stop)
    finally:
        store.close()


async def main() -> None:
    """Run with the environment's settings until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run(Settings.from_env(), make_clock(), stop)
