"""The county sets up doors and readers; operators look at readers and door events."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_access.domain.readers import ReaderMoved
from regiohub_access.repo import events, grants, passes, places
from regiohub_access.repo.places import DoorPlan
from regiohub_access.repo.sealing import Vault
from regiohub_access.repo.visible import check_operates
from regiohub_access.tables import DoorEventRow, Hub, Reader
from regiohub_access.usecases.passes import deny_outdated
from regiohub_access.usecases.pins import pin_table
from regiohub_shared.auth.principal import Principal
from regiohub_shared.problem import PreconditionFailed, PreconditionRequired


@dataclass(frozen=True, slots=True)
class HubPlan:
    """Doors, margins before and after a slot, and the address that members are told."""

    doors: Sequence[DoorPlan]
    margin_minutes: int
    address: str | None


@dataclass(frozen=True, slots=True)
class PinArrival:
    """A PIN that a reader should hold, and since when it reports to hold it."""

    grant_id: UUID
    booking_id: UUID
    starts_at: datetime
    ends_at: datetime
    armed_at: datetime | None


@dataclass(frozen=True, slots=True)
class ReaderView:
    """A reader with what has reached it; ``deny_lag`` counts revocations that it does not know yet."""

    reader: Reader
    deny_lag: int
    pins: Sequence[PinArrival]


async def get_doors(session: AsyncSession, *, principal: Principal, slug: str) -> tuple[Hub, list[DoorPlan]]:
    """Return what the county configured; raise :class:`ForeignHub` or :class:`HubNotFound`."""
    check_operates(principal, slug)
    return await places.get_hub(session, slug), await places.list_doors(session, slug)


async def put_doors(
    session: AsyncSession, *, slug: str, plan: HubPlan, if_version: Container[int] | None, now: datetime
) -> Hub:
    """Replace a hub's doors and margins; passes that no longer say the same go on the deny-list.

    The same content again changes nothing and needs no version. Other content raises :class:`PreconditionRequired`
    without ``if_version`` and :class:`PreconditionFailed` if that is not the present one; a first set-up needs none.
    """
    await places.ensure_hub(session, slug)
    # Hub before grants, against the usual order: a pass signed meanwhile must not slip through. A deadlock with
    # such a request is retried.
    hub = await places.lock_hub(session, slug)
    before = HubPlan(await places.list_doors(session, slug), hub.margin_minutes, hub.address)
    if hub.version and before == plan:
        return hub
    _check_match(hub.version, if_version)
    await places.replace_doors(session, slug, plan.doors)
    hub.margin_minutes, hub.address = plan.margin_minutes, plan.address
    hub.version, hub.change_sequence = hub.version + 1, hub.change_sequence + 1
    session.add(hub)
    await session.flush()
    holders = await passes.grants_with_live_passes(session, slug, now=now)
    await deny_outdated(session, await grants.lock_many(session, holders), now=now)
    return hub


def _check_match(version: int, wanted: Container[int] | None) -> None:
    if version and wanted is None:
        raise PreconditionRequired("The doors are set up already; send If-Match with their version.", version=version)
    if wanted is not None and version not in wanted:
        raise PreconditionFailed(version=version)


async def put_reader(session: AsyncSession, *, reader_id: str, slug: str, now: datetime) -> Reader:
    """Register a reader at a hub.

    Raises :class:`HubNotFound`, and :class:`ReaderMoved` if it already reported events of another hub.
    """
    await places.get_hub(session, slug)
    reader = await places.put_reader(session, reader_id, hub=slug, now=now)
    if reader.hub != slug:
        if reader.log_id is not None:
            raise ReaderMoved
        reader.hub = slug
        session.add(reader)
    return reader


async def list_readers(
    session: AsyncSession, *, principal: Principal, slug: str, vault: Vault, ahead: timedelta, now: datetime
) -> list[ReaderView]:
    """Return the hub's readers and which PINs have arrived at each."""
    check_operates(principal, slug)
    hub = await places.get_hub(session, slug)
    table = await pin_table(session, slug, vault, now=now, ahead=ahead)
    spans = {UUID(pin.pin_id.partition(".")[0]): pin for pin in table}
    bookings = await grants.bookings_of(session, list(spans))
    armed = await grants.list_armed(session, slug)
    return [
        ReaderView(
            reader,
            _lag(hub, reader),
            [
                PinArrival(grant_id, bookings[grant_id], pin.starts_at, pin.ends_at, armed.get((reader.id, grant_id)))
                for grant_id, pin in spans.items()
            ],
        )
        for reader in await places.list_readers(session, slug)
    ]


def _lag(hub: Hub, reader: Reader) -> int:
    known = reader.deny_sequence if reader.deny_epoch == hub.epoch and reader.deny_sequence else 0
    return max(hub.deny_sequence - known, 0)


async def list_door_events(
    session: AsyncSession, *, principal: Principal, slug: str, before: int | None
) -> tuple[list[DoorEventRow], int | None]:
    """Return one page of the hub's door events, the newest first, and where the next page begins."""
    check_operates(principal, slug)
    await places.get_hub(session, slug)
    found = await events.list_events(session, slug, before=before)
    page = found[: events.PAGE]
    return page, page[-1].number if len(found) > events.PAGE else None
