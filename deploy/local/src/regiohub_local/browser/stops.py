"""Every page of the site in every state, and how a person gets there.

A page has the states *data*, *empty* and *error*; `WITHOUT` says why one of them cannot be. States may have variants
(`error-taken`). Five stages follow each other, see `stage.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from regiohub_local.browser import acts

MEMBER, NEWCOMER = "demo-mitglied", "demo-mitglied-2"
OPERATOR, NEW_OPERATOR = "demo-betrieb-bendorf", "demo-betrieb-mayen"
TREASURY, NEW_TREASURY = "demo-kasse-bendorf", "demo-kasse-mayen"
COUNTY, COUNTY_TREASURY = "demo-kreis", "demo-kreiskasse"
STATES = ("data", "empty", "error")

PAGES: Mapping[str, str] = {
    "start": "/", "hub": "/hubs/{slug}", "find": "/find", "book": "/book",
    "account": "/account", "bookings": "/bookings", "booking": "/bookings/{booking_id}", "pay": "/bookings/{booking_id}/pay",
    "payment": "/bookings/{booking_id}/payment", "cancel": "/bookings/{booking_id}/cancel",
    "move": "/bookings/{booking_id}/move", "key": "/key/{booking_id}",
    "operator": "/operator", "operator-day": "/operator/{hub}", "operator-rooms": "/operator/{hub}/rooms",
    "operator-room": "/operator/{hub}/rooms/{resource_id}", "operator-hours": "/operator/{hub}/hours",
    "operator-closures": "/operator/{hub}/closures", "operator-readers": "/operator/{hub}/readers",
    "operator-cancel": "/operator/{hub}/bookings/{booking_id}/cancel",
    "finance": "/finance", "finance-books": "/finance/{operator}",
    "finance-export": "/finance/{operator}/exports/{export_id}", "deliveries": "/county/deliveries",
    "impressum": "/impressum", "datenschutz": "/datenschutz", "barrierefreiheit": "/barrierefreiheit",
    "leichte-sprache": "/leichte-sprache", "lizenzen": "/lizenzen",
    "problems": "/problems", "problem": "/problems/{name}", "api-docs": "/api-docs",
}  # fmt: skip
"""Each page and its route in the gateway."""
PAPERS: Mapping[str, str] = {"document": "/api/billing/v1/documents/{document_id}"}
"""What a service shows people itself, and its address: German in every language, and all of it to be seen."""

_FIXED = "the text stands in the code and asks nobody"
_ONE = "the page is about one thing; without it, it is the error"
WITHOUT: Mapping[tuple[str, str], str] = {
    **{(name, state): _FIXED for name in (
        "account", "impressum", "datenschutz", "barrierefreiheit", "leichte-sprache", "lizenzen", "problems", "api-docs",
    ) for state in ("empty", "error")},
    **{(name, "empty"): _ONE for name in (
        "book", "booking", "pay", "payment", "cancel", "move", "operator-room", "operator-cancel", "finance-export", "problem",
    )},
    ("document", "empty"): _ONE,
    ("document", "error"): "it is the API's problem+json, for programs; people come by a link of their booking",
    ("finance", "error"): "it is a list of names; when they cannot be read, the page is the error of the service",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stop:
    """One page in one state: whose, where (with `{facts}`), and what the person does there first."""

    page: str
    state: str
    path: str
    user: str = ""
    act: acts.Act | None = None


NOTHING: Sequence[Stop] = (
    Stop("start", "empty", "/"),
    Stop("find", "empty", "/find"),
    Stop("operator", "empty", "/operator", COUNTY),
    Stop("finance", "empty", "/finance", COUNTY_TREASURY),
)
ONE_HUB: Sequence[Stop] = (
    Stop("start", "empty-rooms", "/"),
    Stop("hub", "empty", "/hubs/mayen"),
    Stop("find", "empty-rooms", "/find?hub=mayen"),
    Stop("bookings", "empty", "/bookings", NEWCOMER),
    Stop("operator-day", "empty", "/operator/mayen", NEW_OPERATOR),
    Stop("operator-rooms", "empty", "/operator/mayen/rooms", NEW_OPERATOR),
    Stop("operator-hours", "empty", "/operator/mayen/hours", NEW_OPERATOR),
    Stop("operator-closures", "empty", "/operator/mayen/closures", NEW_OPERATOR),
    Stop("operator-readers", "empty", "/operator/mayen/readers", NEW_OPERATOR),
    Stop("finance-books", "empty", "/finance/stadt-mayen", NEW_TREASURY),
    Stop("deliveries", "empty", "/county/deliveries", COUNTY),
)
_SLOT = "date={date}&time=09:00&minutes=120"
_UNKNOWN = "00000000-0000-7000-8000-000000000000"
LIFE: Sequence[Stop] = (
    Stop("start", "data", "/"),
    Stop("start", "data-member", "/", MEMBER),
    Stop("hub", "data", "/hubs/polch"),
    Stop("hub", "error-unknown", "/hubs/atlantis"),
    Stop("find", "data", f"/find?{_SLOT}"),
    Stop("find", "error-closed", "/find?hub=rieden&date={date}&time=05:30&minutes=120"),
    Stop("find", "error-no-hub", "/find?hub=atlantis"),
    Stop("find", "error-time", "/find?date=2027-03-28&time=02:30&minutes=60"),
    Stop("find", "error-twice", "/find?date=2027-10-31&time=02:30&minutes=60"),
    Stop("book", "data", "/book?resource={desk}&date={day_after}&time=09:00&minutes=120"),
    Stop("book", "data-member", "/book?resource={desk}&date={day_after}&time=09:00&minutes=120", MEMBER),
    Stop("book", "data-unsent", "/book?resource={desk}&date={day_after}&time=09:00&minutes=120&unsent=1", MEMBER),
    Stop("book", "error-taken", f"/book?resource={{desk}}&{_SLOT}"),
    Stop("book", "error-own", f"/book?resource={{desk}}&{_SLOT}", MEMBER),
    Stop("book", "error-holds", "/book?resource={spare}&date={far}&time=09:00&minutes=60", NEW_OPERATOR, acts.press),
    Stop("account", "data", "/account", MEMBER),
    Stop("account", "data-made", "/account?passkey=success", MEMBER),
    Stop("account", "data-cancelled", "/account?passkey=cancelled", MEMBER),
    Stop("bookings", "data", "/bookings", MEMBER),
    Stop("bookings", "data-calendar", "/bookings", MEMBER, acts.make_calendar_address),
    Stop("booking", "data", "/bookings/{paid}?paid=1", MEMBER),
    Stop("booking", "data-moved", "/bookings/{moved}?moved=1", MEMBER),
    Stop("booking", "data-moved-by-hub", "/bookings/{moved}", MEMBER),
    Stop("booking", "data-held", "/bookings/{held}", MEMBER),
    Stop("booking", "data-cancelled", "/bookings/{cancelled}", MEMBER),
    Stop("booking", "data-expired", "/bookings/{expired}", MEMBER),
    Stop("booking", "data-current", "/bookings/{current}", MEMBER),
    Stop("booking", "data-of-a-member", "/bookings/{paid}", OPERATOR),
    Stop("booking", "error-foreign", "/bookings/{paid}", NEWCOMER),
    Stop("document", "data", "/api/billing/v1/documents/{invoice}", MEMBER),
    Stop("document", "data-cancelled", "/api/billing/v1/documents/{storno}", MEMBER),
    Stop("pay", "data", "/bookings/{held}/pay", MEMBER),
    Stop("pay", "data-again", "/bookings/{waiting}/pay", MEMBER),
    Stop("pay", "error", "/bookings/{held}/pay", MEMBER, acts.send(("#f-name", ""), ("#f-country", "Deutschland"))),
    Stop("pay", "error-over", "/bookings/{cancelled}/pay", MEMBER),
    Stop("payment", "data", "/bookings/{waiting}/payment", MEMBER),
    Stop("payment", "error", "/bookings/{cancelled}/payment", MEMBER),
    Stop("cancel", "data", "/bookings/{paid}/cancel", MEMBER),
    Stop("cancel", "error", "/bookings/{current}/cancel", MEMBER),
    Stop("move", "data", "/bookings/{paid}/move", MEMBER),
    Stop("move", "error", "/bookings/{current}/move", MEMBER),
    Stop("move", "error-price", "/bookings/{paid}/move", MEMBER, acts.to_a_dearer_room),
    Stop(
        "move",
        "error-twice",
        "/bookings/{paid}/move",
        MEMBER,
        acts.send(("#f-date", "2027-10-31"), ("#f-time", "02:30")),
    ),
    Stop("key", "data", "/key/{current}", MEMBER, acts.show_code),
    Stop("key", "data-login-over", "/key/{current}", MEMBER, acts.show_login_note),
    Stop("key", "empty", "/key/{cancelled}", MEMBER),
    Stop("key", "data-unpaid", "/key/{held}", MEMBER),
    Stop("operator", "data", "/operator", COUNTY),
    Stop("operator", "error-forbidden", "/operator", MEMBER),
    Stop("operator-day", "data", "/operator/bendorf?date={date}", OPERATOR),
    Stop("operator-day", "data-checked-in", "/operator/bendorf?date={today}&done={current}", OPERATOR),
    Stop("operator-day", "data-cancelled", "/operator/bendorf?date={date}&done={cancelled}", OPERATOR),
    Stop("operator-rooms", "data", "/operator/bendorf/rooms", OPERATOR),
    Stop("operator-rooms", "data-saved", "/operator/bendorf/rooms/{desk}", OPERATOR, acts.send()),
    Stop("operator-room", "data", "/operator/bendorf/rooms/{desk}", OPERATOR),
    Stop("operator-room", "error", "/operator/bendorf/rooms/{desk}", OPERATOR, acts.send(("#f-price", "viel"))),
    Stop("operator-room", "error-hours", "/operator/bendorf/rooms/{desk}", OPERATOR, acts.own_hours_without_any),
    Stop("operator-hours", "data", "/operator/bendorf/hours", OPERATOR),
    Stop("operator-hours", "data-saved", "/operator/bendorf/hours", OPERATOR, acts.send()),
    Stop("operator-hours", "error-more", "/operator/rieden/hours", COUNTY),
    Stop("operator-hours", "error", "/operator/bendorf/hours", OPERATOR, acts.send(("#f-opens_1", "25:00"))),
    Stop("operator-closures", "data", "/operator/bendorf/closures", OPERATOR),
    Stop("operator-closures", "data-saved", "/operator/bendorf/closures?saved={closure}", OPERATOR),
    Stop(
        "operator-closures",
        "data-lifted",
        "/operator/bendorf/closures?lifted=1&resource={desk}&start_date={date}"
        "&start_time=08:00&end_date={date}&end_time=18:00&reason=Putztag",
        OPERATOR,
    ),
    Stop(
        "operator-closures",
        "error-in-use",
        "/operator/bendorf/closures?day={today}",
        OPERATOR,
        acts.close_over_somebody,
    ),
    Stop("operator-closures", "error", "/operator/bendorf/closures", OPERATOR, acts.send()),
    Stop(
        "operator-closures", "error-bookings", "/operator/bendorf/closures?day={date}", OPERATOR, acts.close_everything
    ),
    Stop("operator-readers", "data", "/operator/bendorf/readers", OPERATOR),
    Stop("operator-readers", "error-reason", "/operator/bendorf/readers", OPERATOR, acts.send(("#f-reason", ""))),
    Stop("operator-cancel", "data", "/operator/bendorf/bookings/{paid}/cancel", OPERATOR),
    Stop("operator-cancel", "error", "/operator/bendorf/bookings/{cancelled}/cancel", OPERATOR),
    Stop("finance", "data", "/finance", COUNTY_TREASURY),
    Stop("finance-books", "data", "/finance/stadt-bendorf", TREASURY),
    Stop("finance-books", "data-file", "/finance/stadt-bendorf", TREASURY, acts.open_details),
    Stop("finance-export", "data", "/finance/stadt-bendorf/exports/{export}", TREASURY),
    Stop("finance-export", "error", f"/finance/stadt-bendorf/exports/{_UNKNOWN}", TREASURY),
    Stop("deliveries", "data", "/county/deliveries", COUNTY),
    Stop("impressum", "data", "/impressum"),
    Stop("datenschutz", "data", "/datenschutz"),
    Stop("barrierefreiheit", "data", "/barrierefreiheit"),
    Stop("leichte-sprache", "data", "/leichte-sprache"),
    Stop("lizenzen", "data", "/lizenzen"),
    Stop("problems", "data", "/problems"),
    Stop("problem", "data", "/problems/slot-taken"),
    Stop("problem", "error", "/problems/gibt-es-nicht"),
    Stop("api-docs", "data", "/api-docs"),
)
NO_BOOKING: Sequence[Stop] = (
    Stop("bookings", "error-keys", "/bookings", MEMBER),
    Stop("key", "error-names", "/key/{current}", MEMBER),
)
AWAY: Sequence[Stop] = (
    Stop("start", "error", "/"),
    Stop("hub", "error", "/hubs/bendorf"),
    Stop("find", "error", "/find"),
    Stop("book", "error", f"/book?resource={{desk}}&{_SLOT}"),
    Stop("bookings", "error", "/bookings", MEMBER),
    Stop("booking", "error", "/bookings/{paid}", MEMBER),
    Stop("key", "error", "/key/{paid}", MEMBER),
    Stop("operator", "error", "/operator", COUNTY),
    Stop("operator-day", "error", "/operator/bendorf", OPERATOR),
    Stop("operator-rooms", "error", "/operator/bendorf/rooms", OPERATOR),
    Stop("operator-readers", "error", "/operator/bendorf/readers", OPERATOR),
    Stop("finance-books", "error", "/finance/stadt-bendorf", TREASURY),
    Stop("deliveries", "error", "/county/deliveries", COUNTY),
)
ALL = (*NOTHING, *ONE_HUB, *LIFE, *NO_BOOKING, *AWAY)


def gaps() -> list[str]:
    """Page and state that no stop shows and no reason excuses."""
    shown = {(stop.page, stop.state.partition("-")[0]) for stop in ALL}
    wanted = {(name, state) for name in (*PAGES, *PAPERS) for state in STATES}
    return sorted(f"{name}: {state}" for name, state in wanted - shown - set(WITHOUT))
