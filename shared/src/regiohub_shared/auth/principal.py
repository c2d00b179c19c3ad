"""Who calls: a frozen value made from verified claims."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

COUNTY_ADMIN = "county-admin"
COUNTY_FINANCE = "county-finance"
FINANCE = "finance"
HUB_OPERATOR = "hub-operator"
LOCK_DEVICE = "lock-device"
MEMBER = "member"
SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified caller; ``hubs`` they operate, ``operators`` (towns) they book money for."""

    sub: str
    azp: str
    roles: frozenset[str]
    hubs: frozenset[str]
    operators: frozenset[str]

    def has(self, *roles: str) -> bool:
        """Say whether the caller holds at least one of the roles."""
        return not self.roles.isdisjoint(roles)

    def is_operator_of(self, hub: str) -> bool:
        """County admins run every hub; hub operators the ones in their claim."""
        return self.has(COUNTY_ADMIN) or (self.has(HUB_OPERATOR) and hub in self.hubs)

    def is_finance_of(self, operator: str) -> bool:
        """County finance sees every town; a town's finance user their own."""
        return self.has(COUNTY_FINANCE) or (self.has(FINANCE) and operator in self.operators)


def _strings(value: Any) -> frozenset[str]:
    return frozenset(item for item in value if isinstance(item, str)) if isinstance(value, list) else frozenset()


def principal_from(claims: Mapping[str, Any]) -> Principal:
    """Read Keycloak's claims: ``realm_access.roles``, ``hub_operator``, ``finance``."""
    access = claims.get("realm_access")
    return Principal(
        sub=str(claims["sub"]),
        azp=str(claims.get("azp", "")),
        roles=_strings(access.get("roles")) if isinstance(access, dict) else frozenset(),
        hubs=_strings(claims.get("hub_operator")),
        operators=_strings(claims.get("finance")),
    )
