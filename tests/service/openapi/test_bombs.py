"""Bodies made to hurt, at every route that takes one: refused by a declared answer, and the service lives on."""

import gzip
import json
from typing import Any

import pytest
import requests

from tests.service.matrix.calls import CALLS
from tests.service.matrix.roles import HEADERS, SUBS
from tests.service.openapi.conftest import SERVICES, Served
from tests.service.openapi.test_promises import OPERATIONS, SCHEMAS

MIB = 1024 * 1024
JSON = "application/json"
PART = b'--b\r\nContent-Disposition: form-data; name="a"; filename="a"\r\nContent-Type: text/plain\r\n\r\nx\r\n'
BOMBS: dict[str, tuple[bytes, dict[str, str]]] = {
    "a deep list": (b"[" * 200_000 + b"]" * 200_000, {"content-type": JSON}),
    "a deep object": (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, {"content-type": JSON}),
    "a number without end": (b'{"cents": ' + b"9" * 500_000 + b"}", {"content-type": JSON}),
    "an exponent": (b'{"cents": 1e400, "lines": -1e999}', {"content-type": JSON}),
    "no number": (b'{"cents": NaN, "start": Infinity}', {"content-type": JSON}),
    "many members": (json.dumps({str(n): n for n in range(60_000)}).encode(), {"content-type": JSON}),
    "the same member often": (b"{" + b'"lines": [],' * 50_000 + b'"lines": []}', {"content-type": JSON}),
    "a mebibyte": (json.dumps({"name": "x" * (MIB - 100)}).encode(), {"content-type": JSON}),
    "a byte more than a mebibyte": (b" " * (MIB + 1), {"content-type": JSON}),
    "a zip bomb": (gzip.compress(b"[" * 10 * MIB), {"content-type": JSON, "content-encoding": "gzip"}),
    "many parts": (PART * 8_000 + b"--b--\r\n", {"content-type": "multipart/form-data; boundary=b"}),
    "a part without end": (PART[:-2] + b"x" * 500_000, {"content-type": "multipart/form-data; boundary=b"}),
    "many fields": (b"a=1&" * 200_000, {"content-type": "application/x-www-form-urlencoded"}),
    "XML": (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', {"content-type": "application/xml"}),
    "no type": (b"{}", {}),
    "another alphabet": ('{"name": "ä"}'.encode("utf-16"), {"content-type": f"{JSON}; charset=utf-16"}),
    "half a letter": (b'{"name": "\xff\xfe\xc3"}', {"content-type": JSON}),
    "half a pair": (b'{"name": "\\ud800", "reason": "\\udfff"}', {"content-type": JSON}),
    "nothing": (b"", {"content-type": JSON}),
    "null": (b"null", {"content-type": JSON}),
}  # fmt: skip
WRITES = [(service, path, method) for service, path, method in OPERATIONS if method != "GET"]
WHO = {"booking": "county-admin", "access": "county-admin", "billing": "county-finance"}
TEXTS = ["a\x00b", "\x00", "\U0001f600" * 50, "\u202e\u200b", "é" * 5000, "' OR 1=1 --", "{{7*7}}", "\r\nX: y"]


def asked(served: Served, service: str, path: str, method: str, role: str, **more: Any) -> requests.Response:
    """The matrix's good request but for what is changed; the answer is a declared one."""
    served.scene.street.booking.userinfo.sub = SUBS[role]
    call = CALLS[service][f"{method} {path}"](served.scene, "mine", served.scene.things["mine"])
    headers = call.headers | HEADERS[role] | more.pop("headers", {})
    answer = requests.request(
        method, served.urls[service] + call.path, params=call.params, headers=headers, timeout=30, **more
    )
    declared = SCHEMAS[service][path][method].definition.raw["responses"]
    assert str(answer.status_code) in declared or answer.status_code == 413, answer.text[:300]
    assert answer.status_code < 500, answer.text[:300]
    if answer.status_code < 400:
        served.put_back(service)
    return answer


@pytest.mark.parametrize(("service", "path", "method"), WRITES)
def test_a_bomb_is_refused_and_nothing_else_happens(served: Served, service: str, path: str, method: str):
    for name, (body, headers) in BOMBS.items():
        answer = asked(served, service, path, method, WHO[service], data=body, headers=headers)
        if name == "a byte more than a mebibyte":
            assert answer.status_code == 413
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json", name


def spoilt(value: Any, text: str) -> Any:
    """Every text in a body replaced, every list and object kept."""
    if isinstance(value, dict):
        return {key: spoilt(each, text) for key, each in value.items()}
    if isinstance(value, list):
        return [spoilt(each, text) for each in value]
    return text if isinstance(value, str) else value


@pytest.mark.parametrize(("service", "path", "method"), WRITES)
def test_odd_texts_are_stored_as_they_are_or_refused(served: Served, service: str, path: str, method: str):
    call = CALLS[service][f"{method} {path}"](served.scene, "mine", served.scene.things["mine"])
    if not isinstance(call.json, dict):
        assert call.json is None
        return
    for text in TEXTS:
        asked(served, service, path, method, WHO[service], json=spoilt(call.json, text))
        for key in call.json:
            asked(served, service, path, method, WHO[service], json=call.json | {key: spoilt(call.json[key], text)})


@pytest.mark.parametrize("years", [2, 10, 100])
def test_a_slot_of_years_is_refused_by_its_rule(served: Served, years: int):
    call = CALLS["booking"]["POST /v1/bookings"](served.scene, "mine", served.scene.things["mine"])
    (line,) = call.json["lines"]
    far = line["start"].replace(line["start"][:4], str(int(line["start"][:4]) + years))
    answer = asked(served, "booking", "/v1/bookings", "POST", "member", json={"lines": [line | {"end": far}]})
    assert answer.status_code in {409, 422}
    assert answer.json()["type"] in {"/problems/too-long", "/problems/beyond-horizon"}


def test_the_services_have_lived_through_it(served: Served):
    for service in SERVICES:
        assert requests.get(f"{served.urls[service]}/readyz", timeout=10).status_code == 200
