"""shared/auth against the real Keycloak: what a service accepts, and what not."""

import time
from collections.abc import Iterator
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI

from regiohub_local import keycloak as launcher
from regiohub_shared.auth.deps import require_service
from regiohub_shared.auth.principal import Principal
from regiohub_shared.auth.verifier import InvalidToken, Verifier
from regiohub_shared.web.errors import install_error_handlers
from tests.identity.conftest import Identity
from tests.support.keycloak_login import Client, claims, login

PASSWORD = "ein-langes-Passwort-7"


class Certs:
    """Fetches the real keys and counts how often."""

    def __init__(self, issuer: str) -> None:
        self.url, self.asked = f"{issuer}/protocol/openid-connect/certs", 0

    async def __call__(self) -> dict:
        self.asked += 1
        async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
            return (await http.get(self.url)).raise_for_status().json()


@pytest.fixture
def certs(keycloak: Identity) -> Certs:
    return Certs(keycloak.issuer)


@pytest.fixture
def booking(keycloak: Identity, certs: Certs) -> Verifier:
    return Verifier(issuer=keycloak.issuer, audience="regiohub-booking", fetch_keys=certs)


@pytest.fixture
def second_realm(keycloak: Identity) -> Iterator[Client]:
    """The same clients and people in a realm of another name."""
    whole = launcher.filled(launcher.realm(), keycloak.env) | {"realm": "other"}
    with keycloak.admin() as admin:
        root = f"{keycloak.keycloak.origin}/admin/realms"
        admin.post(root, json=whole, timeout=60).raise_for_status()
        gateway = keycloak.gateway
        yield Client(
            gateway.issuer.replace("/regiohub", "/other"), gateway.client_id, gateway.secret, gateway.redirect_uri
        )
        admin.delete(f"{root}/other", timeout=60).raise_for_status()


async def test_a_members_token_is_accepted_by_each_audience(keycloak: Identity, certs: Certs):
    token = (await login(keycloak.gateway, "demo-betrieb-bendorf", keycloak.password)).access
    for audience in ("regiohub-booking", "regiohub-access", "regiohub-billing"):
        caller = await Verifier(issuer=keycloak.issuer, audience=audience, fetch_keys=certs).verify(token)
        assert caller.sub == claims(token)["sub"]
        assert caller.azp == "regiohub-gateway"
        assert caller.has("member")
        assert caller.hubs == {"bendorf"}
        assert caller.is_operator_of("bendorf")
        assert not caller.is_operator_of("mayen")


async def test_keys_are_fetched_once(keycloak: Identity, booking: Verifier, certs: Certs):
    for user in ("demo-mitglied", "demo-kasse-mayen"):
        await booking.verify((await login(keycloak.gateway, user, keycloak.password)).access)
    assert certs.asked == 1


async def test_wrong_audience(keycloak: Identity, booking: Verifier):
    reader = await keycloak.service_token("reader-bendorf", "RH_READER_BENDORF_SECRET")
    own = await keycloak.service_token("regiohub-booking", "RH_BOOKING_SECRET")
    for token in (reader, own):
        with pytest.raises(InvalidToken):
            await booking.verify(token)


async def test_wrong_issuer(second_realm: Client, keycloak: Identity, booking: Verifier, certs: Certs):
    token = (await login(second_realm, "demo-mitglied", keycloak.password)).access
    assert claims(token)["iss"].endswith("/realms/other")
    with pytest.raises(InvalidToken):
        await booking.verify(token)
    # Even if the foreign realm's keys were ours, its issuer is not.
    tricked = Verifier(issuer=keycloak.issuer, audience="regiohub-booking", fetch_keys=Certs(second_realm.issuer))
    with pytest.raises(InvalidToken):
        await tricked.verify(token)


async def test_id_and_refresh_tokens_are_no_access_tokens(keycloak: Identity, certs: Certs):
    tokens = await login(keycloak.gateway, "demo-mitglied", keycloak.password)
    gateway = Verifier(issuer=keycloak.issuer, audience="regiohub-gateway", fetch_keys=certs)
    for token in (tokens.identity, tokens.refresh):
        with pytest.raises(InvalidToken):
            await gateway.verify(token)


async def test_expired(keycloak: Identity, certs: Certs, monkeypatch: pytest.MonkeyPatch):
    token = (await login(keycloak.gateway, "demo-mitglied", keycloak.password)).access
    end = claims(token)["exp"]
    for late, accepted in ((5, True), (12, False)):
        verifier = Verifier(issuer=keycloak.issuer, audience="regiohub-booking", fetch_keys=certs)
        await verifier.keys.find("any")  # while the clock is right
        with monkeypatch.context() as later:
            later.setattr(time, "time", lambda moment=end + late: moment)
            if accepted:
                await verifier.verify(token)
            else:
                with pytest.raises(InvalidToken):
                    await verifier.verify(token)


async def test_tampered(keycloak: Identity, booking: Verifier):
    token = (await login(keycloak.gateway, "demo-mitglied", keycloak.password)).access
    head, body, signature = token.split(".")
    for bad in (f"{head}.{body[:-2]}AA.{signature}", f"{head}.{body}.{signature[:-6]}AAAAAA", f"{head}.{body}."):
        with pytest.raises(InvalidToken):
            await booking.verify(bad)


def internal_app(verifier: Verifier) -> FastAPI:
    app = FastAPI()
    install_error_handlers(app)
    app.state.verifier = verifier

    @app.get("/internal/thing")
    async def thing(caller: Annotated[Principal, Depends(require_service("regiohub-access"))]) -> str:
        return caller.azp

    return app


async def test_internal_routes_take_named_services_only(keycloak: Identity, booking: Verifier):
    tokens = {
        "member": (await login(keycloak.gateway, "demo-mitglied", keycloak.password)).access,
        "county": (await login(keycloak.gateway, "demo-kreis", keycloak.password)).access,
        "billing": await keycloak.service_token("regiohub-billing", "RH_BILLING_SECRET"),
        "seed": await keycloak.service_token("regiohub-seed", "RH_SEED_SECRET"),
        "access": await keycloak.service_token("regiohub-access", "RH_ACCESS_SECRET"),
    }
    transport = httpx.ASGITransport(internal_app(booking))
    async with httpx.AsyncClient(transport=transport, base_url="http://booking") as http:
        statuses = {
            who: (await http.get("/internal/thing", headers={"Authorization": f"Bearer {token}"})).status_code
            for who, token in tokens.items()
        }
        assert (await http.get("/internal/thing")).status_code == 401
    assert statuses == {"member": 403, "county": 403, "billing": 403, "seed": 403, "access": 200}


async def test_known_keys_keep_working_while_keycloak_is_stopped(keycloak: Identity, booking: Verifier, certs: Certs):
    first = (await login(keycloak.gateway, "demo-mitglied", keycloak.password)).access
    second = (await login(keycloak.gateway, "demo-kreis", keycloak.password)).access
    await booking.verify(first)
    keycloak.stop()
    try:
        assert (await booking.verify(second)).has("county-admin")
        head = second.split(".")[0]
        with pytest.raises(InvalidToken):
            await booking.verify(second.replace(head, "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6IngifQ"))
    finally:
        keycloak.start()
    assert (await login(keycloak.gateway, "demo-mitglied", keycloak.password)).access
