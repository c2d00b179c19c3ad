"""What must hold at rest, each a pure function over the members' log and the state: it answers what is wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from itertools import combinations
from typing import TypeVar

from regiohub_local.chaos.oracle import Oracle
from regiohub_local.chaos.state import Document, Entry, Money, Payment, Place, Refund, Returned, State

_T = TypeVar("_T")
_LIVE = {"confirmed", "checked_in", "completed"}
Check = Callable[[Oracle, State], Iterator[str]]


def _by(rows: Iterable[_T], key: Callable[[_T], Hashable]) -> Mapping[Hashable, list[_T]]:
    found: defaultdict[Hashable, list[_T]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return found


def everybody_was_answered(oracle: Oracle, _state: State) -> Iterator[str]:
    """Whoever kept asking got an answer, and a door that had to open did."""
    yield from oracle.unanswered


def nothing_broke(oracle: Oracle, _state: State) -> Iterator[str]:
    """Whatever dies, a member hears 503 and asks again; 500 is a case that nobody thought of."""
    for answer, count in oracle.answers.items():
        if answer.startswith("500"):
            yield f"{count} times: {answer}"


def acknowledged_once(oracle: Oracle, state: State) -> Iterator[str]:
    """Every acknowledged booking exists once, as it was acknowledged; there is no other."""
    rows = _by(state.bookings, lambda row: row.id)
    lines = _by(state.lines, lambda row: row.booking_id)
    for known in oracle.bookings.values():
        found = [(line.resource_id, line.start, line.end) for line in lines.get(known.id, ())]
        if len(rows.get(known.id, ())) != 1 or found != [(known.resource_id, known.start, known.end)]:
            yield f"booking {known.id} was acknowledged and is there {len(rows.get(known.id, ()))} times with {found}"
    for booking_id in rows.keys() - oracle.bookings.keys():
        yield f"booking {booking_id} was never acknowledged to anybody"


def refused_left_nothing(oracle: Oracle, state: State) -> Iterator[str]:
    """A refused booking left no answer to be repeated; that it left no booking, `acknowledged_once` sees."""
    for key in set(oracle.refused) & state.keys:
        yield f"the refused booking of key {key} left an answer"


def cancelled_as_told(oracle: Oracle, state: State) -> Iterator[str]:
    """What was cancelled is, and nothing else; what was paid in time is confirmed; what was opened is checked in."""
    for row in state.bookings:
        known = oracle.bookings.get(row.id)
        if known is None:
            continue
        if known.is_cancelled != (row.status == "cancelled"):
            yield f"booking {row.id} is {row.status}, its member was told cancelled={known.is_cancelled}"
        if known.is_paid and not known.is_cancelled and row.status not in _LIVE:
            yield f"booking {row.id} was paid and is {row.status}"
        if known.at_door and row.checked_in_at is None:
            yield f"booking {row.id}: the door opened and nobody is checked in"


def no_overlap(_oracle: Oracle, state: State) -> Iterator[str]:
    """No two live bookings meet on a leaf; buffers may only meet buffers."""
    for leaf, places in _by(state.places, lambda row: row.leaf).items():
        for one, other in combinations(sorted(places, key=lambda row: (row.start, row.booking_id)), 2):
            if one.booking_id != other.booking_id and _meet(one, other):
                yield f"bookings {one.booking_id} and {other.booking_id} are both in {leaf} at {other.start}"


def _meet(one: Place, other: Place) -> bool:
    first = one.start < other.padded_end and other.padded_start < one.end
    return first or (other.start < one.padded_end and one.padded_start < other.end)


def occupied_as_booked(_oracle: Oracle, state: State) -> Iterator[str]:
    """The rows that guard the slots are exactly those of the live bookings."""
    booked = {(row.booking_id, row.leaf, row.start, row.end) for row in state.places}
    for row in booked - state.occupied:
        yield f"booking {row[0]} does not hold {row[1]}"
    for row in state.occupied - booked:
        yield f"booking {row[0]} holds {row[1]} and is over"


def charged_once(_oracle: Oracle, state: State) -> Iterator[str]:
    """Every booking has one charge of its price; a confirmed priced one one payment and one invoice, a free one none."""
    charges = _by(state.charges, lambda row: row.booking_id)
    payments = _by(state.payments, lambda row: row.booking_id)
    documents = _by(state.documents, lambda row: row.booking_id)
    for row in state.bookings:
        costs = [charge.gross_cents for charge in charges.get(row.id, ())]
        if costs != [row.gross_cents]:
            yield f"booking {row.id} costs {row.gross_cents} and is charged {costs}"
        paid = [payment.paid_cents for payment in payments.get(row.id, ()) if payment.paid_cents]
        invoices = [paper.gross_cents for paper in documents.get(row.id, ()) if paper.kind == "invoice"]
        wanted = [row.gross_cents] if row.confirmed_at and row.gross_cents else []
        if invoices != wanted or (wanted and paid != wanted) or (not row.gross_cents and paid):
            yield f"booking {row.id} ({row.status}, {row.gross_cents} ct): paid {paid}, invoiced {invoices}"


def refunded_once(_oracle: Oracle, state: State) -> Iterator[str]:
    """A cancelled paid booking has one Storno (if there was an invoice) and one refund of all; any other has none."""
    status = {row.id: row.status for row in state.bookings}
    papers = _by(state.documents, lambda row: row.payment_id)
    refunds = _by(state.refunds, lambda row: row.payment_id)
    for payment in state.payments:
        is_back = status.get(payment.booking_id) == "cancelled" and payment.paid_cents > 0
        yield from _refund_of(payment, papers.get(payment.id, []), refunds.get(payment.id, []), is_back=is_back)


def _refund_of(payment: Payment, papers: list[Document], refunds: list[Refund], *, is_back: bool) -> Iterator[str]:
    kinds = Counter(paper.kind for paper in papers)
    stornos = kinds["invoice"] if is_back else 0
    sent = [(refund.amount_cents, refund.status) for refund in refunds]
    wanted = [(payment.paid_cents, "succeeded")] if is_back else []
    if (
        kinds["cancellation"] != stornos
        or sent != wanted
        or payment.refunded_cents != sum(cents for cents, _ in wanted)
    ):
        yield f"payment {payment.id} (goes back: {is_back}): {dict(kinds)}, refunds {sent}, of {payment.paid_cents} ct"


def granted_once(_oracle: Oracle, state: State) -> Iterator[str]:
    """Every confirmed booking has one active grant, a cancelled one that was confirmed a revoked one."""
    grants = _by(state.grants, lambda row: row.booking_id)
    for row in state.bookings:
        found = [grant.status for grant in grants.get(row.id, ())]
        wanted = [["active"]] if row.status in _LIVE else [["revoked"]] if row.confirmed_at else [[], ["revoked"]]
        if found not in wanted:
            yield f"booking {row.id} is {row.status} and its grants are {found}"


def journal_balances(_oracle: Oracle, state: State) -> Iterator[str]:
    """Every entry balances, and there is one of each kind per payment."""
    for entry in state.entries:
        if entry.debit_cents != entry.credit_cents or not entry.debit_cents:
            yield f"entry {entry.id} has {entry.debit_cents} on one side and {entry.credit_cents} on the other"
    for (payment_id, kind), count in Counter((entry.payment_id, entry.kind) for entry in state.entries).items():
        if count != 1:
            yield f"payment {payment_id} has {count} entries of kind {kind}"


def books_agree(_oracle: Oracle, state: State) -> Iterator[str]:
    """The clearing account is the provider's books to the cent, in all and payment by payment; nobody has to look at it."""
    ours, theirs = _clearing(state.entries), _provider(state.money, state.returned)
    for payment_id in ours.keys() | theirs.keys():
        if ours[payment_id] != theirs[payment_id]:
            yield f"payment {payment_id}: the journal says {ours[payment_id]}, the provider {theirs[payment_id]}"
    yield from (f"people must look at {case}" for case in state.cases)


def _clearing(entries: Iterable[Entry]) -> Counter[str]:
    found: Counter[str] = Counter()
    for entry in entries:
        found[entry.payment_id] += entry.clearing_cents
    return found


def _provider(money: Iterable[Money], returned: Iterable[Returned]) -> Counter[str]:
    found: Counter[str] = Counter()
    for paid in money:
        found[paid.payment_id] += paid.cents
    for back in returned:
        found[back.payment_id] -= back.cents
    return found


def paid_at_provider(oracle: Oracle, state: State) -> Iterator[str]:
    """Who paid on the provider's page did so once, and no two payments of one booking are kept."""
    booking_of = {row.id: row.booking_id for row in state.payments}
    took = Counter(booking_of.get(paid.payment_id, "unknown") for paid in state.money)
    for known in oracle.bookings.values():
        if known.is_paid and took[known.id] != 1:
            yield f"booking {known.id} was paid once and the provider has {took[known.id]} payments"
    for booking_id, count in took.items():
        if count > 1 or booking_id == "unknown":
            yield f"the provider took {count} payments for booking {booking_id}"


def door_events_complete(oracle: Oracle, state: State) -> Iterator[str]:
    """Each reader's chain is in access without a gap, to its newest event, and holds every decision that was shown."""
    chains = _by(state.door_events, lambda row: row.hub)
    for reader in state.readers:
        numbers = sorted(event.sequence for event in chains.get(reader.hub, ()))
        if numbers != list(range(1, reader.newest + 1)) or reader.pending:
            yield f"{reader.hub}: the reader wrote {reader.newest} events, {reader.pending} wait, access has {len(numbers)}"
    stored = Counter((event.hub, event.door, event.at, event.decision) for event in state.door_events)
    for said in oracle.decisions:
        if not stored[said.hub, said.door, said.at, said.decision]:
            yield f"{said.hub}: door {said.door} {said.decision} somebody at {said.at} and access does not know"


def facts_applied_once(_oracle: Oracle, state: State) -> Iterator[str]:
    """Every fact arrived, and its receiver remembers it."""
    for fact in state.facts:
        if fact.is_dead or fact.received != 1:
            yield f"fact {fact.id} from {fact.source} to {fact.subscriber}: dead={fact.is_dead}, received {fact.received}"


def outcomes_are_of_the_last_claim(_oracle: Oracle, state: State) -> Iterator[str]:
    """Whoever lost its claim while it stood still wrote nothing over the outcome of the one that took it over."""
    for fact in state.facts:
        if fact.error:
            yield f"fact {fact.id} from {fact.source} to {fact.subscriber} was delivered, and tells {fact.error!r}"


CHECKS: tuple[Check, ...] = (
    everybody_was_answered, nothing_broke, acknowledged_once, refused_left_nothing, cancelled_as_told, no_overlap, occupied_as_booked,
    charged_once, refunded_once, granted_once, journal_balances, books_agree, paid_at_provider, door_events_complete,
    facts_applied_once, outcomes_are_of_the_last_claim,
)  # fmt: skip


def violations(oracle: Oracle, state: State) -> list[str]:
    """Everything that does not hold, each with the name of its check."""
    return [f"{check.__name__}: {wrong}" for check in CHECKS for wrong in check(oracle, state)]
