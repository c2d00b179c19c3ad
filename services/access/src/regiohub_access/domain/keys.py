"""The life of an issuer key, in real time: published ahead of use, then signing, then only verifying, then gone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

USE_FOR = timedelta(days=90)
PUBLISH_AHEAD = timedelta(days=7)
PASS_AHEAD = timedelta(days=30)
"""A pass is signed at most this long before it begins, so that no old key has to stay good for a year."""
CLOCK_LEEWAY = timedelta(minutes=5)
"""How far the clocks of our replicas and readers may differ around a new key."""
VERIFY_FOR = USE_FOR + PUBLISH_AHEAD + PASS_AHEAD + timedelta(days=2)
"""From ``active_at``: the last pass that the key may sign has then ended, with a day to spare."""


@dataclass(frozen=True, slots=True)
class KeySpan:
    """A key id and the moment from which it signs."""

    kid: bytes
    active_at: datetime

    @property
    def not_before(self) -> datetime:
        """From when readers accept what it signed."""
        return self.active_at - CLOCK_LEEWAY

    @property
    def not_after(self) -> datetime:
        """Until when readers accept what it signed."""
        return self.active_at + VERIFY_FOR


def signer(keys: Sequence[KeySpan], *, now: datetime) -> KeySpan | None:
    """Return the newest key that may sign now, None if there is none (left)."""
    good = (k for k in keys if k.active_at <= now < k.active_at + USE_FOR + PUBLISH_AHEAD)
    return max(good, key=lambda k: k.active_at, default=None)


def next_active_at(keys: Sequence[KeySpan], *, now: datetime) -> datetime | None:
    """Return from when a new key should sign, None while no new key is due.

    The first key signs at once; later ones are made a week before they sign, so that each reader has them by then.
    """
    if signer(keys, now=now) is None:
        return now - CLOCK_LEEWAY
    ends = max(key.active_at for key in keys) + USE_FOR
    return ends if ends - PUBLISH_AHEAD <= now else None


def published(keys: Sequence[KeySpan], *, now: datetime) -> tuple[KeySpan, ...]:
    """Return the keys that readers should hold, oldest first."""
    return tuple(sorted((k for k in keys if now < k.not_after), key=lambda k: (k.active_at, k.kid)))
