"""The secret in a calendar feed's address: drawn once, kept only as a digest, found again by it."""

import hashlib
import re
import secrets
from datetime import timedelta

KEPT = timedelta(days=90)
"""How long after its end a booking, also a cancelled one, stays in the feed."""
MOST = 1000
"""Events of one feed at most, the latest ones: a calendar program reads all of it each time."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_ENDING = ".ics"


def draw() -> str:
    """Return a new secret of 256 bits: nobody finds one by trying, so the digest needs no salt and no slow hash."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """Return what the database keeps of a secret."""
    return hashlib.sha256(token.encode()).digest()


def file_name(token: str) -> str:
    """Return the last part of the feed's address; some calendar programs insist on the ending."""
    return f"{token}{_ENDING}"


def token_of(name: str) -> str | None:
    """Return the secret in such a file name, None for any other text."""
    token = name.removesuffix(_ENDING)
    return token if _TOKEN.fullmatch(token) and name != token else None
