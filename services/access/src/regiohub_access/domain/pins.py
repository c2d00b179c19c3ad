"""PINs: six random digits, never ones that a stranger tries first."""

import secrets
from collections.abc import Callable

DIGITS = 6
_UP = "01234567890123456789"


def is_weak(pin: str) -> bool:
    """Return whether it is one digit repeated or a run up or down (``777777``, ``345678``, ``876543``)."""
    return len(set(pin)) == 1 or pin in _UP or pin[::-1] in _UP


def draw(below: Callable[[int], int] = secrets.randbelow) -> str:
    """Return a random PIN that is not weak; ``below(n)`` draws from 0 to n - 1.

    Whether it is free in its hub is the database's word.
    """
    while True:
        pin = f"{below(10**DIGITS):0{DIGITS}d}"
        if not is_weak(pin):
            return pin
