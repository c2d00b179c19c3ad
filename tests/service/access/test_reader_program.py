"""The real reader program against the real service: what is synchronised opens, what is revoked does not."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from regiohub_access.reader.clock import make_clock
from regiohub_access.reader.decide import PassShown, PinTyped, Shown
from regiohub_access.reader.program import Reader
from regiohub_access.reader.settings import Settings
from regiohub_access.reader.store import Store
from regiohub_access.reader.sync import Syncer, SyncFailed
from regiohub_access.rh1 import Proof, decode_base64url, present
from regiohub_shared import clock
from tests.service.access.world import HUB, READER, Phone, World, later, make_fact
from tests.support.tokens import claims_for, sign


@dataclass
class Hub:
    """The reader and its line to access, which can be cut."""

    reader: Reader
    syncer: Syncer
    transport: httpx.ASGITransport
    is_cut: bool = False

    def shows(self, shown: Shown) -> str:
        return str(self.reader.present(shown)["reason"])


@pytest.fixture
async def hub(world: World, tmp_path: Path) -> AsyncIterator[Hub]:
    """A reader at Bendorf whose token server is this function."""
    inner = httpx.ASGITransport(app=world.app, raise_app_exceptions=False)

    async def answer(request: httpx.Request) -> httpx.Response:
        if made.is_cut:
            raise httpx.ConnectError("cut")
        if request.url.path == "/token":
            token = sign(claims_for("device", "lock-device", azp=READER))
            return httpx.Response(200, json={"access_token": token, "expires_in": 300})
        return await inner.handle_async_request(request)

    settings = Settings(
        hub=HUB, client_id=READER, client_secret="s", token_url="http://keycloak/token",
        sync_url=f"http://access/v1/readers/{READER}/sync", state_dir=tmp_path, port=0, issuer="test-installation",
    )  # fmt: skip
    store = Store(tmp_path, issuer=settings.issuer, hub=HUB)
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        syncer = Syncer(settings, store, client, make_clock({}))
        made = Hub(Reader(settings, store, syncer, make_clock({})), syncer, inner)
        yield made
    store.close()


def qr(minted: str, phone: Phone, door: int, *, later_s: int = 0) -> PassShown:
    ts = int(clock.real_now().timestamp()) + later_s
    return PassShown(door, present(decode_base64url(minted), phone.key, Proof(ts, door, b"abcd")))


async def test_the_door_opens_with_the_line_cut_and_a_revoked_pass_does_not(world: World, hub: Hub):
    await world.set_up()
    fact, cancelled = make_fact(), make_fact()
    phone, other = Phone(), Phone()
    for each in (fact, cancelled):
        await world.hears(each)
    grant, doomed = await world.grant_of(fact), await world.grant_of(cancelled)
    minted = (await world.asks_pass(grant["id"], phone)).json()["pass"]
    revoked = (await world.asks_pass(doomed["id"], other)).json()["pass"]
    await hub.syncer.once()
    await world.hears(later(cancelled, "cancelled", 3))
    await hub.syncer.once()
    await hub.syncer.once()
    assert (await world.grant_of(fact))["pin_armed_at"] is not None
    hub.is_cut = True

    with pytest.raises(SyncFailed):
        await hub.syncer.once()
    assert hub.shows(qr(minted, phone, 2)) == "granted"
    assert hub.shows(qr(minted, phone, 2)) == "replayed"
    assert hub.shows(qr(minted, phone, 3, later_s=1)) == "wrong_door"
    assert hub.shows(qr(minted, other, 2, later_s=1)) == "wrong_holder_key"
    assert hub.shows(qr(revoked, other, 2)) == "revoked"
    assert hub.shows(PinTyped(1, grant["pin"])) == "granted"
    assert hub.shows(PinTyped(3, grant["pin"])) == "pin_unknown"  # its event says why
    assert hub.shows(PinTyped(1, doomed["pin"])) == "pin_unknown"

    hub.is_cut = False
    await hub.syncer.once()
    reasons = [row.reason for row in await world.rows("SELECT reason FROM door_event WHERE is_chained ORDER BY number")]
    assert reasons == [
        "granted", "replayed", "wrong_door", "wrong_holder_key", "revoked", "granted", "wrong_door", "pin_unknown",
    ]  # fmt: skip
    told = [row.data for row in await world.rows("SELECT data FROM outbox")]
    assert [item["booking_id"] for item in told] == [str(fact.booking_id)]
    assert (await world.grant_of(fact))["first_opened_at"] is not None
