"""Reading the books as the API shows them: lists with cursors, and ``expand``."""

from typing import Any

from regiohub_local.stripe_sandbox import objects
from regiohub_local.stripe_sandbox.books import Books, read_session
from regiohub_local.stripe_sandbox.errors import StripeRefusal, missing, not_supported
from regiohub_local.stripe_sandbox.store import Json

# The kinds an id in these fields points at.
_LINKS = {
    "payment_intent": "payment_intent",
    "latest_charge": "charge",
    "charge": "charge",
    "balance_transaction": "balance_transaction",
    "failure_balance_transaction": "balance_transaction",
}
_FILTERS = {
    "checkout.session": ("customer", "payment_intent", "status"),
    "payment_intent": ("customer",),
    "refund": ("charge", "payment_intent"),
    "dispute": ("charge", "payment_intent"),
    "event": ("type",),
}
_PAGING = frozenset({"created", "ending_before", "expand", "limit", "starting_after"})
_COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def retrieve(books: Books, kind: str, object_id: str, params: Json) -> Json:
    """Return one object with the wanted parts expanded; raises 404."""
    found = read_session(books, object_id) if kind == "checkout.session" else books.get(kind, object_id)
    return shown(books, found, params)


def shown(books: Books, thing: Json, params: Json) -> Json:
    """Return the object as the API shows it, with ``params["expand"]`` applied."""
    answer = objects.public(thing)
    for path in params.get("expand", []):
        _expand(books, thing, answer, path, path)
    return answer


def _expand(books: Books, stored: Json, answer: Json, path: str, whole: str) -> None:
    name, _, rest = path.partition(".")
    if name == "line_items" and "_line_items" in stored and not rest:
        url = f"/v1/checkout/sessions/{stored['id']}/line_items"
        answer["line_items"] = {"object": "list", "data": stored["_line_items"], "has_more": False, "url": url}
        return
    if name not in _LINKS or name not in answer:
        message = f"This property cannot be expanded ({whole})."
        raise StripeRefusal(message, param="expand")
    if isinstance(answer[name], str):
        answer[name] = objects.public(books.get(_LINKS[name], answer[name]))
    if rest and answer[name] is not None:
        _expand(books, answer[name], answer[name], rest, whole)


def list_objects(books: Books, kind: str, params: Json, url: str) -> Json:
    """Return a page of objects, newest first, as ``{"object": "list", "data", "has_more", "url"}``."""
    limit = params.get("limit", 10)
    if not 1 <= limit <= 100:
        raise StripeRefusal("Limit must be between 1 and 100", code="parameter_invalid_integer", param="limit")
    where, values = _where(kind, params)
    backwards = "ending_before" in params
    cursor, cursor_values = _cursor(books, params)
    order = "ASC" if backwards else "DESC"
    page = books.rows.select(kind, where + cursor, values + cursor_values, order, limit + 1)
    more, page = len(page) > limit, page[:limit]
    if backwards:
        page.reverse()
    inner = {"expand": [_inside_list(path) for path in params.get("expand", [])]}
    if kind == "checkout.session":
        page = [read_session(books, thing["id"]) for thing in page]
    return {
        "object": "list",
        "data": [shown(books, thing, inner) for thing in page],
        "has_more": more,
        "url": url,
    }


def _inside_list(path: str) -> str:
    if not path.startswith("data."):
        raise StripeRefusal(f"This property cannot be expanded ({path}).", param="expand")
    return path.removeprefix("data.")


def _where(kind: str, params: Json) -> tuple[str, list[Any]]:
    parts: list[str] = []
    values: list[Any] = []
    created = params.get("created", {})
    for name, operator in _COMPARISONS.items():
        if isinstance(created, dict) and name in created:
            parts.append(f"AND created {operator} ?")
            values.append(created[name])
    if isinstance(created, int):
        parts.append("AND created = ?")
        values.append(created)
    for name in params.keys() - _PAGING:
        part, more = _filter(kind, name, params[name])
        parts.append(part)
        values += more
    return " ".join(parts) + " ", values


def _filter(kind: str, name: str, value: Any) -> tuple[str, list[Any]]:
    if kind == "event" and name == "types":
        return f"AND json_extract(body, '$.type') IN ({', '.join('?' * len(value))})", list(value)
    if kind == "event" and name == "type":
        return "AND json_extract(body, '$.type') GLOB ?", [value]
    if name not in _FILTERS[kind]:
        raise not_supported(name)
    return f"AND json_extract(body, '$.{name}') = ?", [value]


def _cursor(books: Books, params: Json) -> tuple[str, list[Any]]:
    for name, operator in (("starting_after", "<"), ("ending_before", ">")):
        if name in params:
            seq = books.rows.seq(params[name])
            if seq is None:
                raise missing("object", params[name], name)
            return f"AND seq {operator} ?", [seq]
    return "", []
