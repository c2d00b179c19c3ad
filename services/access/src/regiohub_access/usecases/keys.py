"""The issuer's signing keys: made when due, stored encrypted, told to the readers ahead of use."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_access.domain import keys
from regiohub_access.domain.keys import KeySpan
from regiohub_access.reader import wire
from regiohub_access.repo import passes
from regiohub_access.repo.sealing import Vault
from regiohub_access.rh1 import PrivateKey, SigningKey, encode_base64url
from regiohub_access.tables import IssuerKey


async def ensure_key(session: AsyncSession, vault: Vault, *, real_now: datetime) -> None:
    """Make the first key, or the next one when it is due (real time); replicas decide one after the other."""
    if keys.next_active_at(await _spans(session), now=real_now) is None:
        return
    await passes.lock_issuer_keys(session)
    active_at = keys.next_active_at(await _spans(session), now=real_now)
    if active_at is not None:
        session.add(_made(vault, active_at=active_at, real_now=real_now))
        await session.flush()


def _made(vault: Vault, *, active_at: datetime, real_now: datetime) -> IssuerKey:
    key = SigningKey.generate()
    public = key.private.public
    sealed = vault.seal(key.private.scalar, purpose="issuer key", row=key.kid)
    return IssuerKey(kid=key.kid, x=public.x, y=public.y, sealed=sealed, created_at=real_now, active_at=active_at)


async def _spans(session: AsyncSession) -> list[KeySpan]:
    return [KeySpan(row.kid, row.active_at) for row in await passes.list_issuer_keys(session)]


async def signing_key(session: AsyncSession, vault: Vault, *, real_now: datetime) -> SigningKey:
    """Return the key that signs now, made if there is none."""
    await ensure_key(session, vault, real_now=real_now)
    rows = {row.kid: row for row in await passes.list_issuer_keys(session)}
    current = keys.signer([KeySpan(row.kid, row.active_at) for row in rows.values()], now=real_now)
    if current is None:
        raise RuntimeError("no issuer key although one was just made")
    scalar = vault.open(rows[current.kid].sealed, purpose="issuer key", row=current.kid)
    return SigningKey(current.kid, PrivateKey.from_scalar(scalar))


async def published_keys(session: AsyncSession, *, real_now: datetime) -> tuple[wire.WireKey, ...]:
    """Return the public keys that readers should hold."""
    rows = {row.kid: row for row in await passes.list_issuer_keys(session)}
    spans = keys.published([KeySpan(row.kid, row.active_at) for row in rows.values()], now=real_now)
    return tuple(
        wire.WireKey(
            kid=span.kid.hex(), x=encode_base64url(rows[span.kid].x), y=encode_base64url(rows[span.kid].y),
            not_before=span.not_before, not_after=span.not_after,
        )
        for span in spans
    )  # fmt: skip


async def drop_old_keys(session: AsyncSession, *, real_now: datetime) -> None:
    """Delete keys that nobody needs any more."""
    spans = await _spans(session)
    kept = {span.kid for span in keys.published(spans, now=real_now)}
    await passes.drop_issuer_keys(session, [span.kid for span in spans if span.kid not in kept])
