"""What no realm file of ours may contain, whoever edits it."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from regiohub_local.keycloak import REALM_FOLDER, realm

Realm = dict[str, Any]
SERVICES = {"regiohub-booking", "regiohub-access", "regiohub-billing"}
PERSONAL_SCOPES = {"profile", "email", "address", "phone", "offline_access"}
PERSONAL_PROPERTIES = {"email", "emailVerified", "firstName", "lastName", "username"}


def mappers(client: Realm) -> list[Realm]:
    return client.get("protocolMappers", [])


def tells_access_token(mapper: Realm) -> bool:
    """Whether a mapper's claim reaches access tokens or what introspection says of them; absent means yes."""
    config = mapper["config"]
    switches = ("access.token.claim", "introspection.token.claim", "lightweight.claim")
    return any(config.get(switch, "true") == "true" for switch in switches)


def is_personal(mapper: Realm) -> bool:
    config = mapper["config"]
    return (
        mapper["protocolMapper"] in {"oidc-full-name-mapper", "oidc-address-mapper"}
        or config.get("user.attribute") in PERSONAL_PROPERTIES | {"locale"}
        or config.get("claim.name") in {"name", "email", "given_name", "family_name", "preferred_username"}
    )


def client_problems(client: Realm) -> list[str]:
    """Every rule a client breaks."""
    name = client["clientId"]
    found = [
        f"{name}: {switch} is on or unsaid"
        for switch in ("implicitFlowEnabled", "directAccessGrantsEnabled", "fullScopeAllowed")
        if client.get(switch) is not False
    ]
    addresses = [*client.get("redirectUris", []), *client.get("webOrigins", [])]
    addresses += client.get("attributes", {}).get("post.logout.redirect.uris", "").split("##")
    found += [f"{name}: wildcard in {uri}" for uri in addresses if "*" in uri or uri == "+"]
    if client.get("enabled") is False:
        return found
    found += [
        f"{name}: {m['name']} is told to access tokens"
        for m in mappers(client)
        if is_personal(m) and tells_access_token(m)
    ]
    scopes = client.get("defaultClientScopes"), client.get("optionalClientScopes")
    if scopes[0] is None or scopes[1] is None:
        found.append(f"{name}: its scopes are unsaid, so Keycloak adds profile and email")
    elif PERSONAL_SCOPES & {*scopes[0], *scopes[1]} or "basic" not in scopes[0]:
        found.append(f"{name}: scopes {scopes}")
    if client.get("attributes", {}).get("access.token.header.type.rfc9068") != "true":
        found.append(f"{name}: tokens without typ at+jwt")
    if client.get("publicClient") is not False or not client.get("secret", "").startswith("${RH_"):
        found.append(f"{name}: not confidential, or its secret is written down")
    if client.get("standardFlowEnabled") and client["attributes"].get("pkce.code.challenge.method") != "S256":
        found.append(f"{name}: code flow without PKCE S256")
    return found


def problems(whole: Realm) -> list[str]:
    """Every rule a realm breaks."""
    found = [line for client in whole["clients"] for line in client_problems(client)]
    roles = {role["name"] for role in whole["roles"]["realm"]}
    mapped = {row["client"]: row["roles"] for row in whole["scopeMappings"]}
    for client in whole["clients"]:
        if client.get("enabled") is not False and not set(mapped.get(client["clientId"], [])) <= roles:
            found.append(f"{client['clientId']}: maps unknown roles")
        if client.get("enabled") is not False and not mapped.get(client["clientId"]):
            found.append(f"{client['clientId']}: no scope mapping, its tokens carry no role")
    for user in whole["users"]:
        found += [
            f"{user['username']}: password written down"
            for c in user.get("credentials", [])
            if not c["value"].startswith("${RH_")
        ]
    if "clientScopes" in whole:
        found.append("own clientScopes: sub and roles go missing")
    return found


def find(whole: Realm, client_id: str) -> Realm:
    return next(client for client in whole["clients"] if client["clientId"] == client_id)


def test_the_realm_keeps_every_rule():
    assert problems(realm()) == []


def test_every_installation_has_no_demo_user_or_reader():
    whole = json.loads((REALM_FOLDER / "realm.json").read_text())
    assert problems(whole) == []
    assert all(user["username"].startswith("service-account-") for user in whole["users"])
    closed = {"admin-cli", "security-admin-console"}
    assert {c["clientId"] for c in whole["clients"]} == {*SERVICES, "regiohub-gateway", "regiohub-privacy", *closed}
    assert not any(find(whole, name)["enabled"] for name in closed), "administration happens in the realm master"


def test_the_id_token_holds_a_name_and_no_mail():
    """It can pass through the browser's address line at a logout; mail is told by userinfo only."""
    told = {
        mapper["config"]["claim.name"] if "claim.name" in mapper["config"] else mapper["name"]
        for mapper in mappers(find(realm(), "regiohub-gateway"))
        if mapper["config"].get("id.token.claim", "true") == "true"
    }
    assert told == {"name", "hub_operator", "finance"}


def test_demo_users_are_marked():
    people = [user for user in realm()["users"] if not user["username"].startswith("service-account-")]
    assert len(people) == 8
    for user in people:
        assert user["username"].startswith("demo-")
        assert user["lastName"] == "Demo"
        assert user["email"].endswith("@example.org")


def test_protection_and_registration_are_on():
    whole = realm()
    assert whole["bruteForceProtected"] is True
    assert whole["failureFactor"] == 5
    assert whole["permanentLockout"] is False
    assert whole["registrationAllowed"] is True
    assert whole["verifyEmail"] is True
    assert whole["revokeRefreshToken"] is False
    assert set(whole["supportedLocales"]) == {"de", "en"}
    # Without this line Keycloak makes a second default role beside ours, and who registers is no member.
    assert whole["defaultRole"]["name"] == "default-roles-regiohub"
    defaults = next(r for r in whole["roles"]["realm"] if r["name"] == "default-roles-regiohub")
    assert defaults["composites"]["realm"] == ["member"]


def test_a_passkey_stays_with_its_owner():
    """It replaces the password, so the device itself has to ask who is there, and to know whose account it opens."""
    policy = "webAuthnPolicyPasswordless"
    whole = realm()
    assert whole[f"{policy}PasskeysEnabled"] is True
    assert whole[f"{policy}UserVerificationRequirement"] == "required"
    assert whole[f"{policy}RequireResidentKey"] == "Yes"
    assert whole[f"{policy}RpId"] == "", "the issuer's own host"


def test_readers_reach_access_only():
    readers = [client for client in realm()["clients"] if client["clientId"].startswith("reader-")]
    assert {r["clientId"] for r in readers} == {
        f"reader-{hub}" for hub in ("polch", "rieden", "andernach", "bendorf", "mayen")
    }
    for reader in readers:
        assert [m["config"]["included.client.audience"] for m in mappers(reader)] == ["regiohub-access"]


def with_client(change: Callable[[Realm], object]) -> Callable[[Realm], None]:
    def apply(whole: Realm) -> None:
        change(find(whole, "regiohub-gateway"))

    return apply


def name_into_access_token(client: Realm) -> None:
    next(m for m in mappers(client) if m["name"] == "name")["config"]["access.token.claim"] = "true"


PLANTED: dict[str, Callable[[Realm], None]] = {
    "wildcard redirect": with_client(lambda c: c["redirectUris"].append("http://localhost/*")),
    "wildcard after logout": with_client(lambda c: c["attributes"].update({"post.logout.redirect.uris": "+"})),
    "full scope": with_client(lambda c: c.update(fullScopeAllowed=True)),
    "full scope unsaid": with_client(lambda c: c.pop("fullScopeAllowed")),
    "implicit flow": with_client(lambda c: c.update(implicitFlowEnabled=True)),
    "direct grants": with_client(lambda c: c.update(directAccessGrantsEnabled=True)),
    "name in access token": with_client(name_into_access_token),
    "mail by scope": with_client(lambda c: c["optionalClientScopes"].append("email")),
    "default scopes": with_client(lambda c: c.pop("defaultClientScopes")),
    "no PKCE": with_client(lambda c: c["attributes"].pop("pkce.code.challenge.method")),
    "plain secret": with_client(lambda c: c.update(secret="letmein")),
    "public client": with_client(lambda c: c.update(publicClient=True)),
    "plain password": lambda whole: whole["users"][-1]["credentials"][0].update(value="letmein"),
    "own client scopes": lambda whole: whole.update(clientScopes=[]),
}


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED.keys())
def test_each_planted_fault_is_found(plant):
    whole = copy.deepcopy(realm())
    plant(whole)
    assert problems(whole)
