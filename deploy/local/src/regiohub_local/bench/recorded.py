"""The SQL of a booking as the server's log has it, and as pgbench can repeat it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PREFIX = "@@%p "
"""What the server puts before each entry of its log (`log_line_prefix`)."""
_ENTRY = re.compile(r"^@@(\d+) ", re.MULTILINE)
_SPOKEN = re.compile(r"LOG:  duration: [0-9.]+ ms  (?:statement|execute [^:]*): (.*)", re.DOTALL)
_VALUE = re.compile(r"\$(\d+) = (NULL|'(?:[^']|'')*')")
_PLACE = re.compile(r"\$(\d+)")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class NotRecorded(RuntimeError):
    """The log does not hold the booking that was made."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """One statement with its parameters as text; None is NULL."""

    sql: str
    values: tuple[str | None, ...] = ()


def transaction(log: str, key: str) -> list[Spoken]:
    """The statements from BEGIN to COMMIT of the transaction in which `key` was a parameter; raises NotRecorded."""
    found = _sessions(log)
    for statements in found.values():
        hits = [n for n, spoken in enumerate(statements) if key in spoken.values]
        if hits:
            words = [spoken.sql.strip(" ;\n").upper() for spoken in statements]
            begin = max((n for n in range(hits[0]) if words[n].startswith("BEGIN")), default=-1)
            end = next((n for n in range(hits[-1], len(words)) if words[n] == "COMMIT"), -1)
            if 0 <= begin < end:
                return statements[begin : end + 1]
    raise NotRecorded("the server's log does not hold the booking from BEGIN to COMMIT")


def _sessions(log: str) -> dict[str, list[Spoken]]:
    """What each session said, in order."""
    found: dict[str, list[Spoken]] = {}
    parts, is_spoken = _ENTRY.split(log)[1:], False
    for pid, entry in zip(parts[::2], parts[1::2], strict=True):
        said = found.setdefault(pid, [])
        if match := _SPOKEN.match(entry):
            said.append(Spoken(match[1].replace("\n\t", "\n").strip()))
            is_spoken = True
        elif entry.startswith("DETAIL:  ") and said and is_spoken:
            said[-1] = Spoken(said[-1].sql, _values(entry))
        else:
            is_spoken = False
    return found


def _values(detail: str) -> tuple[str | None, ...]:
    pairs = _VALUE.findall(detail.replace("\n\t", "\n"))
    return tuple(None if value == "NULL" else value[1:-1].replace("''", "'") for _, value in pairs)


def for_pgbench(spoken: Spoken, types: Sequence[str], varying: Mapping[str, str]) -> str:
    """The statement with its values written in.

    Wherever a value contains a key of `varying`, that SQL expression (of type text) stands in its place.
    """

    def written(match: re.Match[str]) -> str:
        at = int(match[1]) - 1
        return f"({_literal(spoken.values[at], varying)})::{types[at]}"

    return _PLACE.sub(written, spoken.sql) if spoken.values else spoken.sql


def _literal(value: str | None, varying: Mapping[str, str]) -> str:
    if value is None:
        return "NULL"
    if not varying:
        return _quoted(value)
    cut = re.compile("|".join(re.escape(atom) for atom in sorted(varying, key=len, reverse=True)))
    pieces, at = [], 0
    for match in cut.finditer(value):
        pieces += [_quoted(value[at : match.start()]), varying[match[0]]]
        at = match.end()
    pieces.append(_quoted(value[at:]))
    kept = [piece for piece in pieces if piece != "''"]
    return " || ".join(kept) or "''"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
