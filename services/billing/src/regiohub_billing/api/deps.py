"""What routes need from the app: provider, booking service, settings, roles."""

from typing import Annotated
from uuid import UUID

import httpx
from fastapi import Depends, Request

from regiohub_billing.providers.port import Provider
from regiohub_billing.settings import Settings
from regiohub_billing.usecases.payments import Returns, Shop
from regiohub_billing.usecases.rendering import Renderer
from regiohub_shared.auth.deps import PrincipalDep, require
from regiohub_shared.auth.principal import COUNTY_ADMIN, COUNTY_FINANCE, FINANCE, MEMBER, Principal
from regiohub_shared.contracts.booking import BookingChanged
from regiohub_shared.db.database import Database
from regiohub_shared.problem import NotFound, Unavailable


class BookingUnavailable(Unavailable):
    """The booking is not known here yet and the booking service does not answer."""

    type, title = "booking-unavailable", "The booking service does not answer"


class BookingClient:
    """Reads one booking with a service token, for the moment in which its fact is still on the way."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        """``http`` carries base address, timeout and token."""
        self._http = http

    async def find(self, booking_id: UUID) -> BookingChanged | None:
        """Return the booking's snapshot or None; raises :class:`BookingUnavailable`."""
        try:
            answer = await self._http.get(f"/internal/bookings/{booking_id}")
        except Exception as error:
            raise BookingUnavailable("Please try again in a moment.") from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.status_code != httpx.codes.OK:
            raise BookingUnavailable("Please try again in a moment.")
        return BookingChanged.model_validate(answer.json())


def provider(request: Request) -> Provider:
    """Return the payment provider."""
    found: Provider = request.app.state.provider
    return found


ProviderDep = Annotated[Provider, Depends(provider)]


def shop(request: Request, found: ProviderDep) -> Shop:
    """Return what opening a payment needs."""
    settings = request.app.state.settings
    origin = settings.public_origin.rstrip("/")
    returns = Returns(success_url=origin + settings.return_path, cancel_url=origin + settings.cancel_path)
    return Shop(db=request.app.state.db, provider=found, bookings=request.app.state.bookings, returns=returns)


def database(request: Request) -> Database:
    """Return the database, for what is more than one transaction."""
    found: Database = request.app.state.db
    return found


def renderer(request: Request) -> Renderer:
    """Return what makes exports."""
    found: Renderer = request.app.state.renderer
    return found


def settings(request: Request) -> Settings:
    """Return the settings."""
    found: Settings = request.app.state.settings
    return found


SettingsDep = Annotated[Settings, Depends(settings)]
ShopDep = Annotated[Shop, Depends(shop)]
DatabaseDep = Annotated[Database, Depends(database)]
RendererDep = Annotated[Renderer, Depends(renderer)]
MemberDep = Annotated[Principal, Depends(require(MEMBER))]
FinanceDep = Annotated[Principal, Depends(require(FINANCE, COUNTY_FINANCE))]
CountyAdminDep = Annotated[Principal, Depends(require(COUNTY_ADMIN))]
ReaderDep = PrincipalDep


def check_finance(caller: Principal, operator: str) -> None:
    """A town's finance office sees its own books; another's are as if they were not there (404)."""
    if not caller.is_finance_of(operator):
        raise NotFound("This operator keeps no books here.")
