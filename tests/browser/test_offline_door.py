"""The door opens when booking, billing, Keycloak and access are gone and the phone has no network; and only to whom it should.

The page with the pass was opened, and another grant revoked and synced, before the cut.
"""

import asyncio
import contextlib
import os
import socket
import time
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page, expect

from regiohub_access import rh1
from regiohub_access.rh1 import base45
from regiohub_local import processes, story
from regiohub_local.browser.people import People
from regiohub_local.demo import CUT
from regiohub_local.person import Person
from regiohub_local.plan import House
from regiohub_local.reader_page.picture import find_code
from regiohub_shared.clock import now, real_now
from tests.support.browser import mend, until

PORTS = ("booking", "access", "billing", "keycloak")
MAIN_DOOR, WORKSHOP = 1, 2


@dataclass
class Cut:
    """What there is after the cut: phones with a key page each, and the clocks."""

    house: House
    door: Page
    context: BrowserContext
    good: Page
    tomorrow: Page
    revoked: Page
    pin: str
    paused_at: float = 0.0

    async def shot(self, phone: Page) -> bytes:
        """A photo of the phone's screen, a little later than the last one: a proof counts seconds."""
        await asyncio.sleep(1.1)
        await phone.evaluate("document.querySelector('rh-door-key').draw()")
        return await phone.screenshot()

    async def log(self, hub: str = "bendorf") -> dict:
        """The newest entry of the reader's own log."""
        async with httpx.AsyncClient(trust_env=False) as http:
            return (await http.get(f"{self.house.url(f'reader-{hub}')}/status")).json()["log"][0]

    async def show(self, picture: bytes, *, hub: str = "bendorf", door: int = MAIN_DOOR) -> tuple[str, str]:
        """Hold a picture to the reader's page; what it decides, as its log tells."""
        await self.door.goto(f"{self.house.reader_page(hub)}/?door={door}")
        await self.door.set_input_files("#picture", {"name": "qr.png", "mimeType": "image/png", "buffer": picture})
        await self.door.click("text=Bild vorzeigen")
        return await self._result(hub)

    async def paste(self, text: str) -> tuple[str, str]:
        """Hand a text to the reader's page."""
        await self.door.goto(f"{self.house.reader_page('bendorf')}/?door={MAIN_DOOR}")
        await self.door.fill("#presentation", text)
        await self.door.click("text=Text vorzeigen")
        return await self._result("bendorf")

    async def type_pin(self, pin: str, *, door: int = MAIN_DOOR) -> tuple[str, str]:
        """Type a PIN at the reader's page."""
        await self.door.goto(f"{self.house.reader_page('bendorf')}/?door={door}")
        await self.door.fill("#pin", pin)
        await self.door.click("text=PIN prüfen")
        return await self._result("bendorf")

    async def _result(self, hub: str) -> tuple[str, str]:
        shown = self.door.locator("#result")
        await expect(shown).to_be_visible()
        seen = (await shown.get_attribute("data-decision"), await shown.get_attribute("data-reason"))
        entry = await self.log(hub)
        assert seen == (entry["decision"], entry["reason"]), "page and log of the reader differ"
        return seen


async def booked(member: Person, other: Person, house, start, end) -> story.Tale:
    """A paid booking whose PIN has arrived at the reader."""
    tale = story.Tale(house=house, member=member, other=other, start=start, end=end)
    for step in (story.search, story.book, story.pay, story.fetch_pass):
        await step(tale)
    return tale


async def key_page(context: BrowserContext, house, tale: story.Tale) -> Page:
    """Open the key page and wait until its QR code is there and the page is kept."""
    page = await context.new_page()
    await page.goto(f"{house.origin}/key/{tale.booking['id']}")
    await page.locator("rh-door-key svg").wait_for()
    await expect(page.get_by_text("erneuert sich alle 15 Sekunden")).to_be_visible()
    return page


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cut(house, chromium_browser):
    people = People(chromium_browser, house, viewport={"width": 390, "height": 844})
    start, end = story.current_slot()
    async with (
        Person(house, "demo-mitglied") as member,
        Person(house, "demo-mitglied-2") as other,
        Person(house, "demo-betrieb-bendorf") as operator,
    ):
        good = await booked(member, other, house, start, end)
        revoked = await booked(member, other, house, start, end)
        tomorrow = await booked(member, other, house, start + timedelta(days=1), end + timedelta(days=1))
        phone = await people.context("demo-mitglied")
        pages = [await key_page(phone, house, tale) for tale in (good, revoked, tomorrow)]
        await revoke(operator, revoked)
        door = await people.page()
        made = Cut(house, door, phone, pages[0], pages[2], pages[1], good.grant["pin"])
        await until("the revoked pass is denied", lambda: _is_denied(made))
    people.watch.is_offline = True
    await asyncio.to_thread(processes.end, house.state_dir, *CUT)
    await phone.set_offline(True)
    yield made
    await people.close()
    if ports_refuse(house):  # the test that mends the house did not run
        await mend(house)
    assert people.watch.take() == []


async def revoke(operator: Person, tale: story.Tale) -> None:
    """The operator cancels a booking that has begun."""
    path = f"/api/booking/v1/bookings/{tale.booking['id']}"
    booking = await operator.get(path)
    await operator.post(f"{path}/cancel", {}, **{"If-Match": f'"{booking["version"]}"'})


async def _is_denied(cut: Cut) -> bool:
    return (await cut.show(await cut.shot(cut.revoked)))[1] == "revoked"


def ports_refuse(house) -> list[str]:
    refusing = []
    for name in PORTS:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", house.ports[name])) != 0:
                refusing.append(name)
    return refusing


async def test_the_services_and_the_network_are_really_gone(cut):
    assert ports_refuse(cut.house) == list(PORTS)
    assert await cut.good.evaluate("navigator.onLine") is False
    with pytest.raises(Exception, match="ERR_INTERNET_DISCONNECTED"):
        await (await cut.context.new_page()).goto(f"{cut.house.origin}/bookings")


async def test_the_qr_code_of_the_offline_page_opens(cut):
    before = await cut.good.locator("[data-presentation]").get_attribute("data-presentation")
    picture = await cut.shot(cut.good)

    assert find_code(picture) != before, "the code is drawn anew without a network"
    assert await cut.show(picture) == ("allowed", "granted")


async def test_the_page_opens_again_without_a_network_and_its_code_opens(cut):
    page = await cut.context.new_page()
    await page.goto(cut.good.url)
    await page.locator("rh-door-key svg").wait_for()
    await expect(page.locator(".rh-pin")).to_have_text(cut.pin)

    assert await cut.show(await cut.shot(page)) == ("allowed", "granted")
    await page.close()


async def test_a_login_that_ended_while_keycloak_is_away_leaves_the_key(cut):
    session = await cut.context.cookies()
    await cut.context.clear_cookies()  # what thirty idle minutes come to
    await cut.context.set_offline(False)
    page = await cut.context.new_page()
    for _ in range(2):
        await page.goto(cut.good.url)
        await page.locator("rh-door-key svg").wait_for()
        await expect(page.locator(".rh-pin")).to_have_text(cut.pin)
        await expect(page.get_by_role("link", name="Anmelden und den Schlüssel neu laden")).to_be_visible()

    assert await cut.show(await cut.shot(page)) == ("allowed", "granted")
    await page.close()
    await cut.context.add_cookies(session)
    await cut.context.set_offline(True)


async def test_five_wrong_pins_pause_pins_at_that_door_and_nothing_else(cut):
    assert await cut.type_pin(cut.pin) == ("allowed", "granted")
    wrong = f"{(int(cut.pin) + 1) % 1000000:06d}"
    for _ in range(5):
        assert await cut.type_pin(wrong) == ("denied", "pin_unknown")
    cut.paused_at = time.monotonic()

    assert await cut.type_pin(cut.pin) == ("denied", "pin_paused")
    assert await cut.show(await cut.shot(cut.good)) == ("allowed", "granted")
    decision, reason = await cut.type_pin(cut.pin, door=WORKSHOP)
    assert decision == "denied"
    assert reason != "pin_paused", "another door's keypad is not paused"


async def test_a_code_opens_once(cut):
    picture = await cut.shot(cut.good)

    assert await cut.show(picture) == ("allowed", "granted")
    assert await cut.show(picture) == ("denied", "replayed")


async def test_a_pass_of_another_hub_stays_out(cut):
    assert await cut.show(await cut.shot(cut.good), hub="mayen") == ("denied", "foreign_hub")


async def test_a_door_that_the_booking_does_not_name_stays_shut(cut):
    assert await cut.show(await cut.shot(cut.good), door=WORKSHOP) == ("denied", "wrong_door")


async def test_a_booking_of_tomorrow_does_not_open_today(cut):
    assert await cut.show(await cut.shot(cut.tomorrow)) == ("denied", "not_yet_valid")


async def test_the_revoked_pass_stays_out(cut):
    assert await cut.show(await cut.shot(cut.revoked)) == ("denied", "revoked")


async def test_a_changed_pass_and_another_phones_proof_are_noticed(cut):
    minted = pass_in(find_code(await cut.shot(cut.good)))
    stranger = rh1.PrivateKey.generate()

    assert await cut.paste(signed(minted, stranger)) == ("denied", "wrong_holder_key")
    changed = minted[:-1] + bytes([minted[-1] ^ 1])
    assert await cut.paste(signed(changed, stranger)) == ("denied", "tampered")


def pass_in(shown: str) -> bytes:
    """The pass inside a presentation: the first of three byte strings."""
    data = base45.decode(shown.removeprefix("RH1:"))
    assert data[:2] == b"\x83\x58", "an array of three, the first a byte string with one byte of length"
    return data[3 : 3 + data[2]]


def signed(minted: bytes, holder: rh1.PrivateKey) -> str:
    proof = rh1.Proof(ts=int(real_now().timestamp()), door=MAIN_DOOR, nonce=os.urandom(4))
    return rh1.present(minted, holder, proof)


@contextlib.contextmanager
def reader_later(house, by: timedelta):
    """The reader with its business time moved on; its memory stays."""
    name = "reader-bendorf"
    before = processes.recorded(house.state_dir)[name]
    later = {"REGIOHUB_NOW": (now() + by).isoformat()}
    for env in ({**before.env, **later}, before.env):
        processes.end(house.state_dir, name)
        processes.spawn(house.state_dir, name, before.command, env)
        wait_for_port(house.ports[name])
        if env is not before.env:
            yield


def wait_for_port(port: int) -> None:
    for _ in range(100):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the reader did not come back")


async def test_a_pass_whose_time_is_over_does_not_open(cut):
    with reader_later(cut.house, timedelta(hours=3)):
        assert await cut.show(await cut.shot(cut.good)) == ("denied", "expired")


async def test_the_house_comes_back_and_learns_that_the_door_was_opened(cut):
    await mend(cut.house)
    await cut.context.set_offline(False)
    await cut.good.goto(f"{cut.house.origin}/bookings/{cut.good.url.rpartition('/')[2]}")

    async def checked_in():
        await cut.good.reload()
        return await cut.good.get_by_text("eingecheckt").count()

    await until("the check-in", checked_in)


async def test_after_sixty_seconds_the_right_pin_opens_again(cut):
    assert cut.paused_at, "the test of five wrong PINs comes first"
    left = 60 - (time.monotonic() - cut.paused_at)
    if left > 4:
        await asyncio.sleep(left - 3)
        assert await cut.type_pin(cut.pin) == ("denied", "pin_paused")
        left = 60 - (time.monotonic() - cut.paused_at)
    await asyncio.sleep(max(0, left) + 1)
    assert await cut.type_pin(cut.pin) == ("allowed", "granted")


async def test_after_the_logout_the_kept_key_is_gone(cut):
    await cut.good.goto(f"{cut.house.origin}/bookings")
    await cut.good.get_by_role("button", name="Abmelden").click()
    await cut.good.wait_for_url(f"{cut.house.origin}/")
    await cut.good.goto(cut.tomorrow.url)
    await cut.good.locator("#username").wait_for()
    await cut.context.set_offline(True)
    with pytest.raises(Exception, match="ERR_INTERNET_DISCONNECTED"):
        await cut.good.goto(cut.tomorrow.url)
