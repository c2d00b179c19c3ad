"""The reader's memory in SQLite: what is stored is on disk before a door opens, so a kill loses nothing.

One process per state folder (an exclusive lock); the file is readable by its owner only, because PINs are in it.
"""

import json
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from regiohub_access.reader.clock import Moment
from regiohub_access.reader.decide import Decided
from regiohub_access.reader.state import PinGuard, State, load_keys
from regiohub_access.reader.wire import GENESIS, Door, Event, Pin, WireKey, format_time

RING = 5000
"""Events kept at most: the oldest go first, those that access has not seen last of all."""
_FILE = "reader.sqlite3"
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE denied (pass_id BLOB PRIMARY KEY, exp TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE proof (pass_id BLOB PRIMARY KEY, ts INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE event (seq INTEGER PRIMARY KEY, body TEXT NOT NULL);
"""
_SCHEMA_2 = """
DROP TABLE IF EXISTS guard;
CREATE TABLE guard (door INTEGER PRIMARY KEY, refused TEXT NOT NULL, paused_until TEXT NOT NULL);
PRAGMA user_version = 2;
"""
_SCHEMA_3 = """
CREATE TABLE IF NOT EXISTS command (id TEXT PRIMARY KEY, expires_at TEXT NOT NULL) WITHOUT ROWID;
PRAGMA user_version = 3;
"""


class StoreError(Exception):
    """The state cannot be used: another reader holds it, or it belongs to another hub."""


class Store:
    """The state in memory and on disk; every method that changes both does so in one transaction."""

    def __init__(self, folder: Path, *, issuer: str, hub: str) -> None:
        """Open or create the state in `folder`; raises `StoreError`."""
        self._db = _open(folder)
        meta = self._meta()
        if meta.get("hub", hub) != hub:
            self._db.close()
            raise StoreError("the state folder belongs to another hub")
        self.chain = meta.get("chain") or secrets.token_hex(8)
        self.acked_seq = int(meta.get("acked_seq", "0"))
        self.last_seq = int(meta.get("last_seq", "0"))
        self._last_hash = meta.get("last_hash", GENESIS)
        self.state = self._load(meta, State(issuer=issuer, hub=hub))
        with self._transaction():
            self._put(hub=hub, chain=self.chain)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def record(self, decided: Decided, moment: Moment) -> Event:
        """Store a decision with its event; when this returns, the door may act on it."""
        event = self._next_event(decided, moment)
        state = _after(self.state, decided, moment)
        with self._transaction():
            self._insert_event(event)
            self._put(latest_seen=format_time(state.latest_seen))
            if decided.pass_id is not None and decided.ts is not None:
                self._db.execute("REPLACE INTO proof VALUES (?, ?)", (decided.pass_id, decided.ts))
            if decided.guard is not None:
                self._put_guard(decided.door, decided.guard)
            if decided.command_id is not None and decided.command_until is not None:
                row = (decided.command_id, format_time(decided.command_until))
                self._db.execute("REPLACE INTO command VALUES (?, ?)", row)
        self.state, self.last_seq, self._last_hash = state, event.seq, event.hash
        return event

    def save(self, state: State, *, acked_seq: int, goes_back: bool = False) -> None:
        """Store what a sync brought; events up to `acked_seq` are known to access, which `goes_back` after a restore."""
        acked_seq = min(acked_seq if goes_back else max(acked_seq, self.acked_seq), self.last_seq)
        with self._transaction():
            self._put(**_meta_of(state), acked_seq=str(acked_seq))
            self._db.execute("DELETE FROM denied")
            rows = [(pass_id, format_time(exp)) for pass_id, exp in state.denied.items()]
            self._db.executemany("INSERT INTO denied VALUES (?, ?)", rows)
            self._db.execute("DELETE FROM proof")
            self._db.executemany("INSERT INTO proof VALUES (?, ?)", list(state.last_ts.items()))
            self._db.execute("DELETE FROM command")
            decided = [(command_id, format_time(until)) for command_id, until in state.commands.items()]
            self._db.executemany("INSERT INTO command VALUES (?, ?)", decided)
        self.state, self.acked_seq = state, acked_seq

    def tick(self, moment: Moment) -> None:
        """Remember the time, so that the clock cannot run backwards over a restart."""
        if moment.real > self.state.latest_seen:
            with self._transaction():
                self._put(latest_seen=format_time(moment.real))
            self.state = replace(self.state, latest_seen=moment.real)

    def pending(self, limit: int) -> tuple[Event, ...]:
        """The oldest events that access has not acknowledged."""
        rows = self._db.execute("SELECT body FROM event WHERE seq > ? ORDER BY seq LIMIT ?", (self.acked_seq, limit))
        return tuple(Event.from_json(json.loads(body)) for (body,) in rows)

    def pending_count(self) -> int:
        """How many events access has not acknowledged."""
        row = self._db.execute("SELECT count(*) FROM event WHERE seq > ?", (self.acked_seq,)).fetchone()
        return int(row[0])

    def tail(self, limit: int) -> tuple[Event, ...]:
        """The newest events, newest first."""
        rows = self._db.execute("SELECT body FROM event ORDER BY seq DESC LIMIT ?", (limit,))
        return tuple(Event.from_json(json.loads(body)) for (body,) in rows)

    def _meta(self) -> dict[str, str]:
        return dict(self._db.execute("SELECT name, value FROM meta").fetchall())

    def _load(self, meta: dict[str, str], state: State) -> State:
        wire_keys = tuple(WireKey.from_json(body) for body in json.loads(meta.get("keys", "[]")))
        denied = {row[0]: _time(row[1]) for row in self._db.execute("SELECT pass_id, exp FROM denied")}
        guards = {
            door: PinGuard(tuple(map(_time, json.loads(refused))), _time(until))
            for door, refused, until in self._db.execute("SELECT door, refused, paused_until FROM guard")
        }
        return replace(
            state,
            doors=tuple(Door.from_json(body) for body in json.loads(meta.get("doors", "[]"))),
            wire_keys=wire_keys,
            keys=load_keys(wire_keys),
            denied=denied,
            last_ts=dict(self._db.execute("SELECT pass_id, ts FROM proof").fetchall()),
            pins=tuple(Pin.from_json(body) for body in json.loads(meta.get("pins", "[]"))),
            guards=guards,
            commands={row[0]: _time(row[1]) for row in self._db.execute("SELECT id, expires_at FROM command")},
            epoch=int(meta.get("epoch", "0")),
            denylist_seq=int(meta.get("denylist_seq", "0")),
            pins_seq=int(meta.get("pins_seq", "0")),
            latest_seen=_time(meta["latest_seen"]) if "latest_seen" in meta else state.latest_seen,
            is_clock_off=meta.get("is_clock_off") == "1",
            last_sync_at=_time(meta["last_sync_at"]) if meta.get("last_sync_at") else None,
        )

    def _next_event(self, decided: Decided, moment: Moment) -> Event:
        draft = Event(
            seq=self.last_seq + 1,
            at=moment.now.astimezone(UTC).replace(microsecond=moment.now.microsecond // 1000 * 1000),
            door=decided.door,
            kind=decided.kind,
            decision=decided.decision,
            reason=decided.reason,
            pass_id=decided.pass_id.hex() if decided.pass_id else None,
            pin_id=decided.pin_id,
            prev_hash=self._last_hash,
            hash="",
            command_id=decided.command_id,
        )
        return replace(draft, hash=draft.computed_hash())

    def _insert_event(self, event: Event) -> None:
        self._db.execute("INSERT INTO event VALUES (?, ?)", (event.seq, json.dumps(event.to_json())))
        self._db.execute("DELETE FROM event WHERE seq <= ?", (event.seq - RING,))
        self._put(last_seq=str(event.seq), last_hash=event.hash)

    def _put_guard(self, door: int, guard: PinGuard) -> None:
        row = (door, json.dumps([*map(format_time, guard.refused)]), format_time(guard.paused_until))
        self._db.execute("REPLACE INTO guard VALUES (?, ?, ?)", row)

    def _put(self, **values: str) -> None:
        self._db.executemany("REPLACE INTO meta VALUES (?, ?)", list(values.items()))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # a failed COMMIT may have rolled back already
                self._db.execute("ROLLBACK")
            raise


def _open(folder: Path) -> sqlite3.Connection:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / _FILE
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    db = sqlite3.connect(path, timeout=1, isolation_level=None)
    try:
        # In this order: with the exclusive lock first, SQLite's WAL needs no shared memory file.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version < 2:
            db.executescript(f"BEGIN EXCLUSIVE; {'' if version else _SCHEMA} {_SCHEMA_2} COMMIT;")
        if version < 3:
            db.executescript(f"BEGIN EXCLUSIVE; {_SCHEMA_3} COMMIT;")
    except sqlite3.OperationalError as error:
        db.close()
        raise StoreError("the state folder cannot be opened (is another reader running?)") from error
    return db


def _after(state: State, decided: Decided, moment: Moment) -> State:
    state = replace(state, latest_seen=max(state.latest_seen, moment.real))
    if decided.pass_id is not None and decided.ts is not None:
        state = replace(state, last_ts={**state.last_ts, decided.pass_id: decided.ts})
    if decided.guard is not None:
        state = replace(state, guards={**state.guards, decided.door: decided.guard})
    if decided.command_id is not None and decided.command_until is not None:
        state = replace(state, commands={**state.commands, decided.command_id: decided.command_until})
    return state


def _meta_of(state: State) -> dict[str, str]:
    def dump(items: tuple[Any, ...]) -> str:
        return json.dumps([item.to_json() for item in items])

    return {
        "doors": dump(state.doors),
        "keys": dump(state.wire_keys),
        "pins": dump(state.pins),
        "epoch": str(state.epoch),
        "denylist_seq": str(state.denylist_seq),
        "pins_seq": str(state.pins_seq),
        "latest_seen": format_time(state.latest_seen),
        "is_clock_off": "1" if state.is_clock_off else "0",
        "last_sync_at": format_time(state.last_sync_at) if state.last_sync_at else "",
    }


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
