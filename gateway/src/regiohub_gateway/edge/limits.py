"""Limits in the gateway's database, so that they hold across replicas and restarts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg

from regiohub_shared.db.database import Database
from regiohub_shared.log import get_logger
from regiohub_shared.problem import TooManyRequests

_log = get_logger(__name__)

# One statement decides and writes: two requests at once cannot both take the last place.
_TAKE = """
INSERT INTO rate_limit AS r (bucket, hits, last_at) VALUES ($1, ARRAY[$2::timestamptz], $2)
ON CONFLICT (bucket) DO UPDATE SET
    hits = (SELECT coalesce(array_agg(h), '{}') FROM unnest(r.hits) h WHERE h > $3) || $2::timestamptz, last_at = $2
WHERE (SELECT count(*) FROM unnest(r.hits) h WHERE h > $3) < $4
RETURNING true
"""
_OLDEST = "SELECT min(h) FROM rate_limit, unnest(hits) h WHERE bucket = $1 AND h > $2"
_GIVE_BACK = "UPDATE rate_limit SET hits = array_remove(hits, $2::timestamptz) WHERE bucket = $1"
_HAS = "SELECT EXISTS (SELECT 1 FROM rate_limit, unnest(hits) h WHERE bucket = $1 AND h > $2)"
_FORGET = "DELETE FROM rate_limit WHERE last_at < $1"


class TooManyHolds(TooManyRequests):
    """More bookings in an hour than a person needs."""

    type, title = "too-many-holds", "Too many bookings were started within an hour"


class TooManyLogins(TooManyRequests):
    """One address starts logins faster than people do."""

    type, title = "too-many-logins", "Too many logins from this address"


@dataclass(frozen=True, slots=True)
class Rule:
    """At most ``count`` hits within any ``window``."""

    name: str
    count: int
    window: timedelta
    refusal: type[TooManyRequests] = TooManyRequests


class Limiter:
    """Counts hits per bucket over a sliding window."""

    def __init__(self, db: Database, now: Callable[[], datetime]) -> None:
        """``now`` is real time, aware."""
        self._db, self._now = db, now

    async def take(self, rule: Rule, who: str) -> datetime:
        """Count one hit and return its stamp, or raise the rule's refusal with ``Retry-After``."""
        now, bucket = self._now(), f"{rule.name}:{who}"
        async with self._db.transaction() as connection:
            if await connection.fetchval(_TAKE, bucket, now, now - rule.window, rule.count):
                return now
            oldest = await connection.fetchval(_OLDEST, bucket, now - rule.window)
        wait = (oldest + rule.window - now) if oldest else rule.window
        raise rule.refusal(retry_after_s=max(1, int(wait.total_seconds()) + 1), limit=rule.count)

    async def give_back(self, rule: Rule, who: str, at: datetime) -> None:
        """Undo one hit: what it was counted for did not happen."""
        async with self._db.transaction() as connection:
            await connection.execute(_GIVE_BACK, f"{rule.name}:{who}", at)

    async def has(self, rule: Rule, who: str) -> bool:
        """Return whether a hit counts now; takes none."""
        pool = await self._db.pool()
        return bool(await pool.fetchval(_HAS, f"{rule.name}:{who}", self._now() - rule.window))

    async def forget(self, connection: asyncpg.Connection) -> None:
        """Delete buckets that no rule looks at any more."""
        await connection.execute(_FORGET, self._now() - timedelta(days=1))


class AddressLimiter:
    """Requests per address and minute; takes hits in packets, so that not every request writes a row.

    A replica may let through one packet more than the limit.
    """

    PACKET = 20
    MAX_REMEMBERED = 10_000

    def __init__(self, limiter: Limiter, per_minute: int, now: Callable[[], datetime]) -> None:
        """``per_minute`` is rounded up to whole packets."""
        packets = -(-per_minute // self.PACKET)
        self._rule = Rule("address", packets, timedelta(minutes=1))
        self._limiter, self._now = limiter, now
        self._left: dict[str, tuple[datetime, int]] = {}
        self._refused_until: dict[str, datetime] = {}

    async def check(self, address: str) -> None:
        """Count one request, or raise 429."""
        now = self._now()
        until = self._refused_until.get(address, datetime.min.replace(tzinfo=UTC))
        if until > now:
            raise TooManyRequests(retry_after_s=max(1, int((until - now).total_seconds())))
        since, left = self._left.get(address, (now, 0))
        if left == 0 or now - since > self._rule.window:
            await self._take(address, now)
            since, left = now, self.PACKET
        self._left[address] = (since, left - 1)

    async def _take(self, address: str, now: datetime) -> None:
        if len(self._left) > self.MAX_REMEMBERED:
            self._left.clear()
            self._refused_until.clear()
        try:
            await self._limiter.take(self._rule, address)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            # Readers sync through here: without the database doors must still hear of revocations.
            _log.warning("address_not_counted")
        except TooManyRequests as refusal:
            self._refused_until[address] = now + timedelta(seconds=int(refusal.params["retry_after_s"]))
            raise
