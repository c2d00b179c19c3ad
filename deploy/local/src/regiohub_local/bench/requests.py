"""What the load client sends: raw HTTP/1.1, a slot of its own for each booking. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Slots:
    """Half hours, one after the other, over many resources; `step` 0: everybody wants the first one."""

    resources: list[str]
    first: datetime
    start: int = 0
    step: int = 1

    def wish(self, number: int) -> dict[str, object]:
        """The booking of slot `number`."""
        later, which = divmod(self.start + number * self.step, len(self.resources))
        begin = self.first + later * timedelta(minutes=30)
        end = begin + timedelta(minutes=30)
        line = {"resource_id": self.resources[which], "start": begin.isoformat(), "end": end.isoformat()}
        return {"lines": [line]}


def head(method: str, path: str, host: str, headers: Mapping[str, str]) -> str:
    """Request line and headers that stay the same, without the blank line."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines) + "\r\n"


def booking(prefix: str, slots: Slots, key: str, number: int) -> bytes:
    """A whole POST with a key and a slot of its own."""
    body = json.dumps(slots.wish(number))
    more = f"Content-Type: application/json\r\nIdempotency-Key: {key}-{number}\r\nContent-Length: {len(body)}\r\n\r\n"
    return f"{prefix}{more}{body}".encode()


def length(answer: bytes) -> int | None:
    """How many bytes the first answer in the buffer has, or None while its end is not there."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return None
    fields = answer[:end].lower()
    if b"transfer-encoding: chunked" in fields:
        last = answer.find(b"0\r\n\r\n", end + 4)
        return None if last < 0 else last + 5
    at = fields.find(b"content-length:")
    size = int(fields[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
    whole = end + 4 + size
    return whole if len(answer) >= whole else None
