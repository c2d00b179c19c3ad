"""Sessions on the server: the cookie holds a random number, the row holds the tokens, sealed."""

import asyncio
import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from regiohub_gateway.edge.keycloak import GrantRefused, Keycloak, Tokens
from regiohub_gateway.edge.seal import Broken, Seal
from regiohub_gateway.settings import Settings
from regiohub_gateway.visitor import SessionBusy, Visitor
from regiohub_shared.auth.principal import principal_from
from regiohub_shared.db.database import Database
from regiohub_shared.log import get_logger
from regiohub_shared.problem import Problem

_log = get_logger(__name__)

EARLY = timedelta(seconds=60)
LEASE = timedelta(seconds=10)
TOUCH = timedelta(seconds=60)
POLL_S, POLLS = 0.1, 30

_FIND = """
SELECT * FROM session WHERE id = $1 AND expires_at > $2 AND seen_at > $3
"""
_INSERT = """
INSERT INTO session (id, sub, keycloak_sid, csrf, tokens, access_expires_at, refresh_attempt, created_at, seen_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $7, $8)
"""
# The lease decides who refreshes; nobody holds a lock while Keycloak thinks, and a killed claimer's lease lapses.
_CLAIM = """
UPDATE session SET refresh_lease_until = $3, refresh_attempt = refresh_attempt + 1
WHERE id = $1 AND access_expires_at = $4 AND (refresh_lease_until IS NULL OR refresh_lease_until < $2)
RETURNING refresh_attempt
"""
_STORE = """
UPDATE session SET tokens = $3, access_expires_at = $4, refresh_lease_until = NULL
WHERE id = $1 AND refresh_attempt = $2
"""


@dataclass(frozen=True, slots=True)
class Login:
    """One opened session row."""

    id: str
    sub: str
    csrf: str
    name: str
    tokens: Tokens = field(repr=False)
    access_expires_at: datetime
    refresh_attempt: int
    seen_at: datetime

    def visitor(self, *, with_token: bool = True) -> Visitor:
        """Return what the pages may know."""
        who = principal_from(self.tokens.claims)
        return Visitor(
            sub=self.sub, name=self.name, access_token=self.tokens.access if with_token else "", csrf=self.csrf,
            roles=who.roles, hubs=who.hubs, operators=who.operators,
        )  # fmt: skip


def row_id(secret: str) -> str:
    """Return a session's row id for the cookie's value."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Sessions:
    """Opens, keeps fresh and ends sessions."""

    def __init__(self, db: Database, keycloak: Keycloak, settings: Settings, now: Callable[[], datetime]) -> None:
        """``now`` is real time, aware."""
        self._db, self._keycloak, self._now = db, keycloak, now
        self._seal = Seal(settings.session_keys)
        self._idle = timedelta(seconds=settings.session_idle_s)
        self._absolute = timedelta(seconds=settings.session_absolute_s)

    async def start(self, tokens: Tokens, claims: dict[str, Any], *, replaces: str | None) -> str:
        """Store a new login and return the cookie's value; the browser's former session ends."""
        secret, now = secrets.token_urlsafe(32), self._now()
        name = str(claims.get("name") or claims.get("given_name") or "")
        sealed = self._close(row_id(secret), tokens, name)
        async with self._db.transaction() as connection:
            if replaces:
                await connection.execute("DELETE FROM session WHERE id = $1", row_id(replaces))
            await connection.execute(
                _INSERT, row_id(secret), claims["sub"], str(claims.get("sid", "")), secrets.token_urlsafe(32), sealed,
                now + timedelta(seconds=tokens.expires_in), now, now + self._absolute,
            )  # fmt: skip
        return secret

    async def find(self, secret: str) -> Login | None:
        """Return the session with a usable access token, or None when it has ended.

        Raises :class:`SessionBusy` when the token ran out and could not be renewed just now.
        """
        login = await self._load(row_id(secret))
        if login is None:
            return None
        if self._now() - login.seen_at > TOUCH:
            await self._execute("UPDATE session SET seen_at = $2 WHERE id = $1", login.id, self._now())
        if login.access_expires_at - self._now() > EARLY:
            return login
        return await self._freshen(login)

    async def peek(self, secret: str) -> Login | None:
        """Return the session as it stands, without asking Keycloak; its access token may have run out."""
        return await self._load(row_id(secret))

    async def end(self, secret: str) -> Login | None:
        """Delete the session and return what it was."""
        login = await self._load(row_id(secret))
        await self._execute("DELETE FROM session WHERE id = $1", row_id(secret))
        return login

    async def end_by_keycloak(self, claims: dict[str, Any]) -> bool:
        """Delete the sessions that a logout token names; False if this token was used before."""
        async with self._db.transaction() as connection:
            sql = "INSERT INTO logout_token (jti, received_at) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING jti"
            if await connection.fetchval(sql, claims["jti"], self._now()) is None:
                return False
            if claims.get("sid"):
                await connection.execute("DELETE FROM session WHERE keycloak_sid = $1", claims["sid"])
            else:
                await connection.execute("DELETE FROM session WHERE sub = $1", claims["sub"])
        return True

    async def forget(self, connection: asyncpg.Connection) -> None:
        """Delete rows that no cookie can open any more."""
        now = self._now()
        await connection.execute("DELETE FROM session WHERE expires_at < $1 OR seen_at < $2", now, now - self._idle)
        await connection.execute("DELETE FROM logout_token WHERE received_at < $1", now - timedelta(days=1))

    async def _freshen(self, login: Login) -> Login | None:
        now = self._now()
        sql_args = (login.id, now, now + LEASE, login.access_expires_at)
        async with self._db.transaction() as connection:
            attempt = await connection.fetchval(_CLAIM, *sql_args)
        if attempt is not None:
            # Shielded: a browser that leaves must not lose the answer for the others.
            return await asyncio.shield(asyncio.create_task(self._refresh(login, attempt)))
        if login.access_expires_at > now:
            return login
        return await self._wait_for_refresh(login)

    async def _refresh(self, login: Login, attempt: int) -> Login | None:
        try:
            fresh = await self._keycloak.refresh(login.tokens.refresh)
        except GrantRefused:
            _log.info("session_ended_by_keycloak")
            await self._execute("DELETE FROM session WHERE id = $1 AND refresh_attempt = $2", login.id, attempt)
            return None
        except Problem as error:
            return await self._keep(login, attempt, error)
        tokens = Tokens(
            fresh.access, fresh.refresh or login.tokens.refresh, fresh.id or login.tokens.id, fresh.expires_in
        )
        expires_at = self._now() + timedelta(seconds=fresh.expires_in)
        await self._execute(_STORE, login.id, attempt, self._close(login.id, tokens, login.name), expires_at)
        return await self._load(login.id)

    async def _keep(self, login: Login, attempt: int, error: Problem) -> Login:
        """Keycloak is away: go on while the token lasts; the lease stays, as a pause before the next try."""
        if login.access_expires_at > self._now():
            return login
        await self._execute(
            "UPDATE session SET refresh_lease_until = NULL WHERE id = $1 AND refresh_attempt = $2", login.id, attempt
        )
        raise SessionBusy(retry_after_s=3) from error

    async def _wait_for_refresh(self, login: Login) -> Login | None:
        for _ in range(POLLS):
            await asyncio.sleep(POLL_S)
            current = await self._load(login.id)
            if current is None or current.access_expires_at > self._now():
                return current
        raise SessionBusy(retry_after_s=3)

    async def _load(self, identifier: str) -> Login | None:
        now = self._now()
        pool = await self._db.pool()
        row = await pool.fetchrow(_FIND, identifier, now, now - self._idle)
        if row is None:
            return None
        try:
            opened = json.loads(self._seal.open(row["tokens"], identifier))
        except Broken:
            # The key was changed without keeping the previous one: the person logs in again.
            return None
        name = opened.pop("name")
        return Login(
            id=identifier, sub=row["sub"], csrf=row["csrf"], name=name, tokens=Tokens(**opened),
            access_expires_at=row["access_expires_at"], refresh_attempt=row["refresh_attempt"], seen_at=row["seen_at"],
        )  # fmt: skip

    def _close(self, identifier: str, tokens: Tokens, name: str) -> bytes:
        members = {"access": tokens.access, "refresh": tokens.refresh, "id": tokens.id, "expires_in": tokens.expires_in}
        return self._seal.close(json.dumps(members | {"name": name}).encode(), identifier)

    async def _execute(self, sql: str, *args: Any) -> None:
        pool = await self._db.pool()
        await pool.execute(sql, *args)
