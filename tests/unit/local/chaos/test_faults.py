"""The plan of faults: the seed decides it, and nobody is forgotten."""

from collections import Counter

import pytest

from regiohub_local.chaos.faults import KINDS, LEASE_S, TARGETS, WEBHOOKS, plan
from regiohub_shared.events.relay import RelayRules


def _kills(faults):
    return Counter(fault.target for fault in faults if fault.act == "kill")


def test_a_seed_always_makes_the_same_plan_and_another_seed_another():
    assert plan(7, 60, 1) == plan(7, 60, 1)
    assert plan(7, 60, 1) != plan(8, 60, 1)


@pytest.mark.parametrize("seed", range(20))
def test_a_long_run_kills_every_program_as_often_as_told(seed):
    assert _kills(plan(seed, 900, 15)) == dict.fromkeys(TARGETS, 15)


@pytest.mark.parametrize("seed", range(20))
def test_a_short_run_kills_each_kind_and_throws_every_switch(seed):
    faults = plan(seed, 60, 1)
    killed = _kills(faults)

    assert all(any(killed[name] for name in names) for names in KINDS.values())
    assert {fault.how for fault in faults if fault.act == "webhooks"} == set(WEBHOOKS)
    assert {fault.how for fault in faults if fault.act == "facts"} == {"repeat", "delay"}


@pytest.mark.parametrize("seed", range(20))
def test_a_short_run_stops_workers_for_longer_than_their_claims_hold(seed):
    stops = [fault for fault in plan(seed, 60, 1) if fault.act == "stop"]

    assert {fault.target for fault in stops} <= set(KINDS["worker"])
    assert len(stops) >= 2
    assert min(fault.seconds for fault in stops) > LEASE_S == RelayRules().lease_s


def test_the_plan_is_in_order_and_within_its_time():
    moments = [fault.at for fault in plan(3, 60, 4)]

    assert moments == sorted(moments)
    assert 0 <= moments[0] <= moments[-1] < 60


def test_two_kills_of_one_program_lie_in_different_parts_of_the_run():
    parts = [int(fault.at // 60) for fault in plan(5, 900, 15) if fault.act == "kill" and fault.target == "keycloak"]

    assert parts == list(range(15))
