"""The routes of Stripe's API that the sandbox speaks, with its keys, its errors and its idempotency."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from regiohub_local.stripe_sandbox import books, forms, objects, reading, shapes, switches
from regiohub_local.stripe_sandbox.books import Books
from regiohub_local.stripe_sandbox.errors import StripeRefusal
from regiohub_local.stripe_sandbox.settings import Settings
from regiohub_local.stripe_sandbox.store import Json, Rows, Store

Action = Callable[[Books, Json], Json]
_MAX_BODY_BYTES, _MAX_KEY_CHARS = 256 * 1024, 255
# Stripe forgets keys after at least 24 hours; the sandbox does so on the dot, so that nobody relies on more.
_KEY_LIFE_S = 24 * 3600

router = APIRouter(prefix="/v1")


@dataclass(slots=True)
class Sandbox:
    """What all routes share: settings, books, keys in flight, and the bell that wakes the webhook sender."""

    settings: Settings
    store: Store
    in_flight: set[str] = field(default_factory=set)
    bell: asyncio.Event = field(default_factory=asyncio.Event)

    def books(self, rows: Rows, request_id: str | None = None, key: str | None = None) -> Books:
        """Return the books for one transaction."""
        return Books(
            rows=rows,
            origin=self.settings.public_origin,
            sends_webhooks=bool(self.settings.webhook_url),
            request={"id": request_id, "idempotency_key": key},
        )


def sandbox_of(request: Request) -> Sandbox:
    """FastAPI dependency."""
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox


SandboxDep = Annotated[Sandbox, Depends(sandbox_of)]


def authorise(request: Request, sandbox: SandboxDep) -> None:
    """Let only the account's own secret key in (401 otherwise), speaking the version the SDK speaks."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given:
        raise StripeRefusal("You did not provide an API key.", status=401)
    if not hmac.compare_digest(given.encode(), sandbox.settings.api_key.get_secret_value().encode()):
        raise StripeRefusal("Invalid API Key provided.", status=401)
    version = request.headers.get("stripe-version", objects.API_VERSION)
    if version != objects.API_VERSION:
        message = f"Invalid Stripe API version: {version}; the sandbox speaks {objects.API_VERSION}"
        raise StripeRefusal(message)


Authorised = Depends(authorise)


def answer(status: int, body: Json, request_id: str, headers: dict[str, str] | None = None) -> Response:
    """Return Stripe's kind of answer."""
    own = {"Request-Id": request_id, "Stripe-Version": objects.API_VERSION, "Cache-Control": "no-store"}
    text = json.dumps(body, indent=2, ensure_ascii=False)
    return Response(text, status_code=status, media_type="application/json", headers=own | (headers or {}))


async def _form(request: Request) -> str:
    if int(request.headers.get("content-length", "0")) > _MAX_BODY_BYTES:
        raise StripeRefusal("Request body too large", status=413)
    body = await request.body()
    kind = request.headers.get("content-type", "")
    if body and not kind.startswith("application/x-www-form-urlencoded"):
        raise StripeRefusal("Invalid request: content type must be application/x-www-form-urlencoded", status=400)
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise StripeRefusal("Invalid request: not UTF-8") from error


@dataclass(frozen=True, slots=True)
class _Call:
    path: str
    raw: Json
    params: Json
    key: str | None
    request_id: str

    @property
    def fingerprint(self) -> str:
        """What a repeat must have in common with the first request."""
        return hashlib.sha256(json.dumps([self.path, self.raw], sort_keys=True).encode()).hexdigest()


async def _post(request: Request, sandbox: Sandbox, shape: str, action: Action) -> Response:
    """Check the parameters, claim the idempotency key, act in one transaction, wake the webhook sender."""
    raw, key = forms.decode(await _form(request)), request.headers.get("idempotency-key")
    call = _Call(request.url.path, raw, shapes.check(shape, raw), key, request.state.request_id)
    if key is None:
        return await _once(sandbox, call, action)
    if not 0 < len(key) <= _MAX_KEY_CHARS:
        raise StripeRefusal("Idempotency keys must have 1 to 255 characters.", kind="idempotency_error")
    if key in sandbox.in_flight:
        message = "There is currently another in-progress request using this idempotent key."
        raise StripeRefusal(message, status=409, code="idempotency_key_in_use")
    sandbox.in_flight.add(key)
    try:
        return await _once(sandbox, call, action)
    finally:
        sandbox.in_flight.discard(key)


async def _once(sandbox: Sandbox, call: _Call, action: Action) -> Response:
    delay = (await sandbox.store.run(switches.read)).response_delay_s
    if delay:
        await asyncio.sleep(delay)
    status, body, original = await sandbox.store.run(lambda rows: _kept(rows, sandbox, call, action))
    sandbox.bell.set()
    headers = {"Idempotency-Key": call.key, "Original-Request": original} if call.key else {}
    if original != call.request_id:
        headers["Idempotent-Replayed"] = "true"
    return answer(status, body, call.request_id, headers)


def _kept(rows: Rows, sandbox: Sandbox, call: _Call, action: Action) -> tuple[int, Json, str]:
    """Return status, body and the id of the request that caused them: this one, or the first with the same key."""
    own = sandbox.books(rows, call.request_id, call.key)
    rows.sql.execute("DELETE FROM idempotency_key WHERE created < ?", (own.second - _KEY_LIFE_S,))
    found = rows.sql.execute(
        "SELECT fingerprint, status, body, request_id FROM idempotency_key WHERE key = ?", (call.key,)
    ).fetchone()
    if found is not None:
        if found[0] != call.fingerprint:
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{call.key}' if you meant to execute a different request."
            )
            raise StripeRefusal(message, kind="idempotency_error")
        return found[1], json.loads(found[2]), found[3]
    try:
        with rows.undone_on_error():
            status, body = 200, action(own, call.params)
    except StripeRefusal as refusal:
        status, body = refusal.status, refusal.body
    if call.key is not None:
        rows.sql.execute(
            "INSERT INTO idempotency_key (key, fingerprint, request_id, status, body, created)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (call.key, call.fingerprint, call.request_id, status, json.dumps(body), own.second),
        )
    return status, body, call.request_id


async def _read(request: Request, sandbox: Sandbox, shape: str, action: Action) -> Response:
    params = shapes.check(shape, forms.decode(request.url.query))
    body = await sandbox.store.run(lambda rows: action(sandbox.books(rows), params))
    return answer(200, body, request.state.request_id)


def _created(action: Action) -> Action:
    return lambda own, params: reading.shown(own, action(own, params), params)


@router.post("/checkout/sessions", dependencies=[Authorised])
async def create_session(request: Request, sandbox: SandboxDep) -> Response:
    """Open a Checkout session."""
    return await _post(request, sandbox, "SessionCreateParams", _created(books.create_session))


@router.post("/checkout/sessions/{object_id}/expire", dependencies=[Authorised])
async def expire_session(object_id: str, request: Request, sandbox: SandboxDep) -> Response:
    """Expire an open Checkout session."""
    action = _created(lambda own, _: books.expire_session(own, object_id))
    return await _post(request, sandbox, "SessionExpireParams", action)


@router.post("/refunds", dependencies=[Authorised])
async def create_refund(request: Request, sandbox: SandboxDep) -> Response:
    """Refund a payment."""
    return await _post(request, sandbox, "RefundCreateParams", _created(books.create_refund))


def _listing(path: str, kind: str, shape: str) -> None:
    async def endpoint(request: Request, sandbox: SandboxDep) -> Response:
        def act(own: Books, params: Json) -> Json:
            return reading.list_objects(own, kind, params, f"/v1{path}")

        return await _read(request, sandbox, shape, act)

    router.add_api_route(path, endpoint, methods=["GET"], dependencies=[Authorised], name=f"list {kind}")


def _single(path: str, kind: str, shape: str) -> None:
    async def endpoint(object_id: str, request: Request, sandbox: SandboxDep) -> Response:
        def act(own: Books, params: Json) -> Json:
            return reading.retrieve(own, kind, object_id, params)

        return await _read(request, sandbox, shape, act)

    router.add_api_route(
        f"{path}/{{object_id}}", endpoint, methods=["GET"], dependencies=[Authorised], name=f"retrieve {kind}"
    )


_listing("/checkout/sessions", "checkout.session", "SessionListParams")
_single("/checkout/sessions", "checkout.session", "SessionRetrieveParams")
_listing("/payment_intents", "payment_intent", "PaymentIntentListParams")
_single("/payment_intents", "payment_intent", "PaymentIntentRetrieveParams")
_listing("/refunds", "refund", "RefundListParams")
_single("/refunds", "refund", "RefundRetrieveParams")
_listing("/disputes", "dispute", "DisputeListParams")
_single("/disputes", "dispute", "DisputeRetrieveParams")
_listing("/events", "event", "EventListParams")
_single("/events", "event", "EventRetrieveParams")
_single("/charges", "charge", "ChargeRetrieveParams")
_single("/balance_transactions", "balance_transaction", "BalanceTransactionRetrieveParams")
