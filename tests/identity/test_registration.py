"""A stranger registers by the form, opens the mail, sets a password and is a member.

Keycloak asks for the password after the mail: nobody can prepare an account for someone else's address.
"""

import secrets

import httpx

from regiohub_local.mail_sink import wait_for
from tests.identity.conftest import Identity
from tests.support.keycloak_login import Form, FormBrowser, authorization_url, claims, forms, login, message

PASSWORD = "ein-langes-Passwort-7"


def form_of(page: httpx.Response, form_id: str) -> Form:
    found = next((form for form in forms(page) if form.id == form_id), None)
    assert found is not None, message(page)
    return found


async def register(browser: FormBrowser, keycloak: Identity, mail: str, **more: str) -> httpx.Response:
    """Fill the registration form; answers the page that says that a mail is on its way."""
    url = authorization_url(keycloak.gateway, "v" * 64).replace("/auth?", "/registrations?")
    form = form_of(await browser.get(url), "kc-register-form")
    person = {"email": mail, "firstName": "Test", "lastName": "Person"}
    return await browser.submit(form, person | more, until=keycloak.gateway.redirect_uri)


async def open_mail(browser: FormBrowser, keycloak: Identity, address: str) -> httpx.Response:
    """Open the link of the newest mail, and confirm where another browser has to."""
    letter = await wait_for(keycloak.mail, address)
    link = next(url for url in letter.links() if "action-token" in url)
    assert link.startswith(keycloak.keycloak.origin)
    page = await browser.get(link, until=keycloak.gateway.redirect_uri)
    further = [part.split('"')[0] for part in page.text.split('href="') if "action-token" in part.split('"')[0]]
    if further:
        page = await browser.get(further[0].replace("&amp;", "&"), until=keycloak.gateway.redirect_uri)
    return page


async def set_password(browser: FormBrowser, page: httpx.Response, keycloak: Identity, password: str) -> httpx.Response:
    form = form_of(page, "kc-passwd-update-form")
    values = {"password-new": password, "password-confirm": password}
    return await browser.submit(form, values, until=keycloak.gateway.redirect_uri)


def new_mail() -> str:
    return f"neu-{secrets.token_hex(4)}@example.org"


async def test_who_registers_and_opens_the_mail_is_a_member(keycloak: Identity):
    address = new_mail()
    async with FormBrowser() as browser:
        page = await register(browser, keycloak, address)
        assert not page.is_redirect, "logged in before the mail was opened"
        page = await set_password(browser, await open_mail(browser, keycloak, address), keycloak, PASSWORD)
        assert page.is_redirect, message(page)
        assert "code=" in page.headers["location"]
    tokens = await login(keycloak.gateway, address, PASSWORD)
    access = claims(tokens.access)
    assert access["realm_access"]["roles"] == ["member"]
    assert not {"hub_operator", "finance", "name", "email"} & set(access)
    assert not {"email", "email_verified"} & set(claims(tokens.identity))
    async with httpx.AsyncClient(trust_env=False) as http:
        told = await http.get(
            f"{keycloak.gateway.issuer}/protocol/openid-connect/userinfo",
            headers={"Authorization": f"Bearer {tokens.access}"},
        )
    assert (told.json()["email"], told.json()["email_verified"]) == (address, True)


async def test_mail_opened_in_another_browser_works_too(keycloak: Identity):
    address = new_mail()
    async with FormBrowser() as browser:
        await register(browser, keycloak, address)
    async with FormBrowser() as other:
        page = await open_mail(other, keycloak, address)
        await set_password(other, page, keycloak, PASSWORD)
    tokens = await login(keycloak.gateway, address, PASSWORD)
    assert claims(tokens.access)["realm_access"]["roles"] == ["member"]


async def test_a_link_works_once(keycloak: Identity):
    address = new_mail()
    async with FormBrowser() as browser:
        await register(browser, keycloak, address)
        await set_password(browser, await open_mail(browser, keycloak, address), keycloak, PASSWORD)
    async with FormBrowser() as thief:
        page = await open_mail(thief, keycloak, address)
        assert not page.is_redirect
        assert not any(form.id == "kc-passwd-update-form" for form in forms(page))


async def test_who_is_new_is_asked_for_a_password_and_not_for_another_one(keycloak: Identity):
    address = new_mail()
    async with FormBrowser() as browser:
        await register(browser, keycloak, address)
        page = await open_mail(browser, keycloak, address)
    assert "Bitte legen Sie ein Passwort für Ihr Konto fest, mindestens 12 Zeichen lang." in page.text
    assert "ändern" not in message(page)


async def test_a_short_password_is_refused(keycloak: Identity):
    address = new_mail()
    async with FormBrowser() as browser:
        await register(browser, keycloak, address)
        page = await open_mail(browser, keycloak, address)
        for bad in ("kurz-7", address):
            page = await set_password(browser, page, keycloak, bad)
            assert not page.is_redirect
            form_of(page, "kc-passwd-update-form")


async def test_nobody_registers_into_a_place(keycloak: Identity):
    address = new_mail()
    wishes = {"hub_operator": "bendorf", "user.attributes.finance": "stadt-bendorf", "finance": "stadt-bendorf"}
    async with FormBrowser() as browser:
        await register(browser, keycloak, address, **wishes)
        await set_password(browser, await open_mail(browser, keycloak, address), keycloak, PASSWORD)
    access = claims((await login(keycloak.gateway, address, PASSWORD)).access)
    assert not {"hub_operator", "finance"} & set(access)
