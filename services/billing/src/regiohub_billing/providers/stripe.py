"""Stripe by stripe-python's async client, with the API version pinned. It answers in the words of ``port``."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import httpx
import stripe
from stripe.params import DisputeListParamsCreated, RefundListParamsCreated
from stripe.params.checkout import SessionListParamsCreated

from regiohub_billing.domain.payment import PaymentStatus, Received, RefundStatus
from regiohub_billing.providers.port import (
    BadSignature,
    Checkout,
    DisputeSeen,
    Event,
    NoAnswer,
    NotFoundThere,
    RefundSeen,
    Refused,
)

API_VERSION = "2026-10-28.endive"
_RETRIES = 1
# The SDK logs every request at INFO; ours are in provider_intent.
logging.getLogger("stripe").setLevel(logging.WARNING)
_REFUND_STATUS = {
    "succeeded": RefundStatus.SUCCEEDED,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.FAILED,
}
_KINDS: dict[str, Literal["checkout", "payment", "refund", "dispute"]] = {
    "checkout.session": "checkout",
    "payment_intent": "payment",
    "refund": "refund",
    "dispute": "dispute",
}


@dataclass(frozen=True, slots=True)
class StripeAccess:
    """Where Stripe is and how we prove ourselves."""

    api_base: str
    api_key: str
    webhook_secret: str
    timeout_s: float


class _Http(stripe.HTTPXClient):
    """The SDK's httpx client, which still hands its body over in httpx's deprecated way."""

    def __init__(self, access: StripeAccess) -> None:
        super().__init__(timeout=httpx.Timeout(access.timeout_s, connect=min(access.timeout_s, 3.0)))
        if access.api_base.startswith("http://"):
            # A sandbox on this machine; a proxy from the environment cannot reach it.
            self._client_async = httpx.AsyncClient(trust_env=False)

    def _get_request_args_kwargs(
        self, method: str, url: str, headers: Mapping[str, str], post_data: str | None
    ) -> list[Any]:
        arguments: list[Any] = super()._get_request_args_kwargs(method, url, headers, None)
        options = arguments[1]
        del options["data"]
        return [arguments[0], options | {"content": post_data or b""}]


class StripeProvider:
    """See :class:`port.Provider`. Make it inside the event loop that uses it."""

    name = "stripe"

    def __init__(self, access: StripeAccess) -> None:
        """Without a key every call raises :class:`NoAnswer`, so that the rest of the service works."""
        self.livemode = "_live_" in access.api_key
        self._secret = access.webhook_secret
        self._http = _Http(access)
        self._client = stripe.StripeClient(
            access.api_key or "sk_test_not_configured",
            stripe_version=API_VERSION,
            max_network_retries=_RETRIES,
            base_addresses={"api": access.api_base.rstrip("/")},
            http_client=self._http,
        )
        self._configured = bool(access.api_key)

    async def create_checkout(self, request: dict[str, Any], key: str) -> Checkout:
        """See port."""
        async with self._errors():
            made = await self._client.v1.checkout.sessions.create_async(request, {"idempotency_key": key})  # type: ignore[arg-type]  # frozen JSON; the sandbox checks it against the SDK's types
        return _checkout(made)

    async def get_checkout(self, session_id: str) -> Checkout:
        """See port."""
        async with self._errors():
            found = await self._client.v1.checkout.sessions.retrieve_async(session_id, {"expand": ["payment_intent"]})
        return _checkout(found)

    async def expire_checkout(self, session_id: str, key: str) -> Checkout:
        """See port. "Already complete" is a refusal to Stripe and news to us."""
        try:
            async with self._errors():
                gone = await self._client.v1.checkout.sessions.expire_async(session_id, {}, {"idempotency_key": key})
        except NotFoundThere:
            raise
        except Refused:
            return await self.get_checkout(session_id)
        return _checkout(gone)

    async def find_checkout(self, payment_id: str, since: datetime) -> Checkout | None:
        """See port."""
        created: SessionListParamsCreated = {"gte": int((since - timedelta(minutes=5)).timestamp())}
        async with self._errors():
            page = await self._client.v1.checkout.sessions.list_async({"created": created, "limit": 100})
            async for found in page.auto_paging_iter():
                if _metadata(found, "payment_id") == payment_id:
                    return await self.get_checkout(found.id)
        return None

    async def list_checkouts(self, since: datetime) -> list[Checkout]:
        """See port."""
        created: SessionListParamsCreated = {"gte": int(since.timestamp())}
        async with self._errors():
            page = await self._client.v1.checkout.sessions.list_async({"created": created, "limit": 100})
            found = [_checkout(each) async for each in page.auto_paging_iter()]
        return [seen for seen in reversed(found) if seen.received.payment_id]

    async def list_refunds(self, since: datetime) -> list[RefundSeen]:
        """See port."""
        created: RefundListParamsCreated = {"gte": int(since.timestamp())}
        async with self._errors():
            page = await self._client.v1.refunds.list_async({"created": created, "limit": 100})
            found = [_refund(each) async for each in page.auto_paging_iter()]
        return found[::-1]

    async def list_disputes(self, since: datetime) -> list[DisputeSeen]:
        """See port."""
        created: DisputeListParamsCreated = {"gte": int(since.timestamp())}
        async with self._errors():
            page = await self._client.v1.disputes.list_async({"created": created, "limit": 100})
            found = [_dispute(each) async for each in page.auto_paging_iter()]
        return found[::-1]

    async def create_refund(self, request: dict[str, Any], key: str) -> RefundSeen:
        """See port."""
        async with self._errors():
            made = await self._client.v1.refunds.create_async(request, {"idempotency_key": key})  # type: ignore[arg-type]  # see create_checkout
        return _refund(made)

    async def get_refund(self, provider_refund_id: str) -> RefundSeen:
        """See port."""
        async with self._errors():
            found = await self._client.v1.refunds.retrieve_async(provider_refund_id)
        return _refund(found)

    async def find_refund(self, provider_payment_id: str, refund_id: str) -> RefundSeen | None:
        """See port."""
        async with self._errors():
            page = await self._client.v1.refunds.list_async({"payment_intent": provider_payment_id, "limit": 100})
            async for found in page.auto_paging_iter():
                if _metadata(found, "refund_id") == refund_id:
                    return _refund(found)
        return None

    async def get_dispute(self, dispute_id: str) -> DisputeSeen:
        """See port."""
        async with self._errors():
            found = await self._client.v1.disputes.retrieve_async(dispute_id)
        return _dispute(found)

    def read_event(self, body: bytes, signature: str) -> Event:
        """See port. An empty secret verifies nothing, so it refuses everything."""
        # The SDK's comparison fails with TypeError on text that is not ASCII.
        if not self._secret or not signature.isascii():
            raise BadSignature
        try:
            event = self._client.construct_event(body, signature, self._secret)
        except stripe.SignatureVerificationError as error:
            raise BadSignature from error
        try:
            thing: dict[str, Any] = event.data.object.to_dict()
        except AttributeError as error:
            raise ValueError("this is not an event") from error
        return Event(
            id=event.id,
            type=event.type,
            object_id=str(thing.get("id") or ""),
            object_kind=_KINDS.get(str(thing.get("object")), "other"),
            payment_id=str((thing.get("metadata") or {}).get("payment_id") or ""),
            created_at=datetime.fromtimestamp(event.created, UTC),
            api_version=str(event.api_version or ""),
            livemode=bool(event.livemode),
        )

    async def close(self) -> None:
        """See port."""
        await self._http.close_async()  # type: ignore[no-untyped-call]  # the SDK leaves it untyped

    @asynccontextmanager
    async def _errors(self) -> AsyncIterator[None]:
        """Tell a definite refusal from an unknown answer."""
        if not self._configured:
            raise NoAnswer("no Stripe key is configured")
        try:
            yield
        except (
            stripe.IdempotencyError,
            stripe.AuthenticationError,
            stripe.PermissionError,
            stripe.RateLimitError,
        ) as e:
            # A wrong key in the settings says nothing about the request; "key in use" means that it runs.
            raise NoAnswer(_said(e)) from e
        except stripe.InvalidRequestError as error:
            if error.http_status == 409:
                raise NoAnswer(_said(error)) from error
            # A 404 without this code is about the address, not about the object.
            kind = NotFoundThere if (error.http_status, error.code) == (404, "resource_missing") else Refused
            raise kind(_said(error)) from error
        except stripe.CardError as error:
            raise Refused(_said(error)) from error
        except stripe.StripeError as error:
            raise NoAnswer(_said(error)) from error


def _said(error: stripe.StripeError) -> str:
    return f"{type(error).__name__} {error.code or error.http_status or ''}: {error.user_message or ''}"[:300]


def _metadata(thing: Any, name: str) -> str:
    metadata = thing.metadata
    return str(metadata.to_dict().get(name) or "") if metadata else ""


def _checkout(session: stripe.checkout.Session) -> Checkout:
    intent = session.payment_intent
    intent_id = intent if isinstance(intent, str) else intent.id if intent else ""
    return Checkout(
        session_id=session.id,
        url=session.url or "",
        status=_session_status(session),
        provider_payment_id=intent_id,
        received=Received(
            payment_id=_metadata(session, "payment_id"),
            booking_id=_metadata(session, "booking_id"),
            amount_cents=session.amount_total or 0,
            currency=(session.currency or "").upper(),
            livemode=bool(session.livemode),
        ),
        expires_at=datetime.fromtimestamp(session.expires_at, UTC),
        operator=_metadata(session, "operator"),
    )


def _session_status(session: stripe.checkout.Session) -> PaymentStatus:
    if session.status == "expired":
        return PaymentStatus.EXPIRED
    if session.status != "complete":
        return PaymentStatus.OPEN
    # Complete but unpaid: a delayed method (SEPA) is under way.
    return PaymentStatus.SUCCEEDED if session.payment_status == "paid" else PaymentStatus.PROCESSING


def _refund(refund: stripe.Refund) -> RefundSeen:
    intent = refund.payment_intent
    return RefundSeen(
        provider_refund_id=refund.id,
        provider_payment_id=intent if isinstance(intent, str) else intent.id if intent else "",
        refund_id=_metadata(refund, "refund_id"),
        status=_REFUND_STATUS.get(refund.status or "", RefundStatus.PENDING),
        amount_cents=refund.amount,
        currency=refund.currency.upper(),
        failure=getattr(refund, "failure_reason", None) or "",
        payment_id=_metadata(refund, "payment_id"),
    )


def _dispute(dispute: stripe.Dispute) -> DisputeSeen:
    intent, due = dispute.payment_intent, dispute.evidence_details.due_by
    return DisputeSeen(
        dispute_id=dispute.id,
        provider_payment_id=intent if isinstance(intent, str) else intent.id if intent else "",
        status=dispute.status,
        reason=dispute.reason,
        amount_cents=dispute.amount,
        currency=dispute.currency.upper(),
        answer_by=datetime.fromtimestamp(due, UTC) if due else None,
    )
