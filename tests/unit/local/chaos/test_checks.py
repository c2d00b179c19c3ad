"""Each check accepts a house in order and names one that is not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from regiohub_local.chaos import checks, state
from regiohub_local.chaos.oracle import Acknowledged, Decision, Oracle

START = datetime(2027, 3, 9, 9, tzinfo=UTC)
END = START + timedelta(hours=1)
AT = "2027-03-09T09:00:00.000Z"


@pytest.fixture
def oracle(tmp_path):
    """One paid booking (b1) with its door opened, one paid and cancelled (b2), one free (b3), one refusal."""
    log = Oracle(tmp_path / "log")
    for number, cents in ((1, 200), (2, 300), (3, 0)):
        log.book(Acknowledged(f"b{number}", f"k{number}", f"r{number}", START, END, cents))
    log.note("b1", is_paid=True)
    log.note("b1", at_door=True)
    log.note("b2", is_paid=True)
    log.note("b2", is_cancelled=True)
    log.refuse("k4", "slot-taken")
    log.decide(Decision("polch", 1, AT, "allowed"))
    return log


def _place(number, start=START, end=END):
    return state.Place(f"b{number}", f"r{number}", start, end, start, end)


GOOD = state.State(
    bookings=(
        state.Booking("b1", "checked_in", 200, START, START),
        state.Booking("b2", "cancelled", 300, START, None),
        state.Booking("b3", "confirmed", 0, START, None),
    ),
    lines=tuple(state.Line(f"b{number}", f"r{number}", START, END) for number in (1, 2, 3)),
    places=(_place(1), _place(3)),
    occupied=frozenset({("b1", "r1", START, END), ("b3", "r3", START, END)}),
    keys=frozenset({"k1", "k2", "k3"}),
    charges=(state.Charge("b1", 200), state.Charge("b2", 300), state.Charge("b3", 0)),
    payments=(state.Payment("p1", "b1", "succeeded", 200, 0), state.Payment("p2", "b2", "succeeded", 300, 300)),
    documents=(
        state.Document("b1", "p1", "invoice", 200),
        state.Document("b2", "p2", "invoice", 300),
        state.Document("b2", "p2", "cancellation", 300),
    ),
    refunds=(state.Refund("p2", 300, "succeeded"),),
    entries=(
        state.Entry("e1", "payment", "p1", 200, 200, 200),
        state.Entry("e2", "payment", "p2", 300, 300, 300),
        state.Entry("e3", "refund", "p2", 300, 300, -300),
    ),
    grants=(state.Grant("b1", "active"), state.Grant("b2", "revoked"), state.Grant("b3", "active")),
    door_events=(state.DoorEvent("polch", "c", 1, 1, AT, "allowed"),),
    readers=(state.Reader("polch", 1, 0),),
    money=(state.Money("p1", 200), state.Money("p2", 300)),
    returned=(state.Returned("p2", 300),),
    facts=(state.Fact("f1", "booking", "access", is_dead=False, received=1),),
)


def test_a_house_in_order_breaks_nothing(oracle):
    assert checks.violations(oracle, GOOD) == []


_TWICE = (*GOOD.bookings, GOOD.bookings[0])
BROKEN = {
    "a booking is lost": ("acknowledged_once", {"bookings": GOOD.bookings[1:]}),
    "a booking is there twice": ("acknowledged_once", {"bookings": _TWICE}),
    "a booking that nobody made": (
        "acknowledged_once",
        {"bookings": (*GOOD.bookings, state.Booking("b9", "held", 0, None, None))},
    ),
    "another slot than acknowledged": (
        "acknowledged_once",
        {"lines": (replace(GOOD.lines[0], end=START), *GOOD.lines[1:])},
    ),
    "a refusal left an answer": ("refused_left_nothing", {"keys": frozenset({"k4"})}),
    "a cancellation was forgotten": (
        "cancelled_as_told",
        {"bookings": (GOOD.bookings[0], replace(GOOD.bookings[1], status="confirmed"), GOOD.bookings[2])},
    ),
    "paid and only held": (
        "cancelled_as_told",
        {"bookings": (replace(GOOD.bookings[0], status="held"), *GOOD.bookings[1:])},
    ),
    "opened and not checked in": (
        "cancelled_as_told",
        {"bookings": (replace(GOOD.bookings[0], checked_in_at=None), *GOOD.bookings[1:])},
    ),
    "two in one place": ("no_overlap", {"places": (_place(1), replace(_place(3), leaf="r1"))}),
    "one in another's buffer": (
        "no_overlap",
        {
            "places": (
                replace(_place(1), padded_end=END + timedelta(minutes=15)),
                replace(_place(3, END, END + timedelta(hours=1)), leaf="r1"),
            )
        },
    ),
    "a live booking holds nothing": ("occupied_as_booked", {"occupied": frozenset()}),
    "an ended booking still holds": ("occupied_as_booked", {"occupied": GOOD.occupied | {("b2", "r2", START, END)}}),
    "no charge": ("charged_once", {"charges": GOOD.charges[1:]}),
    "two invoices": ("charged_once", {"documents": (*GOOD.documents, GOOD.documents[0])}),
    "no invoice": ("charged_once", {"documents": GOOD.documents[1:]}),
    "paid twice": ("charged_once", {"payments": (*GOOD.payments, state.Payment("p9", "b1", "succeeded", 200, 0))}),
    "a free one was paid": (
        "charged_once",
        {"payments": (*GOOD.payments, state.Payment("p9", "b3", "succeeded", 1, 0))},
    ),
    "no refund": ("refunded_once", {"refunds": ()}),
    "two refunds": ("refunded_once", {"refunds": GOOD.refunds * 2}),
    "no Storno": ("refunded_once", {"documents": GOOD.documents[:2]}),
    "a refund of a live booking": ("refunded_once", {"refunds": (*GOOD.refunds, state.Refund("p1", 200, "succeeded"))}),
    "no grant": ("granted_once", {"grants": GOOD.grants[1:]}),
    "an open grant of a cancelled booking": (
        "granted_once",
        {"grants": (*GOOD.grants[::2], state.Grant("b2", "active"))},
    ),
    "an unbalanced entry": (
        "journal_balances",
        {"entries": (replace(GOOD.entries[0], debit_cents=1), *GOOD.entries[1:])},
    ),
    "an entry twice": ("journal_balances", {"entries": (*GOOD.entries, GOOD.entries[0])}),
    "the provider gave nothing back": ("books_agree", {"returned": ()}),
    "a case for people": ("books_agree", {"cases": ("refund_failed",)}),
    "money that came twice": ("paid_at_provider", {"money": (*GOOD.money, GOOD.money[0])}),
    "money of nobody": ("paid_at_provider", {"money": (*GOOD.money, state.Money("", 5))}),
    "a door event is missing": ("door_events_complete", {"door_events": ()}),
    "a gap in the chain": ("door_events_complete", {"readers": (state.Reader("polch", 2, 0),)}),
    "events that wait": ("door_events_complete", {"readers": (state.Reader("polch", 1, 1),)}),
    "a dead letter": ("facts_applied_once", {"facts": (replace(GOOD.facts[0], is_dead=True),)}),
    "an outcome written over another's": (
        "outcomes_are_of_the_last_claim",
        {"facts": (replace(GOOD.facts[0], error="TimeoutError"),)},
    ),
    "a fact that its receiver forgot": ("facts_applied_once", {"facts": (replace(GOOD.facts[0], received=0),)}),
}


@pytest.mark.parametrize(("check", "changes"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_promise_is_named(oracle, check, changes):
    found = checks.violations(oracle, replace(GOOD, **changes))

    assert check in {wrong.partition(":")[0] for wrong in found}


def test_a_decision_at_the_door_that_access_never_heard_of_is_named(oracle):
    oracle.decide(Decision("polch", 1, "2027-03-09T09:00:01.000Z", "denied"))

    assert [wrong.partition(":")[0] for wrong in checks.violations(oracle, GOOD)] == ["door_events_complete"]


def test_who_got_no_answer_is_named(oracle):
    oracle.miss("login")

    assert checks.violations(oracle, GOOD) == ["everybody_was_answered: login"]


def test_a_server_error_is_a_case_of_its_own(oracle):
    oracle.answers["500 POST booking"] += 2
    oracle.answers["503"] += 9

    assert checks.violations(oracle, GOOD) == ["nothing_broke: 2 times: 500 POST booking"]
