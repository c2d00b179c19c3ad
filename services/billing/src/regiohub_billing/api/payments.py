"""Paying: open a payment page, see payments and documents, take Stripe's webhooks."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import HTMLResponse

from regiohub_billing.api.deps import BookingUnavailable, MemberDep, ProviderDep, ReaderDep, SettingsDep, ShopDep
from regiohub_billing.api.schemas import (
    DocumentList,
    DocumentPublic,
    PaymentCreate,
    PaymentList,
    PaymentOpened,
    PaymentPublic,
    WebhookReceipt,
)
from regiohub_billing.domain.payment import (
    NothingToPay,
    PaymentInFlight,
    PaymentRefused,
    ProviderUnavailable,
    SellerIncomplete,
)
from regiohub_billing.domain.tax import NoTaxRule
from regiohub_billing.render import document as render
from regiohub_billing.usecases import payments, reading, webhooks
from regiohub_billing.usecases.payments import AmountTooSmall, Order
from regiohub_shared.db.database import SessionDep
from regiohub_shared.idempotency import (
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    RequestInFlight,
    attempt,
    require_key,
)
from regiohub_shared.problem import NotFound
from regiohub_shared.web.errors import problems

router = APIRouter(tags=["payments"])
_ROUTE = "POST /v1/payments"


@router.post(
    "/v1/payments",
    summary="Open the payment page of a held booking",
    status_code=201,
    responses=problems(
        NotFound, IdempotencyKeyMissing, IdempotencyKeyReused, RequestInFlight, NothingToPay, PaymentInFlight,
        PaymentRefused, SellerIncomplete, NoTaxRule, AmountTooSmall, ProviderUnavailable, BookingUnavailable,
    )
    | {200: {"description": "The booking's open payment page", "model": PaymentOpened}},
)  # fmt: skip
async def open_payment(
    body: PaymentCreate, caller: MemberDep, shop: ShopDep, key: Annotated[str, Depends(require_key)], response: Response
) -> PaymentOpened:
    """One open page per booking: asking again returns it, with the newest buyer for the document."""
    wanted = attempt(sub=caller.sub, route=_ROUTE, key=key, body=body.model_dump(mode="json"))
    order = Order(booking_id=body.booking_id, buyer=body.buyer.model_dump(), locale=body.locale)
    stored = await payments.open_payment(shop, principal=caller, order=order, wanted=wanted)
    response.status_code = stored.status
    return PaymentOpened(**stored.body)


@router.get("/v1/payments", summary="Payments of a booking", responses=problems(NotFound))
async def list_payments(booking_id: UUID, caller: ReaderDep, session: SessionDep) -> PaymentList:
    """For its member and the finance offices concerned; only its member sees the buyer."""
    found = await reading.list_payments(session, caller, booking_id)
    return PaymentList(items=[PaymentPublic.of(payment, refunds, caller) for payment, refunds in found], next=None)


@router.get("/v1/documents", summary="Documents of a booking", responses=problems(NotFound))
async def list_documents(booking_id: UUID, caller: ReaderDep, session: SessionDep) -> DocumentList:
    """For its member and the finance offices concerned."""
    found = await reading.list_documents(session, caller, booking_id)
    return DocumentList(items=[DocumentPublic.of(view) for view in found], next=None)


@router.get(
    "/v1/documents/{document_id}",
    summary="A document to read and print",
    response_class=HTMLResponse,
    responses=problems(NotFound),
)
async def get_document(
    document_id: UUID,
    caller: ReaderDep,
    session: SessionDep,
    settings: SettingsDep,
    lang: Annotated[Literal["de", "en"], Query(description="en puts English labels beside the German ones")] = "de",
) -> HTMLResponse:
    """German HTML without script; its policy allows its own style sheet only."""
    paper = await reading.get_paper(session, caller, document_id)
    # Only its member has a page of the booking to go back to.
    back = settings.booking_path.format(booking_id=paper.booking_id) if paper.is_own else ""
    shell = render.Shell(english=lang == "en", back=f"/en{back}" if back and lang == "en" else back)
    policy = f"default-src 'none'; style-src {render.style_source()}; base-uri 'none'; frame-ancestors 'none'"
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "private, no-store",
        "Content-Language": "de",
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse(render.page(paper.printed, shell), headers=headers)


@router.post("/v1/webhooks/stripe", summary="Stripe's webhook", responses=problems(webhooks.WebhookRefused))
async def stripe_webhook(
    request: Request, session: SessionDep, provider: ProviderDep, stripe_signature: Annotated[str, Header()] = ""
) -> WebhookReceipt:
    """Signature on the raw body, one insert, 2xx; the worker fetches the object anew and applies it."""
    body = await request.body()
    new = await webhooks.take(session, provider, body=body, signature=stripe_signature)
    return WebhookReceipt(received=True, new=new)
