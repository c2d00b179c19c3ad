"""A verifier takes good access tokens for its own audience and nothing else."""

import asyncio
import base64
import json
from typing import Any

import pytest
from jwcrypto import jwk

from regiohub_shared.auth import verifier as module
from regiohub_shared.auth.keys import KeyCache, KeysUnavailable
from regiohub_shared.auth.principal import Principal, principal_from
from regiohub_shared.auth.verifier import InvalidToken, Verifier
from regiohub_shared.clock import real_now
from regiohub_shared.web.health import keys_check
from tests.support import tokens

AUDIENCE = "regiohub-booking"
GOOD = {"alg": "RS256", "typ": "at+jwt", "kid": "test"}


def _now() -> int:
    return int(real_now().timestamp())


def _claims(**other: Any) -> dict[str, Any]:
    changed = tokens.claims_for("demo", "member", hubs=["bendorf"], operators=["stadt-bendorf"]) | other
    return {name: value for name, value in changed.items() if value is not ...}


@pytest.fixture
def verifier() -> Verifier:
    return tokens.verifier(AUDIENCE)


async def _refused(verifier: Verifier, token: str) -> None:
    with pytest.raises(InvalidToken) as refusal:
        await verifier.verify(token)
    assert refusal.value.detail == "", "why is not told to whoever tries"


async def test_good_token(verifier: Verifier) -> None:
    found = await verifier.verify(tokens.sign(_claims()))
    assert found == Principal(
        "demo", "regiohub-gateway", frozenset({"member"}), frozenset({"bendorf"}), frozenset({"stadt-bendorf"})
    )


@pytest.mark.parametrize("audience", [AUDIENCE, [AUDIENCE], ["other", AUDIENCE]])
async def test_own_audience_in_any_form(verifier: Verifier, audience: object) -> None:
    assert await verifier.verify(tokens.sign(_claims(aud=audience)))


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "http://localhost:8080/realms/other"},
        {"iss": tokens.ISSUER + "/"},
        {"iss": ...},
        {"aud": "regiohub-access"},
        {"aud": ["regiohub-access", "account"]},
        {"aud": []},
        {"aud": ...},
        {"typ": "ID"},
        {"typ": "Refresh"},
        {"typ": "Logout"},
        {"typ": ...},
        {"exp": 1},
        {"exp": ...},
        {"exp": "tomorrow"},
        {"iat": ...},
        {"sub": ...},
        {"sub": ""},
        {"sub": 7},
    ],
    ids=str,
)
async def test_wrong_claims(verifier: Verifier, change: dict[str, Any]) -> None:
    await _refused(verifier, tokens.sign(_claims(**change)))


@pytest.mark.parametrize(("name", "seconds"), [("exp", -15), ("nbf", 60), ("iat", 60)])
async def test_wrong_times(verifier: Verifier, name: str, seconds: int) -> None:
    await _refused(verifier, tokens.sign(_claims(**{name: _now() + seconds})))


@pytest.mark.parametrize(("name", "seconds"), [("exp", -4), ("nbf", 5), ("iat", 5)])
async def test_leeway(verifier: Verifier, name: str, seconds: int) -> None:
    assert await verifier.verify(tokens.sign(_claims(**{name: _now() + seconds})))


async def test_a_known_token_ends_with_its_expiry(verifier: Verifier, monkeypatch: pytest.MonkeyPatch) -> None:
    token = tokens.sign(_claims())
    await verifier.verify(token)
    later = real_now().timestamp() + 7200
    monkeypatch.setattr("time.time", lambda: later)
    monkeypatch.setattr(module, "real_now", lambda: real_now().fromtimestamp(later, tz=real_now().tzinfo))
    await _refused(verifier, token)


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": "logout+jwt"},
        {"typ": ""},
        {"typ": None},
        {"kid": "unknown"},
        {"kid": ""},
        {"kid": 7},
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": False},
        {"crit": []},
        {"alg": "RS512"},
        {"alg": "PS256"},
    ],
    ids=str,
)
async def test_wrong_headers(verifier: Verifier, header: dict[str, Any]) -> None:
    await _refused(verifier, tokens.sign_raw(GOOD | header, _claims()))


async def test_a_header_signed_by_hand_is_good(verifier: Verifier) -> None:
    """The counterpart of the test above: only what it changes makes the difference."""
    assert await verifier.verify(tokens.sign_raw(GOOD, _claims()))


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("alg", ["none", "None", "NONE", ""])
async def test_no_signature(verifier: Verifier, alg: str) -> None:
    head = _part({"alg": alg, "typ": "at+jwt", "kid": "test"})
    for signature in ("", "x"):
        await _refused(verifier, f"{head}.{_part(_claims())}.{signature}")


async def test_public_key_as_shared_secret(verifier: Verifier) -> None:
    """HS256 signed with what everyone can read."""
    for secret in (tokens.public_key().export_to_pem(), tokens.public_key().export_public().encode()):
        key = jwk.JWK(kty="oct", k=base64.urlsafe_b64encode(secret).rstrip(b"=").decode())
        await _refused(verifier, tokens.sign(_claims(), {"alg": "HS256"}, key))


async def test_other_key_under_the_known_id(verifier: Verifier) -> None:
    await _refused(verifier, tokens.sign(_claims(), key=tokens.new_key()))


async def test_keys_in_the_header_are_ignored(verifier: Verifier) -> None:
    other = tokens.new_key()
    header = {"jwk": json.loads(other.export_public()), "jku": "http://localhost/keys"}
    await _refused(verifier, tokens.sign(_claims(), header, other))


async def test_changed_payload(verifier: Verifier) -> None:
    head, _payload, signature = tokens.sign(_claims()).split(".")
    await _refused(verifier, f"{head}.{_part(_claims(sub='other'))}.{signature}")


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "a.b",
        "a.b.c.d",
        "a.b.c",
        "e30.e30.e30",
        "W10.e30.x",
        "ä.ö.ü",
        "bnVsbA.e30.x",
        "\x00.\x00.\x00",
    ],
)
async def test_no_token_at_all(verifier: Verifier, token: str) -> None:
    await _refused(verifier, token)


async def test_three_dots(verifier: Verifier) -> None:
    await _refused(verifier, tokens.sign(_claims()) + ".x")
    await _refused(verifier, "." + tokens.sign(_claims()))


async def test_oversize(verifier: Verifier) -> None:
    """Refused for its length although all else is right, and before any work."""
    assert await verifier.verify(tokens.sign(_claims(pad="x" * 5_000)))
    await _refused(verifier, tokens.sign(_claims(pad="x" * 8_000)))
    await _refused(verifier, "[" * 100_000 + ".b.c")


async def test_deeply_nested_header(verifier: Verifier) -> None:
    head = base64.urlsafe_b64encode(b"[" * 5_000).decode().rstrip("=")
    await _refused(verifier, f"{head}.e30.x")


class Keycloak:
    """Keycloak's key endpoint; counts how often it was asked."""

    def __init__(self, *keys: jwk.JWK) -> None:
        self.keys, self.asked, self.away = list(keys), 0, False
        self.answer: dict[str, Any] | None = None
        self.now = 1_000.0

    async def fetch(self) -> dict[str, Any]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise ConnectionError
        return self.answer or {"keys": [json.loads(key.export_public()) for key in self.keys]}

    def cache(self) -> KeyCache:
        return KeyCache(self.fetch, monotonic=lambda: self.now)


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture(scope="module")
def pair() -> tuple[jwk.JWK, jwk.JWK]:
    return tokens.new_key("one"), tokens.new_key("two")


class TestKeys:
    """The cache asks rarely, and never forgets because Keycloak is away."""

    async def test_a_flood_of_unknown_ids_is_one_fetch(self, pair: tuple[jwk.JWK, jwk.JWK]) -> None:
        keycloak = Keycloak(pair[0])
        cache = keycloak.cache()
        found = await asyncio.gather(*(cache.find(f"made-up-{number}") for number in range(500)))
        assert set(found) == {None}
        assert keycloak.asked == 1
        keycloak.now += 29
        await cache.find("another")
        assert keycloak.asked == 1
        keycloak.now += 2
        await asyncio.gather(*(cache.find(f"more-{number}") for number in range(500)))
        assert keycloak.asked == 2

    async def test_a_known_id_asks_nobody(self, pair: tuple[jwk.JWK, jwk.JWK]) -> None:
        keycloak = Keycloak(pair[0])
        cache = keycloak.cache()
        for _ in range(100):
            assert await cache.find("one")
            keycloak.now += 5
        assert keycloak.asked == 1

    async def test_old_keys_stay_while_keycloak_is_away(self, pair: tuple[jwk.JWK, jwk.JWK]) -> None:
        keycloak = Keycloak(pair[0])
        cache = keycloak.cache()
        await cache.find("one")
        keycloak.away = True
        for _ in range(20):
            keycloak.now += 3600
            assert await cache.find("one")
            await _settle()
        assert keycloak.asked > 10, "it goes on asking"
        keycloak.now += 6 * 3600
        with pytest.raises(KeysUnavailable) as refusal:
            await cache.find("one")
        assert refusal.value.status == 503
        keycloak.away, keycloak.now = False, keycloak.now + 60
        assert await cache.find("one")

    async def test_a_known_key_never_waits_for_a_hanging_keycloak(self, pair: tuple[jwk.JWK, jwk.JWK]) -> None:
        keycloak = Keycloak(pair[0])
        hang = asyncio.Event()

        async def fetch() -> dict[str, Any]:
            if keycloak.asked:
                keycloak.asked += 1
                await hang.wait()
            return await keycloak.fetch()

        cache = KeyCache(fetch, monotonic=lambda: keycloak.now)
        await cache.find("one")
        keycloak.now += 700
        async with asyncio.timeout(1):
            for _ in range(50):
                assert await cache.find("one")
                await asyncio.sleep(0)
        assert keycloak.asked == 2, "one caller asks"
        hang.set()
        await _settle()
        assert cache.age_s == 0

    async def test_never_had_keys(self) -> None:
        keycloak = Keycloak()
        keycloak.away = True
        cache = keycloak.cache()
        with pytest.raises(KeysUnavailable):
            await cache.find("one")

    @pytest.mark.parametrize(
        "answer", [{"keys": []}, {"error": "x"}, {"keys": None}, {"keys": [{"kid": "x"}]}], ids=str
    )
    async def test_an_answer_without_keys_changes_nothing(
        self, pair: tuple[jwk.JWK, jwk.JWK], answer: dict[str, Any]
    ) -> None:
        keycloak = Keycloak(pair[0])
        cache = keycloak.cache()
        await cache.find("one")
        keycloak.answer, keycloak.now = answer, keycloak.now + 700
        await cache.find("one")
        await _settle()
        assert keycloak.asked == 2
        assert await cache.find("one")

    async def test_rotation(self, pair: tuple[jwk.JWK, jwk.JWK]) -> None:
        keycloak = Keycloak(pair[0])
        verifier = Verifier(issuer=tokens.ISSUER, audience=AUDIENCE, fetch_keys=keycloak.fetch)
        verifier.keys = keycloak.cache()
        old, new = (tokens.sign(_claims(), {"kid": kid}, key) for kid, key in zip(("one", "two"), pair, strict=True))
        assert await verifier.verify(old)
        keycloak.keys, keycloak.now = [*pair], keycloak.now + 31
        assert await verifier.verify(new), "a new key is fetched when its first token comes"
        assert await verifier.verify(old)
        keycloak.keys, keycloak.now = [pair[1]], keycloak.now + 700
        assert await verifier.verify(tokens.sign(_claims(sub="x"), {"kid": "two"}, pair[1]))
        await _settle()
        await _refused(verifier, old)

    async def test_only_signing_keys_count(self, pair: tuple[jwk.JWK, jwk.JWK]) -> None:
        encryption = jwk.JWK.generate(kty="RSA", size=2048, kid="enc", use="enc", alg="RSA-OAEP")
        cache = Keycloak(pair[0], encryption).cache()
        assert await cache.find("one")
        assert await cache.find("enc") is None


class TestPrincipal:
    """Rights come from roles and claims together."""

    def _who(self, *roles: str, hubs: object = (), operators: object = ()) -> Principal:
        return principal_from(
            {"sub": "s", "realm_access": {"roles": list(roles)}, "hub_operator": hubs, "finance": operators}
        )

    def test_operator_needs_role_and_claim(self) -> None:
        assert self._who("hub-operator", hubs=["bendorf"]).is_operator_of("bendorf")
        assert not self._who("hub-operator", hubs=["bendorf"]).is_operator_of("mayen")
        assert not self._who("member", hubs=["bendorf"]).is_operator_of("bendorf")
        assert self._who("county-admin").is_operator_of("mayen")
        assert not self._who("county-finance").is_operator_of("mayen")

    def test_finance_needs_role_and_claim(self) -> None:
        assert self._who("finance", operators=["stadt-mayen"]).is_finance_of("stadt-mayen")
        assert not self._who("finance", operators=["stadt-mayen"]).is_finance_of("og-rieden")
        assert not self._who("hub-operator", operators=["stadt-mayen"]).is_finance_of("stadt-mayen")
        assert self._who("county-finance").is_finance_of("og-rieden")

    @pytest.mark.parametrize("wrong", ["bendorf", {"bendorf": 1}, None, 7, [["bendorf"]]])
    def test_claims_of_another_shape_give_nothing(self, wrong: object) -> None:
        assert not self._who("hub-operator", hubs=wrong).is_operator_of("bendorf")
        assert principal_from({"sub": "s", "realm_access": wrong}).roles == frozenset()


async def test_old_keys_degrade_readiness_but_keys_never_asked_for_do_not() -> None:
    clock = [0.0]
    keys = KeyCache(tokens.fetch_keys, monotonic=lambda: clock[0])
    check = keys_check(keys)

    assert await check() == {}
    await keys.find("test")
    clock[0] = 3599.0
    assert await check() == {}
    clock[0] = 3601.0
    assert await check() == {"keys": {"age_s": 3601}}
