"""What the sandbox does: sessions, payments, refunds and the events they cause, each inside one transaction."""

import random
from dataclasses import dataclass, field
from typing import Any

from regiohub_local.stripe_sandbox import objects, rules, switches
from regiohub_local.stripe_sandbox.errors import StripeRefusal, missing
from regiohub_local.stripe_sandbox.store import Json, Rows
from regiohub_shared.clock import real_now

# How long after a payment its balance transaction appears, in seconds.
_BALANCE_DELAY_S = 0.5
# Within how many seconds a shuffled event is sent.
_SHUFFLE_S = 5.0


def epoch() -> float:
    """Return the provider's time in seconds; it is real time, also when business time is shifted."""
    return real_now().timestamp()


@dataclass(frozen=True, slots=True)
class Books:
    """The books in one transaction, with what every action needs to know about its request."""

    rows: Rows
    origin: str
    sends_webhooks: bool
    request: Json = field(default_factory=lambda: {"id": None, "idempotency_key": None})
    now: float = field(default_factory=epoch)

    @property
    def second(self) -> int:
        """The time as Stripe writes it."""
        return int(self.now)

    def get(self, kind: str, object_id: str, param: str = "id") -> Json:
        """Return the object; raises 404 ``resource_missing``."""
        thing = self.rows.find(kind, object_id)
        if thing is None:
            raise missing(kind, object_id, param)
        return thing

    def emit(self, type_: str, thing: Json, previous: Json | None = None) -> None:
        """Write an event and, when there is an address, its deliveries according to the switches."""
        mode = switches.read(self.rows)
        copies = {"drop": 0, "duplicate": 2}.get(mode.webhooks, 1) if self.sends_webhooks else 0
        entry = objects.event(
            type_, thing, previous=previous or {}, request=self.request, hooks=min(copies, 1), now=self.second
        )
        self.rows.add(entry)
        for _ in range(copies):
            pause = random.uniform(0, _SHUFFLE_S) if mode.webhooks == "shuffle" else 0  # noqa: S311 - no secret
            self.deliver(entry["id"], delay_s=mode.webhook_delay_s + pause)

    def deliver(self, event_id: str, *, delay_s: float = 0, state: str = "waiting") -> None:
        """Put one delivery of an event on the list; state ``urgent`` ignores the switch ``hold``."""
        self.rows.sql.execute(
            "INSERT INTO delivery (event_id, due, state) VALUES (?, ?, ?)", (event_id, self.now + delay_s, state)
        )

    def later(self, delay_s: float, name: str, object_id: str, argument: str = "") -> None:
        """Remember to do something when ``delay_s`` seconds have passed; survives a kill."""
        self.rows.sql.execute(
            "INSERT INTO job (due, name, object_id, argument) VALUES (?, ?, ?, ?)",
            (self.now + delay_s, name, object_id, argument),
        )


def create_session(books: Books, params: Json) -> Json:
    """Open a Checkout session (``mode=payment`` with prices given in the lines)."""
    currency = rules.check_session(params, books.second)
    items = [objects.line_item(item, currency) for item in params["line_items"]]
    rules.check_total(sum(item["amount_total"] for item in items), currency)
    opened = objects.session(params, items=items, currency=currency, now=books.second, origin=books.origin)
    books.later(opened["expires_at"] - books.now, "expire", opened["id"])
    return books.rows.add(opened)


def read_session(books: Books, session_id: str) -> Json:
    """Return a session, expired first when its time is over."""
    found = books.get("checkout.session", session_id, "session")
    if found["status"] == "open" and found["expires_at"] <= books.now:
        return _expire(books, found)
    return found


def expire_session(books: Books, session_id: str) -> Json:
    """Expire an open session at once; raises 400 for one that is complete or expired."""
    found = read_session(books, session_id)
    if found["status"] != "open":
        raise StripeRefusal(
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of '
            f"`{found['status']}`.",
            param="session",
        )
    return _expire(books, found)


def _expire(books: Books, found: Json) -> Json:
    if found["payment_intent"]:
        intent = books.get("payment_intent", found["payment_intent"])
        intent |= {"status": "canceled", "canceled_at": books.second, "cancellation_reason": "automatic"}
        books.emit("payment_intent.canceled", books.rows.put(intent))
    books.rows.put(found | {"status": "expired", "url": None})
    expired = books.get("checkout.session", found["id"])
    books.emit("checkout.session.expired", expired)
    return expired


def _attempt(books: Books, found: Json) -> Json:
    """Return the session's payment intent, made at the first attempt."""
    if found["payment_intent"]:
        return books.get("payment_intent", found["payment_intent"])
    intent = books.rows.add(objects.payment_intent(found, now=books.second))
    books.rows.put(found | {"payment_intent": intent["id"]})
    books.emit("payment_intent.created", intent)
    return intent


def pay(books: Books, session_id: str) -> Json:
    """The member pays on the hosted page; paying again changes nothing. Returns the session as it is afterwards."""
    found = read_session(books, session_id)
    if found["status"] != "open":
        return found
    intent = _attempt(books, found)
    paid = books.rows.add(objects.charge(intent, succeeded=True, now=books.second))
    intent |= {"status": "succeeded", "amount_received": intent["amount"], "latest_charge": paid["id"]}
    intent |= {"last_payment_error": None, "payment_method": paid["payment_method"]}
    complete = found | {"status": "complete", "payment_status": "paid", "payment_intent": intent["id"], "url": None}
    books.rows.put(intent)
    books.rows.put(complete)
    books.emit("charge.succeeded", paid)
    books.emit("payment_intent.succeeded", intent)
    books.emit("checkout.session.completed", complete)
    books.later(_BALANCE_DELAY_S, "balance", paid["id"])
    return complete


def decline(books: Books, session_id: str) -> Json:
    """The member's card is declined on the hosted page; the session stays open for another try."""
    found = read_session(books, session_id)
    if found["status"] != "open":
        return found
    intent = _attempt(books, found)
    failed = books.rows.add(objects.charge(intent, succeeded=False, now=books.second))
    intent |= {"last_payment_error": objects.decline(failed), "latest_charge": failed["id"]}
    books.rows.put(intent)
    books.emit("charge.failed", failed)
    books.emit("payment_intent.payment_failed", intent)
    return found | {"payment_intent": intent["id"]}


def settle_charge(books: Books, charge_id: str) -> None:
    """Book a charge into the balance: its fee is known from here on."""
    found = books.get("charge", charge_id)
    if found["balance_transaction"]:
        return
    entry = objects.balance_transaction(found, amount=found["amount"], kind="charge", now=books.second)
    books.rows.add(entry)
    books.emit(
        "charge.updated",
        books.rows.put(found | {"balance_transaction": entry["id"]}),
        {"balance_transaction": None},
    )


def create_refund(books: Books, params: Json) -> Json:
    """Refund a paid charge, wholly or in part; never more than is left of it."""
    rules.check_refund(params)
    of = _charge_of(books, params)
    amount = rules.refundable(of, params.get("amount"))
    mode = switches.read(books.rows)
    status = "pending" if mode.refund == "pending" else "succeeded"
    created = books.rows.add(objects.refund(params, of, amount=amount, status=status, now=books.second))
    _move(books, of, amount)
    if status == "succeeded":
        created = _book_refund(books, created, -amount)
    books.emit("refund.created", created)
    if mode.refund != "succeeded":
        books.later(mode.refund_delay_s, "refund", created["id"], "succeeded" if status == "pending" else "failed")
    return created


def _charge_of(books: Books, params: Json) -> Json:
    if "charge" in params:
        return books.get("charge", params["charge"], "charge")
    intent = books.get("payment_intent", params["payment_intent"], "payment_intent")
    if intent["status"] != "succeeded":
        raise StripeRefusal(
            f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.",
            code="payment_intent_unexpected_state",
            param="payment_intent",
        )
    return books.get("charge", intent["latest_charge"])


def _move(books: Books, of: Json, amount: int) -> None:
    """Count ``amount`` cents as refunded on the charge; negative when a refund failed."""
    before = {"amount_refunded": of["amount_refunded"], "refunded": of["refunded"]}
    refunded = of["amount_refunded"] + amount
    changed = of | {"amount_refunded": refunded, "refunded": refunded == of["amount_captured"]}
    books.emit("charge.refunded" if amount > 0 else "charge.updated", books.rows.put(changed), before)


def _book_refund(books: Books, of: Json, amount: int) -> Json:
    kind = "refund" if amount < 0 else "refund_failure"
    entry = books.rows.add(objects.balance_transaction(of, amount=amount, kind=kind, now=books.second))
    name = "balance_transaction" if amount < 0 else "failure_balance_transaction"
    return books.rows.put(of | {name: entry["id"]})


def settle_refund(books: Books, refund_id: str, status: str) -> Json:
    """Let a refund succeed or fail later; a failed one is final and its money is back on the account."""
    found = books.get("refund", refund_id, "refund")
    if found["status"] in (status, "failed"):
        return found
    before: Json = {"status": found["status"]}
    changed: Json = {key: value for key, value in found.items() if key != "pending_reason"} | {"status": status}
    if status == "succeeded":
        changed = _book_refund(books, changed, -found["amount"])
    else:
        changed |= {"failure_reason": "unknown"}
        if found["balance_transaction"]:
            changed = _book_refund(books, changed, found["amount"])
        _move(books, books.get("charge", found["charge"]), -found["amount"])
    books.rows.put(changed)
    books.emit("refund.updated", changed, before)
    if status == "failed":
        books.emit("refund.failed", changed, before)
    return changed


def open_dispute(books: Books, payment_intent: str) -> Json:
    """The payer's bank takes a payment back; what that does to the balance is left out."""
    of = _charge_of(books, {"payment_intent": payment_intent})
    opened = books.rows.add(objects.dispute(of, now=books.second))
    books.rows.put(of | {"disputed": True})
    books.emit("charge.dispute.created", opened)
    return opened


def close_dispute(books: Books, dispute_id: str, status: str) -> Json:
    """Let the bank decide for the seller (``won``) or the payer (``lost``)."""
    found = books.get("dispute", dispute_id, "dispute")
    closed = books.rows.put(found | {"status": status})
    books.emit("charge.dispute.closed", closed, {"status": found["status"]})
    return closed


def run_due_jobs(books: Books) -> int:
    """Do what has come due and return how many jobs that was."""
    due: list[tuple[int, str, str, str]] = books.rows.sql.execute(
        "SELECT id, name, object_id, argument FROM job WHERE due <= ? ORDER BY due LIMIT 50", (books.now,)
    ).fetchall()
    for job_id, name, object_id, argument in due:
        actions: dict[str, Any] = {
            "expire": lambda ref=object_id: read_session(books, ref),
            "balance": lambda ref=object_id: settle_charge(books, ref),
            "refund": lambda ref=object_id, to=argument: settle_refund(books, ref, to),
        }
        actions[name]()
        books.rows.sql.execute("DELETE FROM job WHERE id = ?", (job_id,))
    return len(due)
