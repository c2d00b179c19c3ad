"""Who sells: name and address on documents, accounts, tax by date of supply."""

from collections.abc import Container, Sequence
from datetime import datetime
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.domain.tax import TaxRule
from regiohub_billing.repo import ledger as repo
from regiohub_billing.tables import Seller
from regiohub_shared.problem import NotFound, PreconditionFailed, PreconditionRequired


async def get_seller(session: AsyncSession, operator: str) -> tuple[Seller, list[TaxRule]]:
    """Return a seller with its rules; raises ``NotFound``."""
    seller = await repo.find_seller(session, operator)
    if seller is None:
        raise NotFound("This operator is no seller yet.")
    return seller, await repo.list_rules(session, operator)


async def put_seller(
    session: AsyncSession,
    operator: str,
    *,
    values: dict[str, Any],
    rules: Sequence[TaxRule],
    version: Container[int] | None,
    now: datetime,
) -> tuple[Seller, bool]:
    """Create or replace a seller; return it and whether it is new.

    The same content again changes nothing and needs no ``If-Match``, so that a seed can be repeated; other content
    needs the version it replaces (428, 412).
    """
    if await repo.add_seller(session, {"operator": operator, "version": 1, "updated_at": now} | values):
        if version is not None:
            raise PreconditionFailed("It does not exist yet; send no If-Match.")
        await repo.replace_rules(session, operator, rules)
        return (await get_seller(session, operator))[0], True
    seller = await repo.lock_seller(session, operator)
    if seller is None:
        raise NotFound("This operator is no seller yet.")
    ordered = sorted(rules, key=lambda rule: (rule.tax_code, rule.valid_from))
    if seller.model_dump(include=set(values)) == values and await repo.list_rules(session, operator) == ordered:
        return seller, False
    if version is None:
        raise PreconditionRequired("Read the seller first and send its ETag as If-Match.")
    if seller.version not in version:
        raise PreconditionFailed(version=seller.version)
    for name, value in values.items():
        setattr(seller, name, value)
    seller.version, seller.updated_at = seller.version + 1, now
    await session.flush()
    await repo.replace_rules(session, operator, rules)
    return seller, False
