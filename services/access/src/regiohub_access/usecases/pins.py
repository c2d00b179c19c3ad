"""The PIN of a grant: given at confirmation, shown to its member, told to the readers."""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_access.domain import pins
from regiohub_access.domain.windows import Window, windows
from regiohub_access.reader import wire
from regiohub_access.repo import grants, places
from regiohub_access.repo.sealing import Vault
from regiohub_access.tables import Grant, Pin

TRIES = 200


class NoPinLeft(Exception):
    """The hub has no free PIN: the fact stays undelivered and shows as a dead letter."""


async def give_pin(session: AsyncSession, grant: Grant, vault: Vault, *, now: datetime) -> None:
    """Draw a PIN that is free in the hub, unless the grant has one or is over."""
    site = await places.load_site(session, grant.hub)
    left = [window for window in await grants.windows_of(session, grant, site) if now < window.ends_at]
    if not left or await grants.find_pin(session, grant.id) is not None:
        return
    for _ in range(TRIES):
        pin = pins.draw()
        digests = vault.digests(grant.hub, pin)
        sealed = vault.seal(pin.encode(), purpose="pin", row=grant.id.bytes)
        row = Pin(grant_id=grant.id, hub=grant.hub, sealed=sealed, digest=digests[0])
        if await grants.try_pin(session, row, older=digests[1:]):
            return
    raise NoPinLeft(grant.hub)


def reveal(vault: Vault, row: Pin) -> str:
    """Return the PIN in clear."""
    return vault.open(row.sealed, purpose="pin", row=row.grant_id.bytes).decode()


async def pin_table(
    session: AsyncSession, hub: str, vault: Vault, *, now: datetime, ahead: timedelta
) -> tuple[wire.Pin, ...]:
    """Return what the hub's readers should hold: PINs of windows that are not over and begin within ``ahead``."""
    rows = await grants.list_pins(session, hub)
    site = await places.load_site(session, hub)
    spans = await grants.spans_of(session, [row.grant_id for row in rows])
    return tuple(
        _entry(row, vault, window)
        for row in rows
        for window in windows(spans[row.grant_id], site)
        if window.doors and now < window.ends_at and window.starts_at < now + ahead
    )


def _entry(row: Pin, vault: Vault, window: Window) -> wire.Pin:
    return wire.Pin(
        pin_id=pin_id_of(row, window), pin=reveal(vault, row), doors=window.doors,
        starts_at=window.starts_at, ends_at=window.ends_at,
    )  # fmt: skip


def pin_id_of(row: Pin, window: Window) -> str:
    """Return the id that names grant and content: a reader that holds the id holds exactly this window."""
    content = f"{window.starts_at.timestamp()} {window.ends_at.timestamp()} {window.doors}".encode() + row.digest
    return f"{row.grant_id}.{hashlib.sha256(content).hexdigest()[:12]}"


def table_digest(table: Iterable[wire.Pin]) -> bytes:
    """Return a fingerprint that changes whenever a reader needs the table again."""
    return hashlib.sha256("\n".join(sorted(pin.pin_id for pin in table)).encode()).digest()


def grant_of(pin_id: str) -> UUID | None:
    """Return the grant that a PIN's id names, None for any other text."""
    try:
        return UUID(pin_id.partition(".")[0])
    except ValueError:
        return None


def complete(table: Iterable[wire.Pin], stored: frozenset[str]) -> list[UUID]:
    """Return the grants of the table all of whose entries a reader holds."""
    held: dict[UUID, bool] = {}
    for pin in table:
        grant_id = UUID(pin.pin_id.partition(".")[0])
        held[grant_id] = held.get(grant_id, True) and pin.pin_id in stored
    return [grant_id for grant_id, is_held in held.items() if is_held]
