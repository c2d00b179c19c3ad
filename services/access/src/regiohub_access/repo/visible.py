"""Who may see or change which row: the one place that says so."""

from sqlmodel import select
from sqlmodel.sql.expression import SelectOfScalar

from regiohub_access.domain.readers import ForeignHub, ReaderMismatch
from regiohub_access.tables import Grant
from regiohub_shared.auth.principal import Principal


def own_grants(principal: Principal) -> SelectOfScalar[Grant]:
    """A member sees the grants of their own bookings; nobody else sees any (operators see door events)."""
    return select(Grant).where(Grant.sub == principal.sub)


def check_operates(principal: Principal, hub: str) -> None:
    """Raise :class:`ForeignHub` unless the caller runs this hub."""
    if not principal.is_operator_of(hub):
        raise ForeignHub("You do not run this hub.")


def check_is_reader(principal: Principal, reader_id: str) -> None:
    """Raise :class:`ReaderMismatch` unless the token's client is this reader."""
    if principal.azp != reader_id:
        raise ReaderMismatch
