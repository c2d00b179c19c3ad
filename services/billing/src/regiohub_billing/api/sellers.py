"""For the county: operators as sellers."""

from fastapi import APIRouter, Response

from regiohub_billing.api.deps import CountyAdminDep
from regiohub_billing.api.schemas import SellerPublic, SellerPut, Slug, TaxRuleBody
from regiohub_billing.domain.tax import TaxRule
from regiohub_billing.repo import ledger as repo
from regiohub_billing.tables import Seller
from regiohub_billing.usecases import sellers
from regiohub_shared.clock import now
from regiohub_shared.db.database import SessionDep
from regiohub_shared.problem import NotFound, PreconditionFailed, PreconditionRequired
from regiohub_shared.web.errors import problems
from regiohub_shared.web.etag import InvalidIfMatch, MaybeVersionDep, tag

router = APIRouter(tags=["finance"])


@router.get("/v1/sellers/{operator}", summary="An operator as seller", responses=problems(NotFound))
async def get_seller(operator: Slug, _caller: CountyAdminDep, session: SessionDep, response: Response) -> SellerPublic:
    """With all tax rules."""
    seller, rules = await sellers.get_seller(session, operator)
    return _seller(seller, rules, response)


@router.put(
    "/v1/sellers/{operator}",
    summary="Set an operator as seller",
    responses=problems(PreconditionFailed, PreconditionRequired, InvalidIfMatch)
    | {201: {"description": "The seller is new", "model": SellerPublic}},
)
async def put_seller(
    operator: Slug,
    body: SellerPut,
    _caller: CountyAdminDep,
    session: SessionDep,
    response: Response,
    version: MaybeVersionDep,
) -> SellerPublic:
    """The whole object. A new seller and an unchanged one need no ``If-Match``; issued documents never change."""
    values = body.model_dump(mode="json", exclude={"tax_rules"})
    rules = [rule.rule() for rule in body.tax_rules]
    seller, made = await sellers.put_seller(session, operator, values=values, rules=rules, version=version, now=now())
    response.status_code = 201 if made else 200
    return _seller(seller, await repo.list_rules(session, operator), response)


def _seller(seller: Seller, rules: list[TaxRule], response: Response) -> SellerPublic:
    tag(response, seller.version)
    bodies = [TaxRuleBody.model_validate(rule, from_attributes=True) for rule in rules]
    return SellerPublic(**seller.model_dump(exclude={"updated_at"}), tax_rules=bodies)
