"""Rules that two members state, since none may import the other: they must say the same."""

from datetime import UTC, datetime, timedelta

import pytest

from regiohub_billing.usecases import payments
from regiohub_booking.domain import price, rules
from regiohub_booking.domain.slot import Slot
from regiohub_gateway.web.pages.operator import may_check_in

START = datetime(2027, 3, 9, 9, tzinfo=UTC)
END = START + timedelta(hours=2)
TICK = timedelta(seconds=1)


@pytest.mark.parametrize(
    "at", [edge + off for edge in (START - rules.CHECK_IN_MARGIN, END) for off in (-TICK, timedelta(), TICK)]
)
def test_the_day_list_offers_checking_in_exactly_when_booking_takes_it(at):
    shown = {"status": "confirmed", "starts_at": START.isoformat(), "ends_at": END.isoformat()}
    assert may_check_in(shown, at) is rules.is_there(Slot(START, END), at)


def test_booking_refuses_what_billing_cannot_charge():
    assert price.MIN_CHARGE_CENTS == payments._MIN_CENTS
