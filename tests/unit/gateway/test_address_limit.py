"""Packets of requests per address, without a database."""

import asyncio
from datetime import UTC, datetime, timedelta

from regiohub_gateway.edge.limits import AddressLimiter, Limiter, Rule
from regiohub_shared.problem import TooManyRequests

NOW = datetime(2027, 3, 9, 9, 0, tzinfo=UTC)


class Counted(Limiter):
    """Counts packets in memory; answers as the database would after others had their turn."""

    def __init__(self) -> None:
        self.taken, self.is_away, self.at = 0, False, NOW

    def clock(self) -> datetime:
        return self.at

    async def take(self, rule: Rule, who: str) -> datetime:
        await asyncio.sleep(0)
        self.taken += 1
        if self.is_away:
            raise ConnectionRefusedError
        if self.taken > rule.count:
            raise rule.refusal(retry_after_s=7, limit=rule.count)
        return self.at


async def burst(addresses: AddressLimiter, count: int) -> list[BaseException | None]:
    return await asyncio.gather(*(addresses.check("192.0.2.1") for _ in range(count)), return_exceptions=True)


async def test_a_burst_takes_the_packets_that_it_needs_and_asks_once_more():
    counted = Counted()
    addresses = AddressLimiter(counted, 400, counted.clock)

    answers = await burst(addresses, 30)
    assert (answers, counted.taken) == ([None] * 30, 2)
    assert await burst(addresses, 10) == [None] * 10
    assert counted.taken == 2

    answers = await burst(addresses, 400)
    assert answers[:360] == [None] * 360
    assert {type(answer) for answer in answers[360:]} == {TooManyRequests}
    assert counted.taken == 21


async def test_what_is_left_of_a_packet_ends_with_its_minute():
    counted = Counted()
    addresses = AddressLimiter(counted, 400, counted.clock)
    await burst(addresses, 1)

    counted.at += timedelta(seconds=59)
    await burst(addresses, 1)
    assert counted.taken == 1
    counted.at += timedelta(seconds=1)
    await burst(addresses, 1)
    assert counted.taken == 2


async def test_without_the_database_one_waits_for_it_and_all_pass():
    counted = Counted()
    counted.is_away = True
    addresses = AddressLimiter(counted, 20, counted.clock)

    assert await burst(addresses, 100) == [None] * 100
    assert counted.taken == 1
    counted.is_away, counted.taken, counted.at = False, 0, counted.at + timedelta(seconds=1)
    assert [type(answer) for answer in await burst(addresses, 21)] == [type(None)] * 20 + [TooManyRequests]
