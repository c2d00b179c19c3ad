"""The one question to a neighbour: a booking whose fact has not arrived, read by access's and billing's own clients."""

import httpx
import pytest

from regiohub_billing.api.deps import BookingClient, BookingUnavailable
from regiohub_shared.contracts.booking import BookingChanged
from regiohub_shared.ids import new_id
from tests.contract.stories import read_fact, snapshot
from tests.service.booking.world import FREE
from tests.support.pg import Cluster
from tests.support.world_street import Street, client_of, running_access, running_billing, transport_to


class Gone(httpx.AsyncBaseTransport):
    """A service whose port refuses."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)


@pytest.fixture
def silent(town: Street) -> Street:
    """No fact of booking arrives."""
    for line in ("booking>access", "booking>billing"):
        town.posts[line].keeps = True
    return town


async def test_the_answer_is_the_fact_itself(silent: Street):
    booking = await silent.hold()
    await silent.deliver()
    (letter,) = silent.letters("booking>access", booking)

    assert await snapshot(silent, booking) == read_fact(BookingChanged, letter, "/booking")


async def test_access_reads_a_confirmed_booking_and_the_fact_changes_nothing_afterwards(silent: Street):
    booking = await silent.hold(FREE)
    params, headers = {"booking_id": booking["id"]}, silent.by[booking["id"]]
    (grant,) = (await silent.access.client.get("/v1/grants", params=params, headers=headers)).json()["items"]
    assert (grant["status"], len(grant["pin"])) == ("active", 6)
    assert [door["number"] for door in grant["doors"]] == [1]

    await silent.deliver()
    (letter,) = silent.letters("booking>access", booking)
    assert await silent.posts["booking>access"].hand_over(letter)
    (again,) = (await silent.access.client.get("/v1/grants", params=params, headers=headers)).json()["items"]
    assert again == grant


async def test_access_shows_nobody_another_members_booking(silent: Street):
    booking, other = await silent.hold(FREE), await silent.hold()
    answer = await silent.access.client.get(
        "/v1/grants", params={"booking_id": booking["id"]}, headers=silent.by[other["id"]]
    )
    assert answer.json()["items"] == []


async def test_billing_reads_a_held_booking_and_the_fact_changes_nothing_afterwards(silent: Street):
    booking = await silent.hold()
    payment = await silent.open_payment(booking)
    assert payment["amount_cents"] == booking["gross_cents"] == 400

    charge = "SELECT * FROM charge WHERE booking_id = $1"
    before = await silent.billing.rows(charge, booking["id"])
    await silent.deliver()
    (letter,) = silent.letters("booking>billing", booking)
    assert await silent.posts["booking>billing"].hand_over(letter)
    assert await silent.billing.rows(charge, booking["id"]) == before


async def test_what_booking_does_not_have_is_not_there(silent: Street):
    unknown = new_id()
    async with client_of("regiohub-billing", transport_to(silent.booking.app)) as http:
        assert await BookingClient(http).find(unknown) is None
    member = silent.by[(await silent.hold())["id"]]
    grants = await silent.access.client.get("/v1/grants", params={"booking_id": str(unknown)}, headers=member)
    assert (grants.status_code, grants.json()["items"]) == (200, [])


@pytest.mark.parametrize("azp", ["regiohub-booking", "regiohub-gateway", "regiohub-seed", "reader-bendorf"])
async def test_no_other_client_may_ask(silent: Street, azp: str):
    booking = await silent.hold()
    async with client_of(azp, transport_to(silent.booking.app)) as http:
        assert (await http.get(f"/internal/bookings/{booking['id']}")).status_code == 403
        with pytest.raises(BookingUnavailable):
            await BookingClient(http).find(new_id())


async def test_without_booking_the_door_says_nothing_and_the_till_says_later(
    silent: Street, cluster: Cluster, sandbox_origin: str
):
    booking = await silent.hold(FREE)
    params, headers = {"booking_id": booking["id"]}, silent.by[booking["id"]]
    with cluster.database("access") as urls:
        async with running_access(urls, client_of("regiohub-access", Gone())) as access:
            answer = await access.client.get("/v1/grants", params=params, headers=headers)
            assert (answer.status_code, answer.json()["items"]) == (200, [])
    with cluster.database("billing") as urls:
        async with running_billing(urls, sandbox_origin, client_of("regiohub-billing", Gone())) as billing:
            silent.billing.client = billing.client
            with pytest.raises(AssertionError, match="booking-unavailable"):
                await silent.open_payment(booking)
