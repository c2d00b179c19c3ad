"""A realm is imported once; later origins, secrets and mail servers follow by the admin API."""

import httpx
import pytest

from regiohub_local import keycloak as launcher
from tests.identity.conftest import Identity


async def test_nothing_to_follow_changes_nothing(keycloak: Identity):
    assert await launcher.follow(keycloak.keycloak, keycloak.env) == 0


async def test_moved_origin_secret_and_mail_server_follow(keycloak: Identity):
    moved = keycloak.env | {
        "RH_PUBLIC_ORIGIN": "http://localhost:9999",
        "RH_BOOKING_SECRET": "an-entirely-new-secret",
        "RH_SMTP_PORT": "2626",
    }
    try:
        assert await launcher.follow(keycloak.keycloak, moved) == 3
        with keycloak.admin() as admin:
            gateway = admin.get("/clients", params={"clientId": "regiohub-gateway"}).json()[0]
            assert gateway["redirectUris"] == ["http://localhost:9999/auth/callback"]
            assert gateway["attributes"]["post.logout.redirect.uris"] == "http://localhost:9999/"
            assert admin.get("").json()["smtpServer"]["port"] == "2626"
        with pytest.raises(httpx.HTTPStatusError):
            await keycloak.service_token("regiohub-booking", "RH_BOOKING_SECRET")
    finally:
        await launcher.follow(keycloak.keycloak, keycloak.env)
    assert await keycloak.service_token("regiohub-booking", "RH_BOOKING_SECRET")


async def test_a_house_from_before_passkeys_gets_their_policy(keycloak: Identity):
    """Else its members could make a passkey that logs nobody in."""
    before = {"webAuthnPolicyPasswordlessPasskeysEnabled": False}
    before |= {"webAuthnPolicyPasswordlessUserVerificationRequirement": "not specified"}
    with keycloak.admin() as admin:
        admin.put("", json=admin.get("").json() | before).raise_for_status()
        assert admin.get("").json()["webAuthnPolicyPasswordlessPasskeysEnabled"] is False
        assert await launcher.follow(keycloak.keycloak, keycloak.env) == 2
        now = admin.get("").json()
    assert now["webAuthnPolicyPasswordlessPasskeysEnabled"] is True
    assert now["webAuthnPolicyPasswordlessUserVerificationRequirement"] == "required"


async def test_a_wrong_administrator_is_named(keycloak: Identity):
    other = launcher.Keycloak(keycloak.keycloak.origin, keycloak.issuer, launcher.ADMIN, "wrong")
    with pytest.raises(launcher.KeycloakError, match="administrator cannot log in"):
        await launcher.follow(other, keycloak.env)
