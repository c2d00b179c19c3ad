"""A member's own bookings: list, detail, pay, wait for the payment, cancel."""

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from regiohub_gateway.web import moments, typed
from regiohub_gateway.web.api import Api, Refused, api_of, is_away
from regiohub_gateway.web.forms import Form, known_id, read_form, visitor_of
from regiohub_gateway.web.pages.move import can_move
from regiohub_gateway.web.reads import (
    Json,
    active_grants,
    documents_of,
    find_feed,
    find_grant,
    grant_of,
    payments_of,
    remote_openings,
)
from regiohub_gateway.web.render import go, language_of, link, page
from regiohub_shared.clock import now
from regiohub_shared.problem import NotFound, Unavailable

router = APIRouter(include_in_schema=False)
_LANGUAGE = "__Host-rh-lang"
"""Brings people back from the checkout in their language: its way back knows only one address."""
_FAILED = frozenset({"failed", "expired"})
_ENDED = frozenset({"rejected", "expired", "cancelled", "completed", "no_show"})
_HUB = frozenset({"operator", "closure"})
"""Who called it off, where it was not the member."""


class UnknownCheckout(Unavailable):
    """The payment page is not where the settings say it is."""

    type, title = "unknown-checkout", "The payment page is not available right now"


@router.get("/bookings")
async def list_page(request: Request) -> Response:
    """What lies ahead, and what lies behind; while booking is away, the keys that access knows."""
    visitor_of(request)
    api = api_of(request)
    try:
        items, feed = await asyncio.gather(api.items("booking", "/v1/bookings"), find_feed(api))
    except (Refused, Unavailable) as error:
        if not is_away(error):
            raise
        return page(request, "keys", grants=await active_grants(api))
    return show_list(request, items, feed)


def show_list(request: Request, items: list[Json], feed: Json | None, feed_url: str = "") -> Response:
    """Return the page; ``feed_url`` is a new calendar address, which is shown this once."""
    ahead = [item for item in items if _is_ahead(item)]
    behind = [item for item in items if not _is_ahead(item)]
    return page(
        request, "bookings", ahead=sorted(ahead, key=lambda item: moments.parse(item["starts_at"])), behind=behind,
        feed=feed, feed_url=feed_url,
    )  # fmt: skip


@router.get("/bookings/{booking_id}")
async def detail_page(request: Request, booking_id: str) -> Response:
    """One booking with its door key, documents and ways out."""
    visitor_of(request)
    api, booking_id = api_of(request), known_id(booking_id)
    try:
        booking = await api.get("booking", f"/v1/bookings/{booking_id}")
    except (Refused, Unavailable) as error:
        if not is_away(error) or await find_grant(api, booking_id) is None:
            raise
        return go(request, f"/key/{booking_id}")
    hub, (grant, documents, payments) = await asyncio.gather(
        api.get("booking", f"/v1/hubs/{booking['hub']}"), _of_member(api, booking)
    )
    return page(
        request, "booking", booking=booking, hub=hub, grant=grant, documents=documents, payments=payments,
        is_own=booking["is_own"], by_hub=booking["cancelled_by"] in _HUB, ended=booking["status"] in _ENDED,
        can_cancel=_can_cancel(booking), can_move=can_move(booking), opens=booking["status"] in {"confirmed", "checked_in"},
        done=_done(request.query_params, booking), has_paid=_has_paid(payments),
        moved="moved" in request.query_params, remote=await remote_openings(api, grant),
    )  # fmt: skip


async def _of_member(api: Api, booking: Json) -> tuple[Json | None, list[Json] | None, list[Json] | None]:
    """Return grant, documents and payments; nobody but the member gets them, so no other visitor waits for them."""
    if not booking["is_own"]:
        return None, None, None
    return await asyncio.gather(
        grant_of(api, booking["id"]), documents_of(api, booking["id"]), payments_of(api, booking["id"])
    )


@router.get("/bookings/{booking_id}/pay")
async def pay_page(request: Request, booking_id: str) -> Response:
    """Name, address, minutes left and the paying button; the way back from a checkout that was left or declined."""
    visitor = visitor_of(request)
    back = _in_their_language(request)
    if back:
        return back
    api, booking_id = api_of(request), known_id(booking_id)
    booking = await _own(api, booking_id)
    if booking["status"] in {"confirmed", "checked_in", "completed"}:
        return go(request, f"/bookings/{booking_id}")
    payments = await payments_of(api, booking_id)
    known = {"name": visitor.name, "country": "DE"} | _known_buyer(payments)
    return _pay(request, booking, Form(values=known | typed.kept(request), lists={}), payments, None)


@router.post("/bookings/{booking_id}/pay")
async def pay(request: Request, booking_id: str) -> Response:
    """Start the payment and go to the checkout."""
    form, api, booking_id = await read_form(request), api_of(request), known_id(booking_id)
    buyer = _read_buyer(form)
    key = form.key()
    if form.errors:
        booking = await _own(api, booking_id)
        return _pay(request, booking, form, await payments_of(api, booking_id), None)
    try:
        order = {"booking_id": booking_id, "buyer": buyer, "locale": language_of(request)}
        payment = await _start_payment(api, order, key)
    except Refused as refused:
        if refused.status == 401:
            raise
        booking = await _own(api, booking_id)
        return _pay(request, booking, form, await payments_of(api, booking_id), refused)
    if not payment.get("checkout_url"):
        return typed.forget(go(request, f"/bookings/{booking_id}/payment"))
    return typed.forget(_to_checkout(request, payment["checkout_url"]))


@router.get("/bookings/{booking_id}/payment")
async def payment_page(request: Request, booking_id: str) -> Response:
    """The way back from the checkout: the payment is being confirmed, usually within seconds."""
    visitor_of(request)
    back = _in_their_language(request)
    if back:
        return back
    api, booking_id = api_of(request), known_id(booking_id)
    booking = await _own(api, booking_id)
    if booking["status"] in {"confirmed", "checked_in", "completed"}:
        return go(request, f"/bookings/{booking_id}?paid=1")
    payments = await payments_of(api, booking_id)
    waiting = booking["status"] == "held" and not _has_failed(payments)
    return page(request, "payment", booking=booking, payments=payments, waiting=waiting)


@router.get("/bookings/{booking_id}/cancel")
async def cancel_page(request: Request, booking_id: str) -> Response:
    """What cancelling means, before it is done."""
    visitor_of(request)
    booking = await api_of(request).send("GET", "booking", f"/v1/bookings/{known_id(booking_id)}")
    return _cancel(request, booking.data, booking.etag, None)


@router.post("/bookings/{booking_id}/cancel")
async def cancel(request: Request, booking_id: str) -> Response:
    """Cancel; money that was paid goes back by itself."""
    form, api, booking_id = await read_form(request), api_of(request), known_id(booking_id)
    try:
        await send_cancel(api, booking_id, form)
    except Refused as refused:
        if refused.status not in {409, 412}:
            raise
        fresh = await api.send("GET", "booking", f"/v1/bookings/{booking_id}")
        return _cancel(request, fresh.data, fresh.etag, refused)
    return go(request, f"/bookings/{booking_id}")


async def send_cancel(api: Api, booking_id: str, form: Form) -> None:
    """Ask booking to cancel the version that the form showed."""
    await api.send("POST", "booking", f"/v1/bookings/{booking_id}/cancel", headers={"if-match": form.etag()})


async def _own(api: Api, booking_id: str) -> Json:
    """Return the visitor's own booking: operators may read a member's, but paying it is the member's."""
    booking: Json = await api.get("booking", f"/v1/bookings/{booking_id}")
    if not booking["is_own"]:
        raise NotFound
    return booking


def _cancel(request: Request, booking: Json, etag: str, refused: Refused | None) -> Response:
    status = refused.status if refused else 200
    return page(
        request, "cancel", status=status,
        booking=booking, etag=etag, refused=refused, can_cancel=_can_cancel(booking), action="", back="",
    )  # fmt: skip


def _pay(request: Request, booking: Json, form: Form, payments: list[Json] | None, refused: Refused | None) -> Response:
    left = minutes_left(booking)
    payable = booking["status"] == "held" and left > 0
    tried = bool(payments) and not any(payment.get("paid_cents") for payment in payments or [])
    status = refused.status if refused else 422 if form.errors else 200 if payable else 409
    return page(
        request, "pay", status=status,
        booking=booking, form=form, left=left, payable=payable, tried=tried, refused=refused,
    )  # fmt: skip


async def _start_payment(api: Api, order: Json, key: str) -> Json:
    # The checkout is opened at the provider, which can take its time.
    answer = await api.send(
        "POST", "billing", "/v1/payments", body=order, headers={"idempotency-key": key}, read_s=25.0
    )
    payment: Json = answer.data
    return payment


def _to_checkout(request: Request, target: str) -> RedirectResponse:
    parts = urlsplit(target)
    if f"{parts.scheme}://{parts.netloc}" != request.app.state.checkout_origin:
        raise UnknownCheckout
    response = RedirectResponse(target, 303)
    language = language_of(request)
    response.set_cookie(_LANGUAGE, language, max_age=7200, secure=True, httponly=True, samesite="lax")
    return response


def _in_their_language(request: Request) -> RedirectResponse | None:
    """Return the way to the English page for who went to the checkout from an English page."""
    if request.cookies.get(_LANGUAGE) != "en" or language_of(request) == "en":
        return None
    response = RedirectResponse(link("en", request.url.path), 303)
    response.set_cookie(_LANGUAGE, "", max_age=0, secure=True, httponly=True, samesite="lax")
    return response


def _read_buyer(form: Form) -> dict[str, str]:
    names = ("name", "street", "postcode", "city")
    buyer = {name: form.text(name, longest=120) for name in names}
    country = form.text("country", longest=2).upper()
    if len(country) != 2 or not country.isascii() or not country.isalpha():
        form.errors.setdefault("country", "form.country")
    return buyer | {"country": country}


def _known_buyer(payments: list[Json] | None) -> dict[str, str]:
    """Return what the last try said, so that nobody has to write it again."""
    return next((dict(payment["buyer"]) for payment in reversed(payments or []) if payment.get("buyer")), {})


def minutes_left(booking: Json) -> int:
    """Return how long a hold is still kept, in whole minutes."""
    if not booking.get("hold_until"):
        return 0
    return max(0, int((moments.parse(booking["hold_until"]) - now()).total_seconds() // 60))


def _is_ahead(booking: Json) -> bool:
    return (
        booking["status"] in {"requested", "held", "confirmed", "checked_in"}
        and moments.parse(booking["ends_at"]) > now()
    )


def _can_cancel(booking: Json) -> bool:
    """Return whether the button makes sense; booking decides."""
    return booking["status"] in {"requested", "held", "confirmed"} and moments.parse(booking["starts_at"]) > now()


def _done(query: Mapping[str, str], booking: Json) -> str:
    """Return what has just been done, as the way here says and the booking bears out."""
    return next((step for step in ("paid", "booked") if step in query and booking["status"] == "confirmed"), "")


def _has_paid(payments: list[Json] | None) -> bool | None:
    """Return whether money arrived, or None while nobody can tell."""
    return None if payments is None else any(payment.get("paid_cents") for payment in payments)


def _has_failed(payments: list[Json] | None) -> bool:
    return bool(payments) and all(payment.get("status") in _FAILED for payment in payments or [])
