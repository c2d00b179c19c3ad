"""Who is asking, as the edge found out: the one thing that it hands to the pages."""

from dataclasses import dataclass, field

from regiohub_shared.problem import Unavailable

TYPED = "__Host-rh-form"
"""The cookie with what somebody typed into a form that came too late; pages write it, the login's end deletes it."""


class SessionBusy(Unavailable):
    """The session's token ran out while Keycloak was away."""

    type, title = "session-busy", "Your login could not be renewed yet"


@dataclass(frozen=True, slots=True)
class Visitor:
    """A logged-in person; pages hide what the roles do not allow, services refuse it.

    ``access_token`` is empty while it could not be renewed: pages for everyone and the logout go on without it.
    """

    sub: str
    name: str
    access_token: str = field(repr=False)
    csrf: str = field(repr=False)
    roles: frozenset[str] = frozenset()
    hubs: frozenset[str] = frozenset()
    operators: frozenset[str] = frozenset()

    @property
    def is_operator(self) -> bool:
        """True for people who run at least one hub."""
        return bool(self.hubs) or "county-admin" in self.roles

    @property
    def is_finance(self) -> bool:
        """True for people who keep a town's or the county's books."""
        return bool(self.operators) or "county-finance" in self.roles

    @property
    def is_county(self) -> bool:
        """True for the county's administration."""
        return "county-admin" in self.roles
