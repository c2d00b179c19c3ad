"""PINs: six random digits, never ones that a stranger tries first."""

import secrets

DIGITS = 6
_UP = "01234567890123456789"


def is_weak(pin: str) -> bool:
    """Return whether it is one digit repeated or a run up or down (``777777``, ``345678``, ``876543``)."""
    return len(set(pin)) == 1 or pin in _UP or pin[::-1] in _UP


def draw() -> str:
    """Return a random PIN; whether it is free in its hub is the database's word."""
    while True:
        pin = f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
        if not is_weak(pin):
            return pin
