"""How somebody logs in: making a passkey, and the way to the account at Keycloak, which keeps all of it."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from regiohub_gateway.web.forms import visitor_of
from regiohub_gateway.web.render import page

router = APIRouter(include_in_schema=False)


@router.get("/account")
async def account_page(request: Request) -> Response:
    """What a person can do about the own login; Keycloak says in ``passkey`` what became of the last wish."""
    visitor_of(request)
    console = f"{request.app.state.settings.issuer}/account/account-security/signing-in"
    return page(request, "account", outcome=request.query_params.get("passkey", ""), console=console)
