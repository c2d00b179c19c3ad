"""FastAPI dependencies: every route states who may call it."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from regiohub_shared.auth.principal import SERVICE, Principal
from regiohub_shared.problem import Forbidden, Unauthorized

_scheme = HTTPBearer(auto_error=False, bearerFormat="JWT", scheme_name="bearer")


async def maybe_principal(request: Request, _: Annotated[object, Depends(_scheme)]) -> Principal | None:
    """Return the caller, or None without a token. A bad token is 401 even on public routes."""
    values = request.headers.getlist("authorization")
    if not values:
        return None
    scheme, _space, token = values[0].partition(" ")
    if len(values) != 1 or scheme.lower() != "bearer" or not token:
        raise Unauthorized("Send exactly one Authorization header with a bearer token.")
    principal: Principal = await request.app.state.verifier.verify(token)
    return principal


MaybePrincipalDep = Annotated[Principal | None, Depends(maybe_principal)]


async def principal(found: MaybePrincipalDep) -> Principal:
    """Return the caller, or 401."""
    if found is None:
        raise Unauthorized
    return found


PrincipalDep = Annotated[Principal, Depends(principal)]


def require(*roles: str) -> Callable[[Principal], Awaitable[Principal]]:
    """Return a dependency that lets in callers with at least one of the roles, else 403."""

    async def check(caller: PrincipalDep) -> Principal:
        if not caller.has(*roles):
            raise Forbidden(f"This needs the role {' or '.join(roles)}.", roles=list(roles))
        return caller

    return check


def require_service(*clients: str) -> Callable[[Principal], Awaitable[Principal]]:
    """Return a dependency for ``/internal/*``: role ``service`` and a client of the list."""

    async def check(caller: PrincipalDep) -> Principal:
        if not caller.has(SERVICE) or caller.azp not in clients:
            raise Forbidden("Only named services may call this.")
        return caller

    return check
