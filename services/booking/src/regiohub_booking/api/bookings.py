"""A member's bookings: make, read, list, cancel."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from regiohub_booking.api.deps import (
    CursorQuery,
    InvalidCursor,
    KnownMemberDep,
    LimitQuery,
    ReturningMemberDep,
    read_id,
    write_cursor,
)
from regiohub_booking.api.schemas.bookings import (
    BookingCreate,
    BookingList,
    BookingMove,
    BookingPublic,
    ShownBookingPublic,
    SlotPublic,
)
from regiohub_booking.domain.booking import Ask, Booking
from regiohub_booking.domain.hours import NonexistentLocalTime
from regiohub_booking.domain.moving import LineTwice, Move, OtherHub, PriceDiffers
from regiohub_booking.domain.occupancy import LinesOverlap
from regiohub_booking.domain.price import TotalNotPayable
from regiohub_booking.domain.rules import (
    AlreadyBegun,
    BeyondHorizon,
    HoldTooLarge,
    InThePast,
    NotBookable,
    OffGrid,
    OutsideOpeningHours,
    SeveralHubs,
    SlotTaken,
    TooLong,
    TooManyHolds,
    TooShort,
    UnpaidLimits,
)
from regiohub_booking.domain.slot import EndBeforeStart, Slot
from regiohub_booking.domain.states import IllegalTransition
from regiohub_booking.repo import bookings
from regiohub_booking.settings import Settings
from regiohub_booking.usecases.availability import Offer, alternatives, find_taken
from regiohub_booking.usecases.change import cancel_booking
from regiohub_booking.usecases.create import ResourceChanged, create_booking
from regiohub_booking.usecases.move import move_booking, same_price_offers
from regiohub_shared.auth.deps import PrincipalDep
from regiohub_shared.clock import now
from regiohub_shared.db.database import Database, SessionDep
from regiohub_shared.db.errors import describe, is_away
from regiohub_shared.idempotency import (
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    RequestInFlight,
    Stored,
    attempt,
    require_key,
)
from regiohub_shared.log import get_logger
from regiohub_shared.problem import NotFound, PreconditionFailed, PreconditionRequired, Problem
from regiohub_shared.web.errors import problems
from regiohub_shared.web.etag import InvalidIfMatch, VersionDep, tag
from regiohub_shared.web.paging import link_next

_log = get_logger(__name__)
router = APIRouter(tags=["bookings"])
_ROUTE = "POST /v1/bookings"
_REFUSALS = problems(
    SlotTaken, OffGrid, TooShort, TooLong, InThePast, BeyondHorizon, OutsideOpeningHours, NotBookable, SeveralHubs,
    LinesOverlap, TooManyHolds, HoldTooLarge, TotalNotPayable, ResourceChanged, NotFound, EndBeforeStart, NonexistentLocalTime,
    IdempotencyKeyMissing, IdempotencyKeyReused, RequestInFlight,
)  # fmt: skip


def _render(booking: Booking) -> Any:
    return BookingPublic.of(booking).model_dump(mode="json")


@router.post(
    "/v1/bookings", summary="Make a booking", status_code=201, response_model=BookingPublic, responses=_REFUSALS
)
async def make_booking(
    wish: BookingCreate, request: Request, caller: KnownMemberDep, key: Annotated[str, Depends(require_key)]
) -> Response:
    """Hold the slots for 35 minutes until they are paid; free of charge means confirmed at once.

    How much a member may hold without payment is bounded (429 `too-many-holds`, 409 `hold-too-large`; `rule` and
    `limit` say by what).

    All lines or none. A taken slot answers 409 `slot-taken` with the number of the `line`, `alternatives` (next free
    slots of its resource) and `resources` (what else is free at that time); while the database is too busy for these, it
    goes without. `Location` is relative to the address that
    was asked.
    """
    asks = [Ask(line.resource_id, line.start, line.end) for line in wish.lines]
    wanted = attempt(sub=caller.sub, route=_ROUTE, key=key, body=wish.model_dump(mode="json"))
    db: Database = request.app.state.db
    settings: Settings = request.app.state.settings
    limits = UnpaidLimits(settings.unpaid_holds, settings.unpaid_lines, settings.unpaid_hours)
    try:
        # Not the shared dependency: the locks have to be gone before alternatives are looked for.
        async with db.transaction() as connection:
            stored = await create_booking(
                connection, asks=asks, wanted=wanted, render=_render, now=now(), limits=limits
            )
    except SlotTaken as taken:
        await _offer_others(db, asks, taken)
        raise
    return _answer(stored)


async def _offer_others(db: Database, asks: Sequence[Ask], taken: Problem) -> None:
    """Add what else there is; where many want one slot, its being taken is said even if the database is too busy for more."""
    try:
        await _look_around(db, asks, taken)
    except Exception as error:
        if not is_away(error):
            raise
        _log.warning("alternatives_not_read", **describe(error))


async def _look_around(db: Database, asks: Sequence[Ask], taken: Problem) -> None:
    async with db.session() as session:
        line = await find_taken(session, asks, now=now())
        ask = asks[line]
        later, beside = await alternatives(
            session, resource_id=ask.resource_id, slot=Slot(ask.start, ask.end), now=now()
        )
    taken.params |= _offered(line, later, beside)


def _offered(line: int, later: Sequence[Offer], beside: Sequence[Offer]) -> dict[str, Any]:
    return {
        "line": line,
        "alternatives": [SlotPublic.of(offer).model_dump(mode="json") for offer in later],
        "resources": [SlotPublic.of(offer).model_dump(mode="json") for offer in beside],
    }


def _answer(stored: Stored) -> Response:
    # Relative to the address that was asked, since the gateway has another path.
    headers = {"ETag": f'"{stored.body["version"]}"', "Location": f"bookings/{stored.body['id']}"}
    return JSONResponse(stored.body, status_code=stored.status, headers=headers)


@router.get("/v1/bookings", summary="List my bookings", responses=problems(InvalidCursor))
async def list_bookings(
    *,
    request: Request,
    response: Response,
    caller: ReturningMemberDep,
    session: SessionDep,
    limit: LimitQuery = 20,
    cursor: CursorQuery = None,
) -> BookingList:
    """The caller's own, newest first."""
    found = await bookings.list_own(session, sub=caller.sub, before=read_id(cursor), limit=limit + 1)
    following = write_cursor(str(found[limit - 1].id)) if len(found) > limit else None
    link_next(request, response, following)
    return BookingList(items=[BookingPublic.of(booking) for booking in found[:limit]], next=following)


@router.get("/v1/bookings/{booking_id}", summary="Show a booking", responses=problems(NotFound))
async def get_booking(
    booking_id: UUID, session: SessionDep, caller: PrincipalDep, response: Response
) -> ShownBookingPublic:
    """The caller's own (`is_own`), or one in a hub that they run; any other is 404.

    `cancelled_by` is `member`, or `operator` or `closure` where the hub called it off.
    """
    booking = await bookings.get_visible(session, booking_id, caller)
    tag(response, booking.version)
    return ShownBookingPublic.of(booking, is_own=booking.sub == caller.sub)


_CANCEL = problems(
    NotFound, PreconditionFailed, PreconditionRequired, InvalidIfMatch, IllegalTransition, AlreadyBegun
)  # fmt: skip


@router.post("/v1/bookings/{booking_id}/cancel", summary="Cancel a booking", responses=_CANCEL)
async def cancel(
    booking_id: UUID, session: SessionDep, caller: PrincipalDep, version: VersionDep, response: Response
) -> BookingPublic:
    """Full refund. Members cancel before the start, the hub's operator before the end, also what is checked in.

    A hold may be given back at any time.
    """
    booking = await cancel_booking(session, principal=caller, booking_id=booking_id, version=version, now=now())
    tag(response, booking.version)
    return BookingPublic.of(booking)


_MOVE = problems(
    SlotTaken, PriceDiffers, OtherHub, OffGrid, TooShort, TooLong, InThePast, BeyondHorizon, OutsideOpeningHours,
    NotBookable, LinesOverlap, LineTwice, ResourceChanged, NotFound, EndBeforeStart, NonexistentLocalTime,
    PreconditionFailed, PreconditionRequired, InvalidIfMatch, IllegalTransition, AlreadyBegun,
)  # fmt: skip


@router.post("/v1/bookings/{booking_id}/move", summary="Move a booking", responses=_MOVE)
async def move(
    *,
    booking_id: UUID,
    wish: BookingMove,
    request: Request,
    caller: PrincipalDep,
    version: VersionDep,
    response: Response,
) -> BookingPublic:
    """Another slot or resource of the same hub at the same price, before the booking starts; it stays the same booking.

    A taken slot answers 409 `slot-taken`, another price 409 `price-differs`, both with the number of the `line` and
    what would work at the same price: `alternatives` (next free slots of that resource) and `resources` (free then).
    """
    moves = [Move(line.line_id, line.resource_id, line.start, line.end) for line in wish.lines]
    db: Database = request.app.state.db
    try:
        # Not the shared dependency: the locks have to be gone before alternatives are looked for.
        async with db.session() as session:
            booking = await move_booking(
                session, principal=caller, booking_id=booking_id, version=version, moves=moves, now=now()
            )
    except (SlotTaken, PriceDiffers) as refusal:
        async with db.session() as session:
            known = await bookings.get_visible(session, booking_id, caller)
            offers = await same_price_offers(session, known, moves, refusal, now=now())
        refusal.params |= _offered(*offers)
        raise
    tag(response, booking.version)
    return BookingPublic.of(booking)
