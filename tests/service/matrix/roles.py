"""Who calls: tokens as the realm makes them, each with the audiences that its client has."""

from tests.support.tokens import AUDIENCES, claims_for, sign


def _of(claims: dict[str, object]) -> dict[str, str]:
    return {"Authorization": f"Bearer {sign(claims)}"}


def _person(sub: str, *roles: str, hubs: tuple[str, ...] = (), operators: tuple[str, ...] = ()) -> dict[str, object]:
    """Everyone who logs in has registered and so holds the role ``member``."""
    return claims_for(sub, "member", *roles, hubs=hubs, operators=operators)


def _device(azp: str) -> dict[str, object]:
    return claims_for(f"service-account-{azp}", "lock-device", azp=azp, audiences=("regiohub-access",))


def _service(azp: str) -> dict[str, object]:
    """A service may call the others, not itself."""
    others = [name for name in AUDIENCES if name != azp]
    return claims_for(f"service-account-{azp}", "service", azp=azp, audiences=others)


PEOPLE = {
    "member": _person("mine"),
    "other": _person("theirs"),
    "operator": _person("operator", "hub-operator", hubs=("bendorf",)),
    "operator-abroad": _person("operator-abroad", "hub-operator", hubs=("mayen",)),
    "finance": _person("finance", "finance", operators=("stadt-bendorf",)),
    "finance-abroad": _person("finance-abroad", "finance", operators=("stadt-mayen",)),
    "county-finance": _person("county-finance", "county-finance"),
    "county-admin": _person("county-admin", "county-admin"),
}
MACHINES = {
    "reader": _device("reader-bendorf"),
    "reader-abroad": _device("reader-mayen"),
    "booking": _service("regiohub-booking"),
    "access": _service("regiohub-access"),
    "billing": _service("regiohub-billing"),
    "privacy": _service("regiohub-privacy"),
}
CLAIMS: dict[str, dict[str, object]] = {"anonymous": {}} | PEOPLE | MACHINES
ROLES = tuple(CLAIMS)
HEADERS: dict[str, dict[str, str]] = {role: _of(claims) if claims else {} for role, claims in CLAIMS.items()}
SUBS = {role: str(claims.get("sub", "")) for role, claims in CLAIMS.items()}
