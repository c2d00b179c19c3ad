"""What the real Keycloak puts into tokens, and whom it lets in."""

import httpx
import pytest

from regiohub_local.keycloak import realm
from tests.identity.conftest import Identity
from tests.support.keycloak_login import (
    FormBrowser,
    FormError,
    authorization_url,
    claims,
    forms,
    header,
    login,
    message,
)

SERVICES = {"regiohub-booking", "regiohub-access", "regiohub-billing"}
STANDARD = {"exp", "iat", "auth_time", "jti", "iss", "aud", "sub", "typ", "azp", "sid", "acr", "realm_access", "scope"}
# Keycloak's own clients that stay: the member's account pages, and bearers of roles without a login.
BUILT_IN = {"account", "account-console", "broker", "realm-management"}


async def test_member_token_names_three_audiences_and_no_person(keycloak: Identity):
    tokens = await login(keycloak.gateway, "demo-mitglied", keycloak.password)
    access = claims(tokens.access)
    assert header(tokens.access)["typ"] == "at+jwt"
    assert header(tokens.access)["alg"] == "RS256"
    assert access["typ"] == "Bearer"
    assert set(access["aud"]) == SERVICES
    assert access["iss"] == keycloak.issuer
    assert access["azp"] == "regiohub-gateway"
    assert "member" in access["realm_access"]["roles"]
    assert set(access) <= STANDARD
    text = str(access)
    assert "example.org" not in text
    assert "Demo" not in text


async def test_id_token_and_userinfo_know_name_and_mail(keycloak: Identity):
    tokens = await login(keycloak.gateway, "demo-mitglied", keycloak.password)
    identity = claims(tokens.identity)
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(
            f"{keycloak.issuer}/protocol/openid-connect/userinfo", headers={"Authorization": f"Bearer {tokens.access}"}
        )
    told = answer.raise_for_status().json()
    assert told["email"] == "demo-mitglied@example.org"
    assert told["email_verified"] is True
    for each in (identity, told):
        assert each["name"] == "Mitglied Demo"
        assert each["sub"] == claims(tokens.access)["sub"]
    assert "example.org" not in str(identity), "an ID token can pass through the browser: no mail in it"


@pytest.mark.parametrize(
    ("user", "role", "claim", "value"),
    [
        ("demo-betrieb-bendorf", "hub-operator", "hub_operator", ["bendorf"]),
        ("demo-betrieb-mayen", "hub-operator", "hub_operator", ["mayen"]),
        ("demo-kasse-bendorf", "finance", "finance", ["stadt-bendorf"]),
        ("demo-kasse-mayen", "finance", "finance", ["stadt-mayen"]),
        ("demo-kreiskasse", "county-finance", None, None),
        ("demo-kreis", "county-admin", None, None),
    ],
)
async def test_groups_give_roles_and_places(keycloak: Identity, user, role, claim, value):
    access = claims((await login(keycloak.gateway, user, keycloak.password)).access)
    assert {"member", role} <= set(access["realm_access"]["roles"])
    assert {key: access[key] for key in ("hub_operator", "finance") if key in access} == (
        {claim: value} if claim else {}
    )


@pytest.mark.parametrize(
    ("client", "secret", "audience", "roles"),
    [
        ("regiohub-booking", "RH_BOOKING_SECRET", {"regiohub-access", "regiohub-billing"}, ["service"]),
        ("regiohub-access", "RH_ACCESS_SECRET", {"regiohub-booking", "regiohub-billing"}, ["service"]),
        ("regiohub-billing", "RH_BILLING_SECRET", {"regiohub-booking", "regiohub-access"}, ["service"]),
        ("regiohub-seed", "RH_SEED_SECRET", SERVICES, ["county-admin"]),
        ("reader-bendorf", "RH_READER_BENDORF_SECRET", {"regiohub-access"}, ["lock-device"]),
    ],
)
async def test_clients_get_their_role_and_audience_only(keycloak: Identity, client, secret, audience, roles):
    token = await keycloak.service_token(client, secret)
    told = claims(token)
    aud = told["aud"]
    assert set(aud if isinstance(aud, list) else [aud]) == audience
    assert told["realm_access"]["roles"] == roles
    assert told["azp"] == client
    assert header(token)["typ"] == "at+jwt"
    assert "hub_operator" not in told


@pytest.mark.parametrize("scope", ["openid profile email", "openid offline_access", "openid address phone"])
async def test_more_scope_cannot_be_asked_for(keycloak: Identity, scope):
    async with FormBrowser() as browser:
        page = await browser.get(
            authorization_url(keycloak.gateway, "v" * 64, scope=scope), until=keycloak.gateway.redirect_uri
        )
    assert page.is_redirect
    assert "error=invalid_scope" in page.headers["location"]


async def test_no_code_without_pkce(keycloak: Identity):
    url = authorization_url(keycloak.gateway, "v" * 64, code_challenge="", code_challenge_method="")
    async with FormBrowser() as browser:
        page = await browser.get(url, until=keycloak.gateway.redirect_uri)
    assert page.is_redirect
    assert "error=invalid_request" in page.headers["location"]


async def test_foreign_redirect_is_refused(keycloak: Identity):
    url = authorization_url(keycloak.gateway, "v" * 64, redirect_uri=f"{keycloak.gateway.redirect_uri}/../else")
    async with FormBrowser() as browser:
        page = await browser.get(url, until=keycloak.gateway.redirect_uri)
    assert page.status_code == 400


@pytest.mark.parametrize("client", ["regiohub-gateway", "regiohub-booking", "admin-cli"])
async def test_no_client_takes_a_password(keycloak: Identity, client):
    secret = {"regiohub-gateway": "RH_GATEWAY_SECRET", "regiohub-booking": "RH_BOOKING_SECRET"}.get(client, "")
    form = {"grant_type": "password", "client_id": client, "username": "demo-mitglied", "password": keycloak.password}
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(
            f"{keycloak.issuer}/protocol/openid-connect/token",
            data=form | {"client_secret": keycloak.env.get(secret, "")},
        )
    assert answer.status_code in {400, 401}
    assert answer.json()["error"] in {"unauthorized_client", "invalid_client"}


async def test_the_running_realm_has_no_open_client(keycloak: Identity):
    with keycloak.admin() as admin:
        clients = admin.get("/clients", params={"max": 200}).raise_for_status().json()
    ours = {client["clientId"] for client in realm()["clients"]}
    assert {client["clientId"] for client in clients} == ours | BUILT_IN
    for client in clients:
        name, uris = client["clientId"], [*client["redirectUris"], *client["webOrigins"]]
        if not client["enabled"] or client["bearerOnly"]:
            continue
        assert not client["fullScopeAllowed"], name
        assert not client["directAccessGrantsEnabled"], name
        assert not client["implicitFlowEnabled"], name
        # The account pages are addressed by a path of Keycloak's own, never by a foreign host.
        assert [uri for uri in uris if "*" in uri and uri != "/realms/regiohub/account/*"] == [], name
        assert "+" not in uris, name


async def test_five_wrong_passwords_pause_the_account(keycloak: Identity):
    async with FormBrowser() as browser:
        page = await browser.get(authorization_url(keycloak.gateway, "v" * 64))
        for _ in range(5):
            page = await browser.fill_login(
                page, "demo-mitglied-2", "falsch-falsch-1", until=keycloak.gateway.redirect_uri
            )
            assert "Ungültige" in message(page)
        page = await browser.fill_login(page, "demo-mitglied-2", keycloak.password, until=keycloak.gateway.redirect_uri)
        assert not page.is_redirect, "the right password opened during the pause"
    with keycloak.admin() as admin:
        user = admin.get("/users", params={"username": "demo-mitglied-2", "exact": True}).json()[0]
        status = admin.get(f"/attack-detection/brute-force/users/{user['id']}").json()
        assert status["disabled"] is True
        admin.delete(f"/attack-detection/brute-force/users/{user['id']}").raise_for_status()
    await login(keycloak.gateway, "demo-mitglied-2", keycloak.password)


async def test_login_pages_speak_german_and_english(keycloak: Identity):
    for language, word in (("de", "Anmelden"), ("en", "Sign In")):
        async with FormBrowser(language=language) as browser:
            page = await browser.get(authorization_url(keycloak.gateway, "v" * 64))
            assert word in page.text
            assert any(form.id == "kc-form-login" for form in forms(page))


async def test_a_login_ends_where_no_code_is(keycloak: Identity):
    with pytest.raises(FormError):
        await login(keycloak.gateway, "demo-mitglied", "falsch-falsch-1")
