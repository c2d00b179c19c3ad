"""The ceiling: what PostgreSQL does when nobody but pgbench asks it for bookings, with the SQL that the service really sent."""

from __future__ import annotations

import asyncio
import math
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg

from regiohub_local import postgres, processes
from regiohub_local.bench import recorded
from regiohub_local.bench.load import warm_s
from regiohub_local.bench.recorded import UUID, Spoken
from regiohub_local.bench.town import BOOKED, DESKS, desk_id
from regiohub_local.plan import House
from regiohub_local.postgres.home import home_of

ROWS = {"booking": 1, "line": 1, "occupancy": 1, "outbox": 1, "outbox_delivery": 2, "idempotency_key": 1, "mail_job": 1}
"""How many rows one booking leaves where."""
_TURNS = 1_000_000
"""Far more bookings than one client makes in one round: each round begins behind the one before."""
_CLIENTS = 16
_PER_CLIENT = DESKS // _CLIENTS
_HEAD = (
    r"\set n :n + 1",
    r"\set u :n * 32 + :client_id",
    rf"\set desk :client_id * {_PER_CLIENT} + :n % {_PER_CLIENT}",
    rf"\set later :n / {_PER_CLIENT}",
)


class NotInserted(RuntimeError):
    """The pgbench run failed, or did not leave the rows that it should."""


@asynccontextmanager
async def _talkative(admin: asyncpg.Connection) -> AsyncIterator[None]:
    """The server notes every statement with its values."""
    try:
        await admin.execute(f"ALTER SYSTEM SET log_line_prefix = '{recorded.PREFIX}'")
        await admin.execute("ALTER SYSTEM SET log_min_duration_statement = 0")
        await admin.execute("SELECT pg_reload_conf()")
        await asyncio.sleep(0.5)
        yield
        await asyncio.sleep(0.5)
    finally:
        await admin.execute("ALTER SYSTEM RESET ALL")
        await admin.execute("SELECT pg_reload_conf()")


async def record(house: House, url: str, book: Callable[[str], Awaitable[dict[str, Any]]]) -> str:
    """Make one booking, and return the pgbench script that repeats its transaction at other times and places.

    `book(key)` returns the service's answer; `url` is the superuser's, of the database that the service uses.
    """
    log, key = home_of(house.state_dir).log, "bench-recorded-booking"
    admin = await asyncpg.connect(url)
    try:
        size = log.stat().st_size
        async with _talkative(admin):
            made = await book(key)
        said = recorded.transaction(log.read_bytes()[size:].decode(errors="replace"), key)
        varying = _varying(made, said, key)
        return "\n".join([*_HEAD, *[await _written(admin, spoken, varying) for spoken in said]]) + "\n"
    finally:
        await admin.close()


async def _written(admin: asyncpg.Connection, spoken: Spoken, varying: dict[str, str]) -> str:
    types = [kind.name for kind in (await admin.prepare(spoken.sql)).get_parameters()] if spoken.values else []
    return recorded.for_pgbench(spoken, types, varying).rstrip("; \n") + ";"


def _varying(made: dict[str, Any], said: list[Spoken], key: str) -> dict[str, str]:
    """What is another in each booking: key, code, place, time, member (each client is one), and every id."""
    line = made["lines"][0]
    start, end = (datetime.fromisoformat(line[name]).astimezone(UTC) for name in ("start", "end"))
    looked = next(spoken for spoken in said if spoken.values)
    varying = {
        key: "'bench-' || (:u::bigint)::text",
        made["code"]: "'B' || lpad(to_hex(:u::bigint), 9, '0')",
        line["resource_id"]: f"'{desk_id(BOOKED, 0).replace('-', '')[:28]}' || lpad(to_hex(:desk::int), 4, '0')",
        str(looked.values[1]): "'bench-' || (:client_id::int)::text",
        **{_text(at): f"to_timestamp({at.timestamp():.0f} + :later::bigint * 1800)::text" for at in (start, end)},
    }
    values = " ".join(value for spoken in said for value in spoken.values if value)
    for number, found in enumerate(dict.fromkeys(UUID.findall(values))):
        # In the order of time, as the service's own ids are.
        varying.setdefault(found, f"lpad(to_hex(:u::bigint), 12, '0') || '7{number:03x}8000000000000000'")
    return {atom: f"({sql})" for atom, sql in varying.items()}


def _text(moment: datetime) -> str:
    """As the server writes it, in UTC."""
    return f"{moment:%Y-%m-%d %H:%M:%S}+00"


async def measure(url: str, script: str, seconds: float, turn: int) -> dict[str, Any]:
    """Run pgbench as the app role; raises NotInserted unless each transaction left all its rows."""
    before = await _counts(url)
    with tempfile.TemporaryDirectory(prefix="regiohub-pgbench-") as folder:
        path = Path(folder) / "booking.sql"
        path.write_text(script)
        since = sum(os.times()[2:4])
        await asyncio.to_thread(_pgbench, url, path, seconds, turn)
        cpu = os.times()
        done = [line.split() for file in path.parent.glob("log.*") for line in file.open()]
    after = await _counts(url)
    wrong = {
        name: after[name] - before[name]
        for name, each in ROWS.items()
        if after[name] - before[name] != each * len(done)
    }
    ms = measured(done, seconds)
    if wrong or not ms:
        raise NotInserted(f"{len(done)} transactions of pgbench left {wrong} new rows")
    used = cpu.children_user + cpu.children_system - since
    return {"ms": ms, "in_time": len(ms), "seconds": seconds, "sent": len(done), "cpu_s": used}


def measured(done: list[list[str]], seconds: float) -> list[float]:
    """Milliseconds of those that ended within the measured time, from the words of each line of pgbench's log."""
    ends = [(int(row[4]) + int(row[5]) / 1e6, int(row[2]) / 1000) for row in done]
    begin = min((at for at, _ in ends), default=0.0) + warm_s(seconds)
    return [ms for at, ms in ends if begin <= at <= begin + seconds]


def _pgbench(url: str, script: Path, seconds: float, turn: int) -> None:
    parts = urlsplit(url)
    command = [
        str(postgres.binary("pgbench")), "-n", "-M", "prepared", "-c", str(_CLIENTS), "-j", "2", "-T", str(math.ceil(seconds + warm_s(seconds)) + 1),
        "-D", f"n={turn * _TURNS}", "-f", str(script), "-l", f"--log-prefix={script.parent / 'log'}",
        "-h", str(parts.hostname), "-p", str(parts.port), "-U", str(parts.username), parts.path[1:],
    ]  # fmt: skip
    env = processes.base_env() | {"PGPASSWORD": unquote(parts.password or ""), "PGSSLMODE": "disable"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode or "ERROR" in done.stderr:
        raise NotInserted(f"pgbench failed: {done.stderr.strip()[-800:]}")


async def _counts(url: str) -> dict[str, int]:
    connection = await asyncpg.connect(url)
    try:
        return {name: await connection.fetchval(f"SELECT count(*) FROM {name}", timeout=60) for name in ROWS}
    finally:
        await connection.close()
