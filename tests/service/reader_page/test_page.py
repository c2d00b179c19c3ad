"""The page hands what is shown to the reader and says what the reader decided, with or without a script."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import segno
from PIL import Image

from regiohub_access.rh1 import Reason
from regiohub_local.reader_page import picture, texts
from regiohub_local.reader_page.app import Desk, attend, create_app
from regiohub_local.reader_page.reader import Reader
from regiohub_local.reader_page.settings import Settings

CODE = "RH1:" + "6BFOXN.D3W5 $%*+-./:Z" * 14
ALLOWED = {"decision": "allowed", "reason": "granted", "at": "2026-11-25T08:00:00.000Z"}


class FakeReader:
    """Answers like the reader's local HTTP and remembers what it was shown."""

    def __init__(self) -> None:
        self.shown: list[dict[str, Any]] = []
        self.answer: dict[str, Any] = ALLOWED
        self.status = 200
        self.away = False
        self.log: list[dict[str, Any]] = []
        self.doors = [{"number": 1, "name": "Haupteingang"}, {"number": 2, "name": "Raum <b>"}]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("refused", request=request)
        if request.url.path == "/status":
            return httpx.Response(
                200,
                json={
                    "hub": "bendorf",
                    "last_sync_at": "2026-11-25T07:30:00.000Z",
                    "last_error": None,
                    "is_clock_off": False,
                    "events_pending": 3,
                    "doors": self.doors,
                    "pins_stored": ["a", "b"],
                    "log": self.log,
                },
            )
        shown = json.loads(request.content)
        self.shown.append(shown)
        return httpx.Response(self.status, json={"door": shown["door"]} | self.answer)


@pytest.fixture
def reader() -> FakeReader:
    return FakeReader()


@pytest.fixture
async def page(reader: FakeReader) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Settings(port=1, reader_url="http://127.0.0.1:1", hub="bendorf"))
    behind = httpx.AsyncClient(transport=httpx.MockTransport(reader), base_url="http://127.0.0.1:1")
    app.state.desk = Desk(hub="bendorf", reader=Reader(behind))
    transport = httpx.ASGITransport(app=app)
    async with behind, httpx.AsyncClient(transport=transport, base_url="http://localhost") as page:
        yield page


def screenshot(text: str, *, scale: int = 4, kind: str = "png", background: str | None = "white") -> bytes:
    """A QR code in the middle of a telephone's screen."""
    drawn = io.BytesIO()
    segno.make(text, error="l", boost_error=False).save(drawn, kind="png", scale=scale, border=4, light=background)
    code = Image.open(drawn).convert("RGBA")
    screen = Image.new("RGBA", (code.width + 90, code.height + 400), background or (0, 0, 0, 0))
    screen.alpha_composite(code, (45, 200))
    out = io.BytesIO()
    (screen if kind == "png" else screen.convert("RGB")).save(out, format=kind)
    return out.getvalue()


async def sent(page: httpx.AsyncClient, **parts: Any) -> str:
    """Send a form and return the page it ends on."""
    answer = await page.post("/present", **parts)
    assert answer.status_code == 303, answer.text
    return (await page.get(answer.headers["location"])).text


@pytest.mark.parametrize(
    "content",
    [
        screenshot(CODE),
        screenshot(CODE, scale=3, kind="jpeg"),
        screenshot(CODE, kind="webp"),
        screenshot(CODE, background=None),
    ],
    ids=["png", "jpeg", "webp", "transparent"],
)
async def test_screenshot_is_decoded_and_shown_to_the_reader(page, reader, content):
    text = await sent(page, data={"door": "2", "lang": "de"}, files={"picture": ("shot", content)})

    assert reader.shown == [{"door": 2, "presentation": CODE}]
    assert 'data-decision="allowed"' in text
    assert "Offen" in text


async def test_pasted_text_and_pin(page, reader):
    wrapped = f"  {CODE[:100]}\r\n{CODE[100:]}\n"
    await sent(page, data={"door": "1", "presentation": wrapped})
    await sent(page, data={"door": "1", "pin": " 482913 "})

    assert reader.shown == [{"door": 1, "presentation": CODE}, {"door": 1, "pin": "482913"}]


async def test_pin_is_never_shown_again(page, reader):
    reader.answer = ALLOWED | {"decision": "denied", "reason": "pin_unknown"}
    answer = await page.post("/present", data={"door": "1", "pin": "482913"})

    assert "482913" not in answer.headers["location"] + (await page.get(answer.headers["location"])).text


@pytest.mark.parametrize("lang", ["de", "en"])
@pytest.mark.parametrize("reason", list(Reason))
async def test_every_reason_of_the_reader_has_a_sentence(page, reader, reason, lang):
    reader.answer = ALLOWED | {"decision": "denied", "reason": reason.value}
    reader.status = {Reason.UNKNOWN_DOOR: 404, Reason.READER_FAULT: 503}.get(reason, 200)
    text = await sent(page, data={"door": "1", "lang": lang, "presentation": CODE})

    assert texts.REASONS[reason.value][lang == "en"].replace("'", "&#39;") in text
    assert f'data-reason="{reason.value}"' in text
    assert ("Stays shut" if lang == "en" else "Bleibt zu") in text


async def test_reload_shows_nothing_a_second_time(page, reader):
    answer = await page.post("/present", data={"door": "1", "presentation": CODE})
    for _ in range(3):
        await page.get(answer.headers["location"])

    assert len(reader.shown) == 1


async def test_what_cannot_be_read_never_reaches_the_reader(page, reader):
    empty = io.BytesIO()
    Image.new("RGB", (200, 200), "white").save(empty, format="png")
    form = {"door": "1"}
    texts_of = [
        await sent(page, data=form, files={"picture": ("shot.png", empty.getvalue())}),
        await sent(page, data=form, files={"picture": ("shot.png", b"no picture")}),
        await sent(page, data=form, files={"picture": ("shot.svg", b"<svg onload='x'/>")}),
        await sent(page, data=form),
    ]

    assert reader.shown == []
    assert ["no_code" in texts_of[0], "no_picture" in texts_of[1], "nothing" in texts_of[3]] == [True] * 3
    assert (await page.post("/present", data={"door": "x"})).status_code == 400
    big = b"0" * (picture.MAX_BYTES + 100_000)
    assert (await page.post("/frame?door=1", content=big)).status_code == 413


def test_picture_with_too_many_pixels_is_refused():
    bomb = io.BytesIO()
    Image.new("1", (9_000, 9_000)).save(bomb, format="png")

    with pytest.raises(picture.NoPicture):
        picture.find_code(bomb.getvalue())


async def test_camera_frames(page, reader):
    blank = io.BytesIO()
    Image.new("RGB", (640, 480), "grey").save(blank, format="jpeg")
    nothing = await page.post("/frame?door=2", content=blank.getvalue())
    found = await page.post("/frame?door=2&lang=en", content=screenshot(CODE, kind="jpeg"))

    assert nothing.json() == {"found": False}
    query = parse_qs(urlsplit(found.json()["next"]).query)
    assert (query["door"], query["lang"]) == (["2"], ["en"])
    assert "Open" in (await page.get(found.json()["next"])).text
    assert reader.shown == [{"door": 2, "presentation": CODE}]


async def test_page_shows_doors_sync_and_log(page, reader):
    event = {"seq": 1, "at": "2026-11-25T07:59:00.000Z", "door": 1, "kind": "pass", "decision": "denied"}
    reader.log = [event | {"reason": "replayed"}]
    text = (await page.get("/?door=2")).text

    for needed in ("Haupteingang", "Raum &lt;b&gt;", "25.11.2026 08:30:00", "25.11.2026 08:59:00", "schon benutzt"):
        assert needed in text
    assert 'href="/?lang=de&amp;door=2" aria-current="true"' in text


async def test_reader_that_is_away_or_not_synced(page, reader):
    reader.doors = []
    assert "kennt noch keine Türen" in (await page.get("/")).text
    reader.away = True
    assert "antwortet nicht" in (await page.get("/?door=1")).text
    assert "antwortet nicht" in await sent(page, data={"door": "1", "pin": "123456"})


async def test_page_is_shut_to_other_sites(page, reader):
    foreign = {"Origin": "https://elsewhere.example"}
    own = {"Origin": "http://localhost"}
    answers = [
        await page.post("/present", data={"door": "1", "pin": "1"}, headers=foreign),
        await page.post("/frame?door=1", content=b"x", headers=foreign),
        await page.post("/present", data={"door": "1", "pin": "1"}, headers={"Origin": "null"}),
        await page.get("/", headers={"Host": "rebound.example"}),
        await page.post("/present", data={"door": "1", "pin": "1"}, headers=own),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403, 400, 303]
    assert len(reader.shown) == 1


async def test_strict_policy_and_no_inline_script_or_style(page):
    answer = await page.get("/")

    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "<style" not in answer.text
    assert answer.text.count("<script") == 1
    for name, kind in (("page.css", "text/css"), ("camera.js", "text/javascript")):
        assert (await page.get(f"/assets/{name}")).headers["content-type"].startswith(kind)
    assert (await page.get("/assets/app.py")).status_code == 404


async def test_the_page_asks_for_every_door_as_a_lock_does_and_goes_on_when_the_reader_was_away():
    asked: list[int] = []
    away = True

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal away
        if away:
            away = False
            raise httpx.ConnectError("refused", request=request)
        if request.url.path == "/status":
            return httpx.Response(200, json={"doors": [{"number": 1, "name": "a"}, {"number": 2, "name": "b"}]})
        assert request.url.path == "/take"
        asked.append(json.loads(request.content)["door"])
        return httpx.Response(200, json={"door": asked[-1], "opened": True})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://reader") as http:
        attending = asyncio.create_task(attend(Desk("bendorf", Reader(http))))
        async with asyncio.timeout(5):
            while len(asked) < 4:
                await asyncio.sleep(0.05)
        attending.cancel()
        with suppress(asyncio.CancelledError):
            await attending

    assert asked[:4] == [1, 2, 1, 2]
