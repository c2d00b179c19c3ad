"""Identifiers: time-ordered UUIDs (RFC 9562, version 7) and short codes that people can read out."""

import os
import secrets
import time
from uuid import UUID

# No 0/O, 1/I/L: people read these aloud on the phone.
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"


def new_id() -> UUID:
    """Return a UUID of version 7: 48 bits of milliseconds, then random bits."""
    millis = time.time_ns() // 1_000_000
    value = millis << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)


def booking_code() -> str:
    """Return eight characters that are unambiguous in print and speech (about 39 bits)."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(8))
