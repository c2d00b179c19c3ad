"""How long the real reader takes to decide on a real pass, its note on disk included."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

from regiohub_access import rh1
from regiohub_access.reader.wire import GRANTED
from regiohub_local import story
from regiohub_local.bench.figures import percentile
from regiohub_local.bench.load import Failed
from regiohub_local.bench.rounds import Course
from regiohub_local.bench.town import DOORS, Member, free_desks
from regiohub_shared.clock import real_now

_CALM, _RUSH = 20, 10
"""Proofs of each pass, with times a second apart and within the leeway: a reader takes each second of a pass once."""
_PAUSE_S = 0.05
"""As fast as people never come; after each the reader tells access, and who comes within those milliseconds waits."""


@dataclass(frozen=True, slots=True)
class Phone:
    """A pass with the key it is bound to."""

    key: rh1.PrivateKey
    minted: bytes
    door: int


async def decide(course: Course) -> dict[str, Any]:
    """Ten members book now, fetch passes, and hold them to the reader; raises Failed unless each opens."""
    await course.town.renew()
    async with httpx.AsyncClient(base_url=course.house.origin, trust_env=False, timeout=20) as http:
        pairs = zip(course.town.members, free_desks(), strict=False)
        phones = await asyncio.gather(*(_phone(http, member, desk) for member, desk in pairs))
    await _synced(course, phones[0])
    return await _present(course, list(phones))


async def _phone(http: httpx.AsyncClient, member: Member, desk: str) -> Phone:
    """Book a desk for now and fetch the pass."""
    headers = {"Authorization": f"Bearer {member.access}"}
    start, end = story.current_slot()
    line = {"resource_id": desk, "start": start.isoformat(), "end": end.isoformat()}
    body = {"lines": [line]}
    made = await http.post("/api/booking/v1/bookings", json=body, headers=headers | {"Idempotency-Key": str(uuid4())})
    booking_id = made.raise_for_status().json()["id"]

    async def grant() -> dict[str, Any] | None:
        found = await http.get("/api/access/v1/grants", params={"booking_id": booking_id}, headers=headers)
        return next((dict(one) for one in found.json()["items"] if one["status"] == "active"), None)

    granted, key, ts = await story.until("grant", grant), rh1.PrivateKey.generate(), int(real_now().timestamp())
    signature = rh1.encode_base64url(key.sign(rh1.enrolment_message(granted["id"], ts)))
    wish = {"jwk": key.public.to_jwk(), "ts": ts, "signature": signature}
    path = f"/api/access/v1/grants/{granted['id']}/passes"
    issued = await http.post(path, json=wish, headers=headers | {"Idempotency-Key": str(uuid4())})
    text = issued.raise_for_status().json()["pass"]
    return Phone(key, base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), granted["doors"][0]["number"])


def _shown(phone: Phone, ts: int) -> dict[str, Any]:
    proof = rh1.Proof(ts=ts, door=phone.door, nonce=os.urandom(4))
    return {"door": phone.door, "presentation": rh1.present(phone.minted, phone.key, proof)}


async def _synced(course: Course, phone: Phone) -> None:
    """Until the reader knows the door and the key."""
    async with httpx.AsyncClient(trust_env=False, timeout=5) as http:

        async def opened() -> bool | None:
            answer = await http.post(_reader(course), json=_shown(phone, int(real_now().timestamp()) - 57))
            return True if answer.json().get("decision") == "allowed" else None

        await story.until("the reader's first sync", opened)


def _reader(course: Course) -> str:
    return f"{course.house.url(f'reader-{DOORS}')}/present"


async def _present(course: Course, phones: list[Phone]) -> dict[str, Any]:
    """Twenty presentations of each pass one every 50 ms, then ten of each without a pause."""
    since = int(real_now().timestamp()) - 30
    calm = await _series(course, phones, range(since, since + _CALM), _PAUSE_S)
    rush = await _series(course, phones, range(since + _CALM, since + _CALM + _RUSH), 0)
    return _told(calm) | {"rush": _told(rush)}


async def _series(course: Course, phones: list[Phone], seconds: range, pause_s: float) -> list[float]:
    """The times in ms, from sending to the whole answer; raises Failed unless each opens."""
    found = []
    for ts in seconds:
        for phone in phones:
            ms, reason = await _one(course, _shown(phone, ts))
            if reason != GRANTED:
                raise Failed(f"the reader decided: {reason}")
            found.append(ms)
            await asyncio.sleep(pause_s)
    return found


def _told(ms: list[float]) -> dict[str, float]:
    return {"count": len(ms), "p50": percentile(ms, 0.5), "p99": percentile(ms, 0.99), "most": max(ms)}


async def _one(course: Course, shown: dict[str, Any]) -> tuple[float, str]:
    """A bare connection: an HTTP library would take longer than the reader."""
    body = json.dumps(shown).encode()
    port = course.house.ports[f"reader-{DOORS}"]
    head = f"POST /present HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode() + body)
    answer = await reader.read()
    took = (time.perf_counter() - began) * 1000
    writer.close()
    return took, str(json.loads(answer.partition(b"\r\n\r\n")[2])["reason"])
