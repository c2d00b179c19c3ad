"""Ports, secrets, mail sink, realm placeholders and the form browser's parsing."""

import asyncio
import json
import smtplib
import socket
from dataclasses import replace
from email.message import EmailMessage

import httpx
import pytest
from pydantic import SecretStr

from regiohub_local import keycloak, launch, mail_sink, plan, ports, secret_file
from regiohub_local.form_browser import FormBrowser, forms, message
from regiohub_local.stripe_sandbox.app import create_app
from regiohub_local.stripe_sandbox.settings import Settings as SandboxSettings


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


def test_every_printed_login_is_a_demo_user_s_mail_address(tmp_path):
    house = plan.make_house(tmp_path, prefer={})
    demo = json.loads((keycloak.REALM_FOLDER / "demo.json").read_text())
    known = {user["email"] for user in demo["users"] if "email" in user}

    assert keycloak.realm()["loginWithEmailAllowed"]
    assert {mail for mail, _ in launch.DEMO_USERS} <= known
    assert "demo-mitglied@example.org " in launch.summary(house)


def test_the_state_folder_is_nobody_elses_business(tmp_path):
    (tmp_path / "run").mkdir(mode=0o755)
    house = plan.make_house(tmp_path / "run", prefer={})
    assert house.state_dir.stat().st_mode & 0o777 == 0o700


def test_every_program_bounds_its_callers(tmp_path):
    house = plan.make_house(tmp_path, prefer={})
    for program in plan.programs(house, dict.fromkeys(plan.DATABASES, "postgresql://app")):
        if "uvicorn" in program.command:
            for flag, value in (
                ("--limit-concurrency", "512"),
                ("--timeout-keep-alive", "5"),
                ("--ws", "none"),
                ("--http", "regiohub_shared.web.server:BoundedHttp"),
            ):
                assert program.command[program.command.index(flag) + 1] == value


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
    assert replace(stored, date="Wed, 25 Nov 2026 10:29:44 +0000").sent() == "25.11.2026 11:29:44"
    assert replace(stored, date="gestern").sent() == "gestern"
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(mail_sink.app(folder)), base_url="http://localhost:8025"
    ) as http:
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


BROKEN_MAILS = {
    "unknown charset": b"Content-Type: text/plain; charset=klingon\r\n\r\nHallo \xe4",
    "unknown charset in the subject": b"Subject: =?klingon?q?abc=FF?=\r\n\r\nHallo",
    "no charset": b'Content-Type: text/plain; charset=""\r\n\r\nHallo',
    "raw bytes in the head": b"Subject: \xff\xfe\r\nFrom: \xe4 <a@b>\r\n\r\nHallo",
    "parts that are none": b"Content-Type: multipart/mixed; boundary=x\r\n\r\nHallo",
    "half a surrogate": b"Subject: =?utf-16?q?=D8=00?=\r\nContent-Type: text/plain; charset=utf-16\r\n\r\n\xd8\x00",
    "unknown encoding": b"Content-Type: text/plain\r\nContent-Transfer-Encoding: klingon\r\n\r\nHallo",
    "no mail at all": b"",
}


@pytest.mark.parametrize("content", BROKEN_MAILS.values(), ids=BROKEN_MAILS.keys())
async def test_a_mail_that_nobody_can_read_does_not_take_the_page_away(tmp_path, content):
    (tmp_path / "1-ab.eml").write_bytes(b"X-RcptTo: wer@example.org\r\n" + content)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(mail_sink.app(tmp_path)), base_url="http://localhost"
    ) as http:
        for path in ("/", "/mail/1-ab.eml", "/raw/1-ab.eml", "/mails.json"):
            assert (await http.get(path)).status_code == 200
        if b"klingon\r\n\r\nHallo" in content:
            assert "Hallo" in (await http.get("/mail/1-ab.eml")).text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8025", 200),
        ("127.0.0.1:8025", 200),
        ("evil.example", 400),
        ("localhost.evil.example", 400),
    ],
)
async def test_pages_of_the_local_tools_answer_to_their_own_name_only(tmp_path, host, status):
    """A web page of somebody else whose name points to this machine must not read mails or books."""
    sandbox = create_app(SandboxSettings(api_key=SecretStr("k"), webhook_secret=SecretStr("s"), state_dir=tmp_path))
    for app in (mail_sink.app(tmp_path), sandbox):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
            assert (await http.get("/healthz", headers={"host": host})).status_code == status


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
