"""Logs are JSON and hold no token, PIN, name or mail address, wherever in the record they sit."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from uuid import UUID

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regiohub_shared.log import configure_logging, get_logger
from tests.support import tokens

TOKEN = tokens.sign(tokens.claims_for("demo"))
SECRETS = ["geheim-1", TOKEN, "RH1:ABC.DEF", "sk_test_12345", "whsec_9876", "demo@example.org", "12345678"]


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    text = io.StringIO()
    monkeypatch.setattr(sys, "stdout", text)
    configure_logging("unit")
    yield text
    root.handlers = before
    root.setLevel(level)
    structlog.contextvars.clear_contextvars()


def _fail() -> None:
    raise LookupError("no user demo@example.org")


def _lines(output: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in output.getvalue().splitlines()]


def test_one_json_object_a_line(output: io.StringIO) -> None:
    get_logger("a").info("booked", booking_id=UUID(int=1), cents=1200, paid=True, note="zwei\nZeilen äöü")
    [line] = _lines(output)
    assert line["event"] == "booked"
    assert line["service"] == "unit"
    assert line["level"] == "info"
    assert line["cents"] == 1200
    assert line["paid"] is True
    assert line["booking_id"] == str(UUID(int=1))
    assert str(line["ts"]).endswith("Z")
    assert "äöü" in output.getvalue()


@pytest.mark.parametrize(
    "values",
    [
        {"access_token": "geheim-1"},
        {"Authorization": "geheim-1"},
        {"cookie": "geheim-1", "set_cookie": "geheim-1"},
        {"password": "geheim-1", "client_secret": "geheim-1"},
        {"pin": "12345678", "pins": ["12345678"]},
        {"email": "geheim-1", "mail_to": "geheim-1"},
        {"name": "geheim-1", "first_name": "geheim-1", "lastname": "geheim-1"},
        {"note": f"got {TOKEN} from someone"},
        {"note": "scanned RH1:ABC.DEF at the door"},
        {"note": "key sk_test_12345 and whsec_9876"},
        {"note": "mail to demo@example.org failed"},
        {"body": {"access_token": "geheim-1", "deep": [{"pin": "12345678"}, f"x {TOKEN}"]}},
        {"items": ("demo@example.org", {"sk_test_12345"})},
        {"error": ValueError("for demo@example.org")},
        {"note": f"{TOKEN}.demo@example.org, sk_1.demo@example.org, x@example.org-demo@example.org+demo@example.org"},
    ],
)
def test_secrets_are_redacted(output: io.StringIO, values: dict[str, object]) -> None:
    get_logger("a").info("something", **values)
    assert "[redacted]" in output.getvalue()
    assert not [secret for secret in SECRETS if secret in output.getvalue()]


_LOOKS_SECRET = r"(eyJ\w+\.\w+\.\w+|RH1:\w+|(sk|rk|whsec)_\w+|[a-z.+-]+@[a-z-]+\.[a-z.]+)"


@given(st.from_regex(_LOOKS_SECRET, fullmatch=True))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_looks_like_a_secret_is_cut_out_of_a_text(output: io.StringIO, secret: str) -> None:
    output.seek(0)
    output.truncate()
    get_logger("a").info("something", note=f"({secret} )")
    [line] = _lines(output)
    assert line["note"] == "([redacted] )"


def test_bound_values_and_events_too(output: io.StringIO) -> None:
    structlog.contextvars.bind_contextvars(refresh_token="geheim-1")
    get_logger("a").info(f"from {TOKEN}")
    assert not [secret for secret in SECRETS if secret in output.getvalue()]


def test_traces_too(output: io.StringIO) -> None:
    try:
        _fail()
    except LookupError:
        get_logger("a").exception("failed")
    [line] = _lines(output)
    assert "LookupError" in str(line["exception"])
    assert "demo@example.org" not in output.getvalue()


_BROKEN = (
    'null value in column "x" of relation "document" violates not-null constraint\n'
    "DETAIL:  Failing row contains (7, geheim-1\nStrasse, null).\nHINT:  none"
)


@pytest.mark.parametrize(
    "words",
    [
        _BROKEN,
        f"IntegrityError: {_BROKEN}\n[SQL: INSERT]\n[parameters: ('geheim-1', 'geheim-1]')]\n(Background on this)",
        "invalid input for query argument $3: 'geheim-1' (expected a date)\n\nThe above exception was the cause",
        "DETAIL:  Key (name)=(geheim-1) already exists.",
    ],
)
def test_rows_in_the_databases_errors_too(output: io.StringIO, words: str) -> None:
    get_logger("a").error("failed", note=words, exc_info=ValueError(words))
    text = output.getvalue()
    assert "geheim-1" not in text
    assert "[redacted]" in text
    for kept in ("violates not-null constraint", "HINT", "[SQL: INSERT]", "Background on", "The above"):
        assert (kept in words) is (kept in text)


def test_the_standard_librarys_records_too(output: io.StringIO) -> None:
    log = logging.getLogger("some.library")
    try:
        _fail()
    except LookupError:
        log.exception("for %s", TOKEN)
    log.warning("%s", {"a": 1})
    lines = _lines(output)
    assert [line["level"] for line in lines] == ["error", "warning"]
    assert "LookupError" in str(lines[0]["exception"])
    assert not [secret for secret in SECRETS if secret in output.getvalue()]


def test_level_and_noisy_libraries(output: io.StringIO) -> None:
    get_logger("a").debug("unseen")
    logging.getLogger("httpx").info("HTTP Request: GET http://x/?token=geheim-1")
    logging.getLogger("uvicorn.access").info("GET /?token=geheim-1")
    assert output.getvalue() == ""
