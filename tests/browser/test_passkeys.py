"""A newcomer's passkey in Chromium's virtual authenticator: made, used without a password, lost, replaced."""

import re
import secrets
from dataclasses import dataclass
from typing import Any

import pytest_asyncio
from playwright.async_api import Browser, CDPSession, Page, Response, expect

from regiohub_local.mail_sink import wait_for
from regiohub_local.plan import House

PHONE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "automaticPresenceSimulation": True,
}


@dataclass(frozen=True, slots=True)
class Device:
    """One browser that keeps nothing but passkeys; it confirms at once, as its owner or as a finder who cannot."""

    page: Page
    cdp: CDPSession
    authenticator: str

    async def passkeys(self) -> list[dict[str, Any]]:
        kept = await self.cdp.send("WebAuthn.getCredentials", {"authenticatorId": self.authenticator})
        found: list[dict[str, Any]] = kept["credentials"]
        return found

    async def keep(self, passkeys: list[dict[str, Any]]) -> None:
        for one in passkeys:
            await self.cdp.send("WebAuthn.addCredential", {"authenticatorId": self.authenticator, "credential": one})


async def device_of(browser: Browser, *, is_owner: bool = True) -> Device:
    page = await (await browser.new_context(locale="de-DE")).new_page()
    cdp = await page.context.new_cdp_session(page)
    await cdp.send("WebAuthn.enable")
    made = await cdp.send("WebAuthn.addVirtualAuthenticator", {"options": PHONE | {"isUserVerified": is_owner}})
    return Device(page, cdp, made["authenticatorId"])


@dataclass
class Newcomer:
    """Somebody who is nowhere yet."""

    house: House
    address: str
    password: str
    mails: str = ""

    async def link_of_mail(self) -> str:
        letter = await wait_for(self.house.mail_dir, self.address, after=self.mails)
        self.mails = letter.name
        return next(url for url in letter.links() if "action-token" in url)

    async def open_mail_and_set_password(self, page: Page, password: str) -> None:
        self.password = password
        await page.goto(await self.link_of_mail())
        await page.fill("#password-new", password)
        await page.fill("#password-confirm", password)
        await page.locator("#kc-passwd-update-form [type=submit]").first.click()
        await page.wait_for_url(f"{self.house.origin}/**")

    async def register(self, page: Page) -> None:
        await page.goto(f"{self.house.origin}/auth/register?return_to=/account")
        for name, value in {"email": self.address, "firstName": "Neu", "lastName": "Person"}.items():
            await page.fill(f"#{name}", value)
        await page.locator("#kc-register-form [type=submit]").click()
        await self.open_mail_and_set_password(page, secrets.token_urlsafe(12))


@pytest_asyncio.fixture(loop_scope="session")
async def newcomer(house, chromium_browser):
    yield Newcomer(house, f"neu-{secrets.token_hex(4)}@example.org", "")
    for context in chromium_browser.contexts:
        await context.close()


async def make_passkey(device: Device, house: House) -> None:
    """From the page of one's own login, through Keycloak's, and back; the person names the device when asked."""
    page = device.page
    page.on("dialog", lambda dialog: dialog.accept("Handy"))
    await page.goto(f"{house.origin}/account")
    await page.click("text=Passkey einrichten")
    await page.click("#registerWebAuthn")
    await page.wait_for_url("**/account?passkey=success")
    await expect(page.get_by_role("status")).to_contain_text("Der Passkey ist eingerichtet")


async def ask_for_bookings(device: Device, house: House) -> None:
    """Open a page that needs a login; a browser with a passkey offers it at once, where it knows one."""
    await device.page.goto(f"{house.origin}/auth/login?return_to=/bookings", wait_until="commit")


def _is_of_the_passkey(answer: Response) -> bool:
    return answer.request.method == "POST" and "/login-actions/authenticate" in answer.url


async def is_logged_in(device: Device, house: House) -> bool:
    answer = await device.page.context.request.get(f"{house.origin}/auth/session")
    said: bool = (await answer.json())["logged_in"]
    return said


async def test_a_newcomer_makes_a_passkey_and_logs_in_without_a_password(house, newcomer, chromium_browser):
    phone = await device_of(chromium_browser)
    await newcomer.register(phone.page)
    await make_passkey(phone, house)
    [passkey] = await phone.passkeys()

    stranger = await device_of(chromium_browser, is_owner=False)
    await stranger.keep([passkey])
    await ask_for_bookings(stranger, house)
    await stranger.page.click("#authenticateWebAuthnButton")
    await expect(stranger.page.locator("#kc-error-message, [role=alert], .pf-v5-c-alert").first).to_be_visible()
    assert not await is_logged_in(stranger, house)

    synced = await device_of(chromium_browser)
    await synced.keep([passkey])
    await ask_for_bookings(synced, house)
    await synced.page.wait_for_url(f"{house.origin}/bookings")
    await expect(synced.page.get_by_role("heading", name="Meine Buchungen")).to_be_visible()


async def test_nothing_is_made_when_the_person_thinks_again(house, newcomer, chromium_browser):
    phone = await device_of(chromium_browser)
    await newcomer.register(phone.page)
    await phone.page.click("text=Passkey einrichten")
    await phone.page.click("#cancelWebAuthnAIA")
    await phone.page.wait_for_url("**/account?passkey=cancelled")

    await expect(phone.page.get_by_role("status")).to_contain_text("Es wurde kein Passkey eingerichtet")
    assert await phone.passkeys() == []


async def test_who_lost_phone_and_password_gets_in_by_mail_and_shuts_the_lost_phone_out(
    house, newcomer, chromium_browser
):
    lost = await device_of(chromium_browser)
    await newcomer.register(lost.page)
    await make_passkey(lost, house)
    [passkey] = await lost.passkeys()
    await lost.page.context.close()

    new = await device_of(chromium_browser)
    await new.page.goto(f"{house.origin}/auth/login?return_to=/account")
    await new.page.click("text=Passwort vergessen?")
    await new.page.fill("#username", newcomer.address)
    await new.page.locator("#kc-reset-password-form [type=submit]").click()
    await newcomer.open_mail_and_set_password(new.page, secrets.token_urlsafe(12))

    await new.page.goto(f"{house.origin}/account")
    await new.page.click("text=Anmeldung verwalten")
    await new.page.get_by_role("button", name="Löschen").click()
    await new.page.click("#kc-accept")
    await new.page.wait_for_url(re.compile("/account-security/signing-in"))
    await expect(new.page.get_by_role("button", name="Löschen")).to_have_count(0)
    await make_passkey(new, house)

    found = await device_of(chromium_browser)
    await found.keep([passkey])

    async with found.page.expect_response(_is_of_the_passkey) as refusal:
        await ask_for_bookings(found, house)
    assert (await refusal.value).status == 200
    assert not await is_logged_in(found, house)
