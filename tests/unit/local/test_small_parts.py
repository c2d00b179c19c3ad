"""Ports, secrets, mail sink, realm placeholders and the form browser's parsing."""

import asyncio
import json
import smtplib
import socket
from email.message import EmailMessage

import httpx
import pytest

from regiohub_local import keycloak, mail_sink, plan, ports, secret_file
from regiohub_local.form_browser import FormBrowser, forms, message


def test_kept_ports_stay_unless_a_stranger_holds_them(tmp_path):
    path = tmp_path / "ports.json"
    first = ports.keep(path, ["a", "b"], {}, lambda name: False)
    assert ports.keep(path, ["a", "b"], {}, lambda name: False) == first
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", first["a"]))
        stranger.listen()
        moved = ports.keep(path, ["a", "b"], {}, lambda name: False)
        assert moved["a"] != first["a"]
        assert moved["b"] == first["b"]
    with socket.socket() as ours:
        ours.bind(("127.0.0.1", moved["a"]))
        ours.listen()
        assert ports.keep(path, ["a", "b"], {}, lambda name: name == "a") == moved


def test_preferred_ports_are_taken_when_free(tmp_path):
    wanted = ports.free_port()
    assert ports.keep(tmp_path / "p.json", ["a", "b"], {"a": wanted, "b": wanted}, lambda name: False)["a"] == wanted
    assert json.loads((tmp_path / "p.json").read_text())["b"] != wanted


def test_secrets_are_made_once_and_private(tmp_path):
    path = tmp_path / "secrets.env"
    first = secret_file.ensure(path, ["A", "B"])
    assert path.stat().st_mode & 0o077 == 0
    second = secret_file.ensure(path, ["A", "B", "C"])
    assert {name: second[name] for name in first} == first
    assert len(set(second.values())) == 3
    assert secret_file.add(path, {"A": "other", "D": "x=y"}) == second | {"D": "x=y"}
    assert secret_file.read(path)["D"] == "x=y"
    assert path.stat().st_mode & 0o077 == 0


def test_every_placeholder_of_the_realm_is_filled(tmp_path):
    house = plan.make_house(tmp_path, prefer={})
    assert keycloak.placeholders(keycloak.realm()) <= house.realm_env.keys()
    filled = json.dumps(keycloak.filled(keycloak.realm(), house.realm_env))
    assert "${" not in filled
    assert f"{house.origin}/auth/callback" in filled
    assert '"auth": "false"' in filled


def test_programs_get_the_app_role_and_never_the_owners_password(tmp_path):
    house = plan.make_house(tmp_path, prefer={})
    env = plan.service_env(house, "billing", "postgresql://app")
    assert env["BILLING_DATABASE_URL"] == "postgresql://app"
    assert env["BILLING_STRIPE_API_BASE"] == house.stripe_origin
    assert not [key for key in env if "OWNER" in key or "MIGRATE" in key]
    assert env["BILLING_CLIENT_SECRET"] == house.secrets["RH_BILLING_SECRET"]


def test_real_stripe_and_own_settings_win(tmp_path, monkeypatch):
    monkeypatch.setenv("STRIPE_API_KEY", "sk_live_x")
    monkeypatch.setenv("BILLING_LOG_LEVEL", "DEBUG")
    house = plan.make_house(tmp_path, prefer={})
    env = plan.service_env(house, "billing", "postgresql://app")
    assert env["STRIPE_API_KEY"] == "sk_live_x"
    assert env["BILLING_LOG_LEVEL"] == "DEBUG"
    assert "BILLING_STRIPE_API_BASE" not in env
    assert "stripe" not in {
        program.name for program in plan.programs(house, dict.fromkeys(plan.DATABASES, "postgresql://app"))
    }


def letter() -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "haus@example.org", "wer@example.org", "Bestätigung für Sie"
    mail.set_content("Hier: https://localhost/x?a=1&b=2\n<script>alert(1)</script>")
    mail.add_attachment(b"BEGIN:VCALENDAR", maintype="text", subtype="calendar", filename="termin.ics")
    return mail


async def test_a_mail_is_stored_and_shown_without_harm(tmp_path):
    port = ports.free_port()
    with mail_sink.BackgroundSink(tmp_path / "mail", port) as folder:

        def send() -> None:
            with smtplib.SMTP("127.0.0.1", port) as smtp:
                smtp.send_message(letter())

        await asyncio.to_thread(send)
        stored = await mail_sink.wait_for(folder, "WER@example.org", subject="Bestätigung")
    assert stored.links() == ["https://localhost/x?a=1&b=2"]
    assert stored.attachments == ("termin.ics",)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(mail_sink.app(folder)), base_url="http://sink") as http:
        assert "Bestätigung für Sie" in (await http.get("/")).text
        page = await http.get(f"/mail/{stored.name}")
        assert "&lt;script&gt;" in page.text
        assert "<script>" not in page.text
        assert (await http.get("/mails.json")).json()[0]["to"] == "wer@example.org"
        assert (
            "VCALENDAR" in (await http.get(f"/raw/{stored.name}")).text
            or "QkVHSU4" in (await http.get(f"/raw/{stored.name}")).text
        )
        for bad in ("/mail/..%2f..%2fsecrets.env", "/raw/1.eml", "/mail/x"):
            assert (await http.get(bad)).status_code == 404


async def test_waiting_for_a_mail_that_never_comes_ends(tmp_path):
    with pytest.raises(TimeoutError):
        await mail_sink.wait_for(tmp_path, "niemand@example.org", seconds=0.2)


PAGE = """<form id="a" action="/go?x=1" method="post"><input name="t" value="1"><input type="checkbox" name="c">
<input type="checkbox" name="d" checked><select name="s"><option value="1"><option value="2" selected></select>
<textarea name="n"></textarea><input type="submit" name="no" value="x"></form><form action="b"></form><script>x</script>Hallo"""


def test_forms_send_what_a_browser_would():
    page = httpx.Response(200, text=PAGE, request=httpx.Request("GET", "http://localhost/a/b"))
    first, second = forms(page)
    assert first.action == "http://localhost/go?x=1"
    assert first.fields == {"t": "1", "d": "on", "s": "2", "n": ""}
    assert second.action == "http://localhost/a/b"
    assert message(page) == "200 Hallo"


async def test_secure_cookies_are_sent_to_localhost_and_paths_are_kept():
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("cookie", ""))
        if request.url.path == "/set":
            cookies = [
                ("set-cookie", "__Host-s=1; Path=/; Secure; HttpOnly"),
                ("set-cookie", "k=2; Path=/realms/; Secure"),
            ]
            return httpx.Response(302, headers=[*cookies, ("location", "/realms/x")])
        if request.url.path == "/realms/x":
            return httpx.Response(302, headers=[("set-cookie", "k=; Path=/realms/; Max-Age=0"), ("location", "/end")])
        return httpx.Response(200)

    async with FormBrowser() as browser:
        browser._http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        await browser.get("http://localhost/set")
        assert browser.cookies("http://localhost/realms/x") == {"__Host-s": "1"}
    assert seen == ["", "__Host-s=1; k=2", "__Host-s=1"]
