"""Request id, trace, log and metrics go with every request; docs and schema need no foreign host."""

import json
import re
from uuid import UUID, uuid4

import httpx
import pytest
import structlog
from fastapi import FastAPI

from regiohub_shared.http.client import make_client
from tests.support import tokens


async def test_request_id_is_accepted(client: httpx.AsyncClient) -> None:
    given = str(uuid4())
    assert (await client.get("/healthz", headers={"X-Request-ID": given})).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "1234", "a\tb", "x" * 500, "{'event': 'forged'}"])
async def test_request_id_is_made_when_the_given_one_is_none(client: httpx.AsyncClient, given: str) -> None:
    found = (await client.get("/healthz", headers={"X-Request-ID": given})).headers.get_list("x-request-id")
    assert len(found) == 1
    assert UUID(found[0]).version == 7


async def test_two_requests_have_two_ids(client: httpx.AsyncClient) -> None:
    first, second = await client.get("/healthz"), await client.get("/healthz")
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


async def _trace_of_fact(client: httpx.AsyncClient, sql, headers: dict[str, str]) -> dict[str, str]:
    headers = headers | tokens.bearer("demo") | {"Idempotency-Key": str(uuid4())}
    assert (await client.post("/v1/facts", json={"name": "a", "version": 1}, headers=headers)).status_code == 201
    found: dict[str, str] = json.loads(await sql.fetchval("SELECT trace FROM outbox"))
    return found


async def test_trace_context_travels_with_the_fact(client: httpx.AsyncClient, sql) -> None:
    given = {"traceparent": "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01", "X-Request-ID": str(uuid4())}
    trace = await _trace_of_fact(client, sql, given)
    assert trace == {"request_id": given["X-Request-ID"], "traceparent": given["traceparent"]}


@pytest.mark.parametrize(
    "given", ["", "nonsense", "00-" + "0" * 32 + "-" + "cd" * 8 + "-01", "00-" + "AB" * 16 + "-1-01"]
)
async def test_trace_context_is_made_when_the_given_one_is_none(client: httpx.AsyncClient, sql, given: str) -> None:
    trace = await _trace_of_fact(client, sql, {"traceparent": given})
    assert re.fullmatch(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", trace["traceparent"])


async def test_clients_pass_the_ids_on() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(204)

    async with make_client("http://neighbour", transport=httpx.MockTransport(answer)) as neighbour:
        with structlog.contextvars.bound_contextvars(request_id="r-1", traceparent="t-1"):
            await neighbour.get("/")
            await neighbour.get("/", headers={"X-Request-ID": "own"})
        assert None not in {
            neighbour.timeout.connect,
            neighbour.timeout.read,
            neighbour.timeout.write,
            neighbour.timeout.pool,
        }
    assert (seen[0].headers["x-request-id"], seen[0].headers["traceparent"]) == ("r-1", "t-1")
    assert seen[1].headers["x-request-id"] == "own"


async def test_log_line_has_ids_and_no_secret(client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]) -> None:
    from regiohub_shared.log import configure_logging  # noqa: PLC0415 - heavy or optional, loaded when needed

    configure_logging("probe")
    given = str(uuid4())
    await client.get("/v1/log?token=geheim", headers={"X-Request-ID": given})
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    own = next(line for line in lines if line["event"] == "something")
    assert own["request_id"] == given
    assert own["service"] == "probe"
    assert re.fullmatch(r"[0-9a-f]{32}", own["trace_id"])
    assert own["access_token"] == "[redacted]"
    assert "demo@example.org" not in own["note"]
    access = next(line for line in lines if line["event"] == "request")
    assert access["route"] == "/v1/log"
    assert access["status"] == 200
    assert "geheim" not in json.dumps(lines)


async def test_metrics_count_by_template(client: httpx.AsyncClient) -> None:
    for _ in range(3):
        await client.get(f"/v1/notes/{uuid4()}")
    await client.get("/v1/nothing-here")
    await client.post("/v1/bug")
    await client.request("BREW", "/v1/bug")
    text = (await client.get("/metrics")).text
    assert 'http_requests_total{method="GET",route="/v1/notes/{note_id}",status="200"} 3.0' in text
    assert 'http_requests_total{method="GET",route="unmatched",status="404"} 1.0' in text
    assert 'http_requests_total{method="POST",route="/v1/bug",status="500"} 1.0' in text
    assert "BREW" not in text, "callers may not make new label values"


async def test_docs_need_no_foreign_host(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.status_code == 200
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert assets
    assert not re.findall(r"https?://", page.text)
    for address in [*assets, "/openapi.json"]:
        assert address.startswith("/")
        assert (await client.get(address)).status_code == 200, address


async def test_schema_declares_what_is_answered(client: httpx.AsyncClient, app: FastAPI) -> None:
    schema = (await client.get("/openapi.json")).json()
    assert schema["openapi"].startswith("3.1")
    assert "HTTPValidationError" not in json.dumps(schema)
    post = schema["paths"]["/v1/notes"]["post"]["responses"]
    assert post["422"]["content"].keys() == {"application/problem+json"}
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(schema)))
    assert references <= schema["components"]["schemas"].keys()
    assert schema["paths"]["/v1/refusal"]["post"]["responses"]["409"]["description"].endswith("(`too-late`)")
