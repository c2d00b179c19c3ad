"""A browser, a Keycloak and three services for the gateway's app; everything else is the real thing."""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from regiohub_shared.clock import real_now
from regiohub_shared.ids import new_id
from tests.support.tokens import ISSUER, claims_for, fetch_keys, sign

ORIGIN = "http://gateway.test"
CHECKOUT = "http://checkout.test"
HUB = {
    "slug": "bendorf", "name": "Ideenkino", "operator": "stadt-bendorf", "operator_name": "Stadt Bendorf", "street": "Bachstr. 1", "postcode": "56170",
    "city": "Bendorf", "door_hint": "Hintereingang", "time_zone": "Europe/Berlin", "version": 3,
    "opening_hours": [{"weekday": 1, "opens": "08:00", "closes": "24:00"}],
}  # fmt: skip
ROOM_ID = "0193b3f0-0000-7000-8000-000000000001"
BOOKING_ID = "0193b3f0-0000-7000-8000-0000000000b1"
GRANT_ID = "0193b3f0-0000-7000-8000-0000000000a1"
ROOM = {
    "id": ROOM_ID, "hub": "bendorf", "operator": "stadt-bendorf", "name": "Platz <1>", "kind": "desk", "description": "am Fenster",
    "position": 0, "cents_per_hour": 450, "currency": "EUR", "tax_code": "S19", "granularity_minutes": 30, "min_minutes": 30,
    "max_minutes": 1440, "horizon_days": 457, "buffer_before_minutes": 0, "buffer_after_minutes": 0, "is_active": True, "parts": [],
    "has_own_hours": False, "opening_hours": [], "time_zone": "Europe/Berlin", "version": 7,
}  # fmt: skip
STEPS = [{"rule": "per-started-hour", "label": "2 started hours", "quantity": 2, "unit_cents": 450, "cents": 900}]
PRICE = {"gross_cents": 900, "currency": "EUR", "tax_code": "S19", "derivation": STEPS}


def booking(status: str = "confirmed", **more: Any) -> dict[str, Any]:
    """A booking of tomorrow."""
    start = real_now().replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    end = start + timedelta(hours=2)
    line = {
        "id": ROOM_ID, "resource_id": ROOM_ID, "resource_name": "Platz <1>", "start": start.isoformat(), "end": end.isoformat(),
        "gross_cents": 900, "tax_code": "S19", "derivation": STEPS,
    }  # fmt: skip
    stamps = dict.fromkeys(
        ["confirmed_at", "cancelled_at", "expired_at", "checked_in_at", "completed_at", "cancelled_by"]
    )
    return {
        "id": BOOKING_ID, "code": "ABCD2345", "hub": "bendorf", "hub_name": "Ideenkino", "operator": "stadt-bendorf", "status": status, "version": 4,
        "lines": [line], "starts_at": start.isoformat(), "ends_at": end.isoformat(), "gross_cents": 900, "fee_cents": 0,
        "currency": "EUR", "created_at": start.isoformat(), "held_at": start.isoformat(), "member_name": "Demo <b>", "is_own": True,
        "hold_until": (real_now() + timedelta(minutes=20, seconds=30)).isoformat(), **stamps, **more,
    }  # fmt: skip


def slot(start: datetime, minutes: int = 120, **more: Any) -> dict[str, Any]:
    """A free slot of the room."""
    end = start + timedelta(minutes=minutes)
    times = {"start": start.isoformat(), "end": end.isoformat()}
    return {"resource_id": ROOM_ID, "resource_name": "Platz <1>", "price": PRICE} | times | more


def first_free(start: datetime, minutes: int = 120, *offers: dict[str, Any]) -> dict[str, Any]:
    """What the hub has first, as booking answers it."""
    found = offers or (slot(start, minutes),)
    return items({"hub": "bendorf", "start": found[0]["start"], "end": found[0]["end"], "offers": list(found)})


def grant(**more: Any) -> dict[str, Any]:
    """A grant with a PIN that has arrived."""
    start = real_now() + timedelta(days=1)
    end = start + timedelta(hours=2)
    window = {"starts_at": start.isoformat(), "ends_at": end.isoformat(), "doors": [1, 12]}
    return {
        "id": GRANT_ID, "booking_id": BOOKING_ID, "hub": "bendorf", "address": None, "status": "active",
        "starts_at": start.isoformat(), "ends_at": end.isoformat(),
        "doors": [{"number": 1, "name": "Haustür"}, {"number": 12, "name": 'Saal "A"'}], "windows": [window], "pin": "483920",
        "pin_armed_at": start.isoformat(), "first_opened_at": None, **more,
    }  # fmt: skip


def items(*found: Any) -> dict[str, Any]:
    """A list as services answer it."""
    return {"items": list(found), "next": None}


def refusal(status: int, kind: str, **more: Any) -> httpx.Response:
    """A problem as services answer it."""
    body = {"type": f"/problems/{kind}", "title": kind, "status": status, "detail": "because", "instance": "x", **more}
    return httpx.Response(status, json=body, headers={"content-type": "application/problem+json"})


Answer = Any  # JSON, a response, an exception, or a function of the request


class Service(httpx.AsyncBaseTransport):
    """Answers by method and path; remembers what it was asked."""

    def __init__(self, name: str, routes: dict[str, Answer]) -> None:
        self.name, self.routes = name, routes
        self.seen: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.seen.append(request)
        answer = self.routes.get(f"{request.method} {request.url.path}")
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            return refusal(404, "not-found")
        if isinstance(answer, httpx.Response):
            # Streams like a network: the body is not read yet.
            return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content))
        return httpx.Response(200, json=answer, headers={"etag": '"4"'})

    def last(self, method: str, path: str) -> httpx.Request:
        """The newest request of that kind."""
        return [request for request in self.seen if (request.method, request.url.path) == (method, path)][-1]


class Keycloak(httpx.AsyncBaseTransport):
    """Gives codes for whoever logs in, tokens for codes, fresh tokens for refresh tokens."""

    def __init__(self) -> None:
        self.codes: dict[str, tuple[dict[str, Any], str, str]] = {}
        self.refreshes = 0
        self.refresh_answer: Callable[[], httpx.Response] | None = None
        self.refresh_delay: Callable[[], Any] | None = None
        self.life_s = 300
        self.people: dict[str, dict[str, Any]] = {}
        self.ended: list[str] = []
        self.logout_answer = 204
        self.nonce = ""
        self.id_type: str | None = "ID"
        self.is_down = False

    def login(self, url: str, sub: str = "alice", roles: tuple[str, ...] = ("member",), **claims: Any) -> str:
        """What the login form ends in: the way back with a code."""
        asked = parse_qs(urlsplit(url).query)
        code = secrets.token_urlsafe(8)
        person = claims_for(sub, *roles) | {"sid": f"kc-{sub}"} | claims
        self.people[sub] = person
        self.codes[code] = (person, asked["nonce"][0], asked["code_challenge"][0])
        return f"{asked['redirect_uri'][0]}?code={code}&state={asked['state'][0]}&iss={ISSUER}"

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        if self.is_down:
            raise httpx.ConnectError("down")
        path = request.url.path.rsplit("/", 1)[-1]
        if path == "certs":
            return httpx.Response(200, json=await fetch_keys())
        form = {key: values[0] for key, values in parse_qs(request.content.decode()).items()}
        assert form["client_id"] == "regiohub-gateway"
        assert form["client_secret"] == "gateway-secret"
        if path == "logout":
            self.ended.append(form["refresh_token"])
            return httpx.Response(self.logout_answer)
        if form["grant_type"] == "refresh_token":
            return await self._refresh(form)
        return self._redeem(form)

    def _redeem(self, form: dict[str, str]) -> httpx.Response:
        person, nonce, challenge = self.codes.pop(form["code"], ({}, "", ""))
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != challenge:
            return httpx.Response(400, json={"error": "invalid_grant"})
        return self._tokens(person, self.nonce or nonce)

    async def _refresh(self, form: dict[str, str]) -> httpx.Response:
        self.refreshes += 1
        if self.refresh_delay:
            await self.refresh_delay()
        if self.refresh_answer:
            return self.refresh_answer()
        return self._tokens(self.people[form["refresh_token"].split(":")[0]], "")

    def _tokens(self, person: dict[str, Any], nonce: str) -> httpx.Response:
        now = int(real_now().timestamp())
        access = person | {"iat": now, "exp": now + 300, "jti": secrets.token_hex(8)}
        identity = {
            "iss": ISSUER, "aud": "regiohub-gateway", "sub": person["sub"], "sid": person["sid"], "typ": self.id_type, "nonce": nonce,
            "iat": now, "exp": now + 300, "name": "Demo Mitglied",
        }  # fmt: skip
        tokens = {
            "access_token": sign(access), "refresh_token": f"{person['sub']}:r", "id_token": sign(identity, {"typ": "JWT"}),
            "expires_in": self.life_s,
        }  # fmt: skip
        return httpx.Response(200, json=tokens)


def logout_token(**claims: Any) -> str:
    """What Keycloak sends when a login has ended elsewhere."""
    now = int(real_now().timestamp())
    base = {
        "iss": ISSUER, "aud": "regiohub-gateway", "iat": now, "exp": now + 60, "jti": str(new_id()), "sid": "kc-alice",
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    }  # fmt: skip
    return sign(base | claims, {"typ": "logout+jwt"})


class Browser:
    """Keeps cookies as browsers do, sends Origin with forms, follows no redirect by itself."""

    def __init__(self, app: Any, keycloak: Keycloak) -> None:
        self._http = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=ORIGIN)
        self.keycloak = keycloak
        self.cookies: dict[str, str] = {}

    async def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request with this browser's cookies; what it stores is taken from the answer."""
        headers = {"accept": "text/html", **more.pop("headers", {})}
        if self.cookies:
            headers.setdefault("cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        self._http.cookies.clear()
        answer = await self._http.request(method, path, headers=headers, **more)
        for line in answer.headers.get_list("set-cookie"):
            name, _, rest = line.partition("=")
            value = rest.split(";")[0]
            if "Max-Age=0" in line or not value.strip('"'):
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer

    async def get(self, path: str, **more: Any) -> httpx.Response:
        """Open a page."""
        return await self.send("GET", path, **more)

    async def post(self, path: str, fields: dict[str, str], **more: Any) -> httpx.Response:
        """Send a form with this session's token."""
        csrf = (await self.get("/auth/session")).json().get("csrf", "")
        headers = {"origin": ORIGIN, **more.pop("headers", {})}
        return await self.send(
            "POST", path, data={"csrf": csrf, "key": str(new_id())} | fields, headers=headers, **more
        )

    async def api(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Call the API as our own scripts do."""
        headers = {"origin": ORIGIN, "x-requested-with": "RegioHub", **more.pop("headers", {})}
        return await self.send(method, path, headers=headers, **more)

    async def login(self, sub: str = "alice", *roles: str, return_to: str = "/", **claims: Any) -> httpx.Response:
        """Through the form and back."""
        asked = await self.get(f"/auth/login?return_to={return_to}")
        back = self.keycloak.login(asked.headers["location"], sub, roles or ("member",), **claims)
        return await self.get(back.removeprefix(ORIGIN))

    async def aclose(self) -> None:
        """Close."""
        await self._http.aclose()


def as_json(request: httpx.Request) -> Any:
    """The body that a service got."""
    return json.loads(request.content)
