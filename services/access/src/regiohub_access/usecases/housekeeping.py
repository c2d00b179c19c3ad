"""What time does: keys rotate, ended PINs go, old door events and passes are deleted."""

from datetime import datetime, timedelta

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_access.repo import commands, events, grants, passes
from regiohub_access.repo.sealing import Vault
from regiohub_access.usecases.keys import drop_old_keys, ensure_key


async def keep_house(
    session: AsyncSession, *, vault: Vault, allowed_days: int, denied_days: int, now: datetime, real_now: datetime
) -> None:
    """Do all of it; safe to repeat and to run twice at once."""
    await ensure_key(session, vault, real_now=real_now)
    await drop_old_keys(session, real_now=real_now)
    await grants.drop_ended_pins(session, now=now)
    await events.purge(session, now=now, allowed_days=allowed_days, denied_days=denied_days)
    # As long as a refusal may name the pass, so that the person concerned can still be told of it.
    await passes.forget_ended(session, before=now - timedelta(days=denied_days))
    await commands.forget_old(session, before=now - timedelta(days=denied_days))
