"""Passes: signed for the holder of a phone's key, once per day and key, and denied when they say too much."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_access.domain import passes as rules
from regiohub_access.domain.windows import Window, pieces
from regiohub_access.repo import grants, passes, places
from regiohub_access.repo.sealing import Vault
from regiohub_access.rh1 import Claims, PublicKey, SigningKey, decode_base64url, is_enrolment, mint
from regiohub_access.tables import Grant, Pass
from regiohub_access.usecases.keys import signing_key
from regiohub_shared.auth.principal import Principal


@dataclass(frozen=True, slots=True)
class PassRequest:
    """A phone asks: its public key, when it asked (real time, Unix seconds), and the key's signature over both."""

    jwk: Mapping[str, object]
    ts: int
    signature: str


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs: the installation's name in passes, and what opens its keys."""

    name: str
    vault: Vault


async def issue_passes(
    session: AsyncSession,
    *,
    principal: Principal,
    grant_id: UUID,
    request: PassRequest,
    issuer: Issuer,
    now: datetime,
    real_now: datetime,
) -> list[Pass]:
    """Return the passes that this phone needs next, the first one first; the same ones when asked again.

    Raises :class:`GrantNotFound` (also for another member's), :class:`KeyMalformed`, :class:`ProofRejected`,
    :class:`GrantRevoked`, and what :func:`pieces_to_issue` and :func:`check_pass_rate` raise.
    """
    grant = await grants.get_own(session, principal, grant_id, lock=True)
    holder = _proven(request, grant_id, real_now)
    if grant.status != "active":
        raise rules.GrantRevoked
    await places.lock_hub(session, grant.hub)  # doors stay as they are while we sign
    windows = await grants.windows_of(session, grant, await places.load_site(session, grant.hub))
    wanted = rules.pieces_to_issue(windows, now=now)
    await deny_outdated(session, [grant], now=now)
    await _admit(session, grant, holder, now=now)
    return await _signed(session, grant, holder, wanted, issuer, now=now, real_now=real_now)


def _proven(request: PassRequest, grant_id: UUID, real_now: datetime) -> PublicKey:
    try:
        holder = PublicKey.from_jwk(request.jwk)
    except ValueError as error:
        raise rules.KeyMalformed(errors=[{"pointer": "/body/jwk", "detail": str(error)}]) from error
    rules.check_proof_time(request.ts, real_now=real_now)
    try:
        signature = decode_base64url(request.signature)
    except ValueError as error:
        raise rules.ProofRejected(reason="signature") from error
    if not is_enrolment(holder, str(grant_id), request.ts, signature):
        raise rules.ProofRejected(reason="signature")
    return holder


async def _admit(session: AsyncSession, grant: Grant, holder: PublicKey, *, now: datetime) -> None:
    """Let the key in; a fourth one puts the oldest out, whose passes are denied."""
    newcomer = holder.thumbprint()
    oldest = rules.key_to_replace(await passes.live_holders(session, grant.id), newcomer)
    if oldest is not None:
        live = await passes.live_passes(session, [grant.id], now=now)
        await passes.replace_holder(session, grant.id, oldest, now=now)
        await passes.deny(session, grant.hub, [each for each in live if each.thumbprint == oldest], now=now)
    await passes.put_holder(session, grant.id, newcomer, now=now)


async def _signed(
    session: AsyncSession,
    grant: Grant,
    holder: PublicKey,
    wanted: Sequence[Window],
    issuer: Issuer,
    *,
    now: datetime,
    real_now: datetime,
) -> list[Pass]:
    mine = {
        each.starts_at: each
        for each in await passes.live_passes(session, [grant.id], now=now)
        if each.thumbprint == holder.thumbprint()
    }
    missing = [piece for piece in wanted if piece.starts_at not in mine]
    if missing:
        rules.check_pass_rate(await passes.count_issued(session, grant.id, since=now - timedelta(hours=1)))
        key = await signing_key(session, issuer.vault, real_now=real_now)
        for piece in missing:
            mine[piece.starts_at] = _minted(grant, holder, piece, key=key, issuer=issuer.name, now=now)
            session.add(mine[piece.starts_at])
        await session.flush()
    return [mine[piece.starts_at] for piece in wanted]


def _minted(grant: Grant, holder: PublicKey, piece: Window, *, key: SigningKey, issuer: str, now: datetime) -> Pass:
    claims = Claims(
        issuer=issuer, hub=grant.hub, pass_id=secrets.token_bytes(8), not_before=piece.starts_at,
        expires_at=piece.ends_at, holder=holder, doors=piece.doors,
    )  # fmt: skip
    return Pass(
        id=claims.pass_id, grant_id=grant.id, hub=grant.hub, thumbprint=holder.thumbprint(), kid=key.kid,
        doors=list(piece.doors), starts_at=piece.starts_at, ends_at=piece.ends_at, token=mint(claims, key),
        issued_at=now,
    )  # fmt: skip


async def deny_outdated(session: AsyncSession, granted: Sequence[Grant], *, now: datetime) -> None:
    """Deny live passes that no longer say what their grant says now (other doors, other times)."""
    for grant in granted:
        live = await passes.live_passes(session, [grant.id], now=now)
        if not live:
            continue
        windows = await grants.windows_of(session, grant, await places.load_site(session, grant.hub))
        true = {(piece.starts_at, piece.ends_at, piece.doors) for window in windows for piece in pieces(window)}
        wrong = [each for each in live if (each.starts_at, each.ends_at, tuple(each.doors)) not in true]
        await passes.deny(session, grant.hub, wrong, now=now)


async def deny_all(session: AsyncSession, grant: Grant, *, now: datetime) -> None:
    """Deny every live pass of a grant."""
    await passes.deny(session, grant.hub, await passes.live_passes(session, [grant.id], now=now), now=now)
