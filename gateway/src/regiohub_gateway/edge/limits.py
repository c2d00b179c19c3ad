"""Limits in the gateway's database, so that they hold across replicas and restarts."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from weakref import WeakValueDictionary

import asyncpg

from regiohub_shared.db.database import Database
from regiohub_shared.db.errors import DRIVER
from regiohub_shared.log import get_logger
from regiohub_shared.problem import TooManyRequests

_log = get_logger(__name__)
_NEVER = datetime.min.replace(tzinfo=UTC)

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
    AWAY = timedelta(seconds=1)
    """How long nobody is counted, and so nobody waits, after the database did not answer."""

    def __init__(self, limiter: Limiter, per_minute: int, now: Callable[[], datetime]) -> None:
        """``per_minute`` is rounded up to whole packets."""
        packets = -(-per_minute // self.PACKET)
        self._rule = Rule("address", packets, timedelta(minutes=1))
        self._limiter, self._now = limiter, now
        self._left: dict[str, tuple[datetime, int]] = {}
        self._refused_until: dict[str, datetime] = {}
        self._away_until = _NEVER
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def check(self, address: str) -> None:
        """Count one request, or raise 429."""
        if self._spend(address):
            return
        # One at a time: else each request of a burst takes a packet, and a few of them use up the whole limit.
        async with self._turns.setdefault(address, asyncio.Lock()):
            if not self._spend(address):
                await self._take(address)

    def _spend(self, address: str) -> bool:
        """Use one hit of the packet at hand, if there is one; raise 429 while the address is refused."""
        now = self._now()
        refused_until = self._refused_until.get(address, _NEVER)
        if refused_until > now:
            raise TooManyRequests(retry_after_s=max(1, int((refused_until - now).total_seconds())))
        if self._away_until > now:
            return True
        ends_at, left = self._left.get(address, (_NEVER, 0))
        if left == 0 or ends_at <= now:
            return False
        self._left[address] = (ends_at, left - 1)
        return True

    async def _take(self, address: str) -> None:
        """Take a packet and use its first hit. What is left of it ends as the database forgets it."""
        if len(self._left) > self.MAX_REMEMBERED:
            self._left.clear()
            self._refused_until.clear()
        now = self._now()
        try:
            await self._limiter.take(self._rule, address)
            self._left[address] = (now + self._rule.window, self.PACKET - 1)
        except (OSError, *DRIVER):
            # Readers sync through here: without the database doors must still hear of revocations.
            _log.warning("address_not_counted")
            self._away_until = self._now() + self.AWAY
        except TooManyRequests as refusal:
            self._refused_until[address] = now + timedelta(seconds=int(refusal.params["retry_after_s"]))
            raise
