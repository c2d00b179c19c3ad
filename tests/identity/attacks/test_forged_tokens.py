"""Tokens that are none of ours, at every door of the running house: 401, and nobody learns why.

The realm holds a signing key that we know (:func:`plant_key`), so each lie can be signed as Keycloak would sign it.
"""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwcrypto import jwe, jwk

from regiohub_local import keycloak as launcher
from regiohub_shared.clock import real_now
from tests.identity.attacks.house import Attacked
from tests.support.keycloak_login import Client, claims, header, login

ROUTES = {"booking": "/v1/bookings", "access": "/v1/grants", "billing": "/v1/documents"}
HOUR = 3600


def doors(house: Attacked) -> list[tuple[str, dict[str, str]]]:
    """Each service itself, and each through the gateway."""
    direct: list[tuple[str, dict[str, str]]] = [(house.house.url(name) + path, {}) for name, path in ROUTES.items()]
    return direct + [(f"{house.gateways[0]}/api/{name}{path}", house.host) for name, path in ROUTES.items()]


async def answers(house: Attacked, **headers: str) -> set[int]:
    found = set()
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        for url, host in doors(house):
            answer = await http.get(url, headers=host | headers)
            found.add(answer.status_code)
            if answer.status_code == 401:
                assert answer.headers["content-type"] == "application/problem+json"
                assert set(answer.json()) == {"type", "title", "status", "detail", "instance"}
    return found


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(key: jwk.JWK, head: dict[str, Any], body: Any) -> str:
    """RS256 over whatever it says."""
    text = f"{part(head)}.{part(body)}"
    return f"{text}.{part(key.get_op_key('sign').sign(text.encode(), PKCS1v15(), SHA256()))}"


class Forger:
    """Knows a member's genuine token, the realm's public keys and the planted key."""

    def __init__(self, house: Attacked, token: str) -> None:
        self.house, self.token = house, token
        self.head, self.claims = header(token), claims(token)
        self.good = self.head | {"kid": house.stolen.kid}
        certs = f"{house.identity.issuer}/protocol/openid-connect/certs"
        self.certs = httpx.get(certs, trust_env=False).json()["keys"]
        self.public = jwk.JWK(**next(key for key in self.certs if key["kid"] == self.head["kid"]))

    def sign(self, **changes: Any) -> str:
        """The genuine claims but for ``changes`` (None takes one out), signed by the realm's own key."""
        merged = self.claims | {"jti": str(uuid4())} | changes
        return signed(self.house.stolen, self.good, {k: v for k, v in merged.items() if v is not None})

    def headed(self, key: jwk.JWK | None = None, **changes: Any) -> str:
        head = {k: v for k, v in (self.good | changes).items() if v is not None}
        return signed(key or self.house.stolen, head, self.claims)

    def hs256(self, secret: bytes) -> str:
        text = f"{part(self.head | {'alg': 'HS256'})}.{part(self.claims)}"
        return f"{text}.{part(hmac.digest(secret, text.encode(), 'sha256'))}"

    def der(self) -> bytes:
        return self.public.get_op_key("verify").public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def encrypted(self) -> str:
        """A JWE to the realm's own encryption key."""
        key = jwk.JWK(**next(key for key in self.certs if key["use"] == "enc"))
        head = {"alg": key["alg"], "enc": "A256GCM", "typ": "at+jwt", "kid": key["kid"]}
        made = jwe.JWE(self.token.encode(), json.dumps(head))
        made.add_recipient(key)
        return str(made.serialize(compact=True))

    def encryption_kid(self) -> str:
        return str(next(key["kid"] for key in self.certs if key["use"] == "enc"))


@pytest.fixture
async def forger(house: Attacked) -> Forger:
    return Forger(house, await house.token("demo-mitglied"))


def now() -> int:
    return int(real_now().timestamp())


LIES: dict[str, Callable[[Forger], str]] = {
    "alg none": lambda f: f"{part(f.head | {'alg': 'none'})}.{part(f.claims)}.",
    "alg none with a signature": lambda f: f"{part(f.head | {'alg': 'none'})}.{part(f.claims)}.{f.token.split('.')[2]}",
    "alg nOnE": lambda f: f"{part(f.head | {'alg': 'nOnE'})}.{part(f.claims)}.",
    "no signature": lambda f: f.token.rpartition(".")[0] + ".",
    "HS256 by the public key, PEM": lambda f: f.hs256(f.public.export_to_pem()),
    "HS256 by the public key, DER": lambda f: f.hs256(f.der()),
    "HS256 by the public key, JWK": lambda f: f.hs256(f.public.export_public().encode()),
    "HS256 by the modulus": lambda f: f.hs256(f.public.export_public(as_dict=True)["n"].encode()),
    "RS512": lambda f: f.headed(alg="RS512"),
    "other issuer": lambda f: f.sign(iss=f.claims["iss"].replace("regiohub", "master")),
    "issuer with a slash": lambda f: f.sign(iss=f.claims["iss"] + "/"),
    "no issuer": lambda f: f.sign(iss=None),
    "nobody's audience": lambda f: f.sign(aud="account"),
    "no audience": lambda f: f.sign(aud=None),
    "expired": lambda f: f.sign(exp=now() - 60),
    "no expiry": lambda f: f.sign(exp=None),
    "expiry is a word": lambda f: f.sign(exp="never"),
    "not yet": lambda f: f.sign(nbf=now() + HOUR),
    "from the future": lambda f: f.sign(iat=now() + HOUR),
    "nobody": lambda f: f.sign(sub=None),
    "an empty name": lambda f: f.sign(sub=""),
    "an ID token by its claim": lambda f: f.sign(typ="ID"),
    "a refresh token by its claim": lambda f: f.sign(typ="Refresh"),
    "header type JWT": lambda f: f.headed(typ="JWT"),
    "header type logout": lambda f: f.headed(typ="logout+jwt"),
    "no header type": lambda f: f.headed(typ=None),
    "must understand": lambda f: f.headed(crit=["exp"]),
    "another key under a known id": lambda f: f.headed(jwk.JWK.generate(kty="RSA", size=2048), kid=f.head["kid"]),
    "the encryption key's id": lambda f: f.headed(kid=f.encryption_kid()),
    "no key id": lambda f: f.headed(kid=None),
    "key id is a path": lambda f: f.headed(kid="../../../../dev/null"),
    "key id is SQL": lambda f: f.headed(kid="x' OR '1'='1"),
    "key id is a list": lambda f: f.headed(kid=["x"]),
    "tampered": lambda f: ".".join([f.token.split(".")[0], part(f.claims | {"sub": "x"}), f.token.split(".")[2]]),
    "encrypted": lambda f: f.encrypted(),
    "200 dots": lambda f: "." * 200,
    "long": lambda f: f.sign(pad="x" * 9000),
    "a deep header": lambda f: f"{part(b'[' * 4000)}.e30.x",
    "claims are a list": lambda f: signed(f.house.stolen, f.good, [f.claims]),
}


async def test_what_the_planted_key_signs_rightly_is_believed(house: Attacked, forger: Forger):
    """Else every refusal below would prove nothing."""
    for token in (forger.token, forger.sign(), forger.headed()):
        assert 401 not in await answers(house, authorization=f"Bearer {token}")


@pytest.mark.parametrize("lie", LIES)
async def test_a_forged_token_opens_no_door(house: Attacked, forger: Forger, lie: str):
    assert await answers(house, authorization=f"Bearer {LIES[lie](forger)}") == {401}


async def test_a_megabyte_of_token_is_refused_before_it_is_read(house: Attacked):
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        for url, host in doors(house):
            try:
                answer = await http.get(url, headers=host | {"authorization": f"Bearer {'x' * 1_000_000}"})
            except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
                continue  # hung up on while we were still writing
            assert answer.status_code in {400, 431}, url


async def test_other_tokens_of_the_same_login_are_no_access_tokens(house: Attacked):
    tokens = await login(house.identity.gateway, "demo-mitglied", house.identity.password)
    for token in (tokens.identity, tokens.refresh):
        assert await answers(house, authorization=f"Bearer {token}") == {401}


async def test_a_readers_token_is_for_access_alone(house: Attacked):
    reader = await house.identity.service_token("reader-bendorf", "RH_READER_BENDORF_SECRET")
    own = await house.identity.service_token("regiohub-billing", "RH_BILLING_SECRET")
    async with httpx.AsyncClient(trust_env=False) as http:
        for token, closed in ((reader, ("booking", "billing")), (own, ("billing",))):
            for name in closed:
                answer = await http.get(
                    house.house.url(name) + ROUTES[name], headers={"authorization": f"Bearer {token}"}
                )
                assert answer.status_code == 401


async def test_the_same_person_in_another_realm_is_a_stranger(house: Attacked):
    identity = house.identity
    whole = launcher.filled(launcher.realm(), identity.env) | {"realm": "twin"}
    root = f"{identity.keycloak.origin}/admin/realms"
    mine = identity.gateway
    twin = Client(mine.issuer.replace("/regiohub", "/twin"), mine.client_id, mine.secret, mine.redirect_uri)
    with identity.admin() as admin:
        admin.post(root, json=whole, timeout=60).raise_for_status()
        try:
            token = (await login(twin, "demo-mitglied", identity.password)).access
        finally:
            admin.delete(f"{root}/twin", timeout=60).raise_for_status()
    assert await answers(house, authorization=f"Bearer {token}") == {401}


async def test_keys_that_the_token_brings_along_are_never_fetched(house: Attacked, forger: Forger):
    """The address that the header names is one where we would hear it."""
    own = jwk.JWK.generate(kty="RSA", size=2048, kid="mine")
    heard = len(house.from_keycloak.heard)
    brought = {"jwk": own.export_public(as_dict=True), "x5c": ["AAAA"]}
    for name in ("jku", "x5u"):
        token = forger.headed(own, kid="mine", **brought, **{name: f"{house.from_keycloak.origin}/keys"})
        assert await answers(house, authorization=f"Bearer {token}") == {401}
    assert len(house.from_keycloak.heard) == heard


async def test_ten_thousand_invented_key_ids_are_one_question_to_keycloak(house: Attacked, forger: Forger):
    started = time.monotonic()
    before = {name: house.to_keycloak[name].count("/certs") for name in ROUTES}
    tail = f".{part(forger.claims)}.{forger.token.split('.')[2]}"
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:

        async def ask(number: int) -> None:
            headers = {"authorization": f"Bearer {part(forger.head | {'kid': f'made-up-{number}'})}{tail}"}
            name, path = list(ROUTES.items())[number % len(ROUTES)]
            assert (await http.get(house.house.url(name) + path, headers=headers)).status_code == 401

        for first in range(0, 10_000, 20):
            await asyncio.gather(*(ask(number) for number in range(first, first + 20)))
    pauses = (time.monotonic() - started) / 30
    for name in ROUTES:
        assert house.to_keycloak[name].count("/certs") - before[name] <= 1 + pauses


@pytest.mark.parametrize("name", ["access_token", "token", "bearer"])
async def test_a_token_in_the_address_is_none(house: Attacked, forger: Forger, name: str):
    async with httpx.AsyncClient(trust_env=False) as http:
        for url, host in doors(house):
            assert (await http.get(url, params={name: forger.token}, headers=host)).status_code == 401
            assert (await http.get(url, headers=host | {"cookie": f"{name}={forger.token}"})).status_code == 401


async def test_two_authorizations_are_none(house: Attacked, forger: Forger):
    pairs = [(b"authorization", f"Bearer {token}".encode()) for token in (forger.token, "x")]
    async with httpx.AsyncClient(trust_env=False) as http:
        for url, host in doors(house):
            for headers in (pairs, pairs[::-1]):
                answer = await http.get(url, headers=[*headers, *((k.encode(), v.encode()) for k, v in host.items())])
                assert answer.status_code in {400, 401}


async def test_refused_tokens_leave_a_line_and_no_token_in_the_log(house: Attacked, forger: Forger):
    assert await answers(house, authorization=f"Bearer {forger.sign(exp=1)}") == {401}
    for program in ("booking", "access", "billing", "gateway"):
        text = house.log(program)
        assert '"status": 401' in text, program
        assert "eyJ" not in text, program


async def test_who_runs_one_hub_cannot_touch_another(house: Attacked):
    county, mayen = await house.token("demo-kreis"), await house.token("demo-betrieb-mayen")
    async with httpx.AsyncClient(trust_env=False, base_url=house.house.url("booking")) as http:
        for path, body in (
            ("/v1/operators/stadt-bendorf", {"name": "Bendorf"}),
            ("/v1/hubs/bendorf", {"operator": "stadt-bendorf", "name": "Ideenkino"}),
        ):
            await http.put(path, json=body, headers={"authorization": f"Bearer {county}"})
        path, hours = "/v1/hubs/bendorf/opening-hours", {"opening_hours": []}
        for token, status in ((mayen, 403), (county, 200)):
            answer = await http.put(path, json=hours, headers={"authorization": f"Bearer {token}", "if-match": "*"})
            assert answer.status_code == status, answer.text
