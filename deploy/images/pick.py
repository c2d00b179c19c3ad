"""Prints the part of requirements.lock that some packages need, with its hashes: an image holds nothing else.

    python pick.py requirements.lock regiohub-booking regiohub-shared

The lock says below each package who asks for it (`# via`); we follow that from the named packages, which may stand in the
lock or be members.
"""

import re
import sys
from pathlib import Path

_ENTRY = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==.*\n(?:[ ]+.*\n)*", re.MULTILINE)
_VIA = re.compile(r"^ +#(?: via)? +([a-z0-9][a-z0-9._-]*)", re.MULTILINE)


def pick(lock: str, roots: set[str]) -> str:
    """Return the entries of the roots themselves and of all that they ask for, in the lock's order."""
    entries = {match[1]: match[0] for match in _ENTRY.finditer(lock)}
    asked_by = {name: set(_VIA.findall(text)) for name, text in entries.items()}
    known = set(roots)
    while more := {name for name, parents in asked_by.items() if parents & known} - known:
        known |= more
    return "".join(text for name, text in entries.items() if name in known)


if __name__ == "__main__":
    sys.stdout.write(pick(Path(sys.argv[1]).read_text(), set(sys.argv[2:])))
