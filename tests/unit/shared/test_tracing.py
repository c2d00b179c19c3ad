"""The trace goes on through a program; spans are made only for somebody who collects them."""

import os
import re
import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from regiohub_shared.tracing import Tracer, bound_trace, trace_context, trace_headers

GIVEN = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"
SHAPE = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
USELESS = ["", "nonsense", "00-" + "0" * 32 + "-" + "cd" * 8 + "-01", GIVEN.upper(), GIVEN + "-more"]


@pytest.fixture
def kept() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def collected(kept: InMemorySpanExporter) -> Tracer:
    """A tracer whose spans are kept here."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    return Tracer(provider)


def test_without_a_collector_what_was_given_goes_on() -> None:
    assert Tracer().begin(GIVEN).traceparent == GIVEN


@pytest.mark.parametrize("given", USELESS)
def test_what_is_no_trace_is_replaced(given: str, collected: Tracer) -> None:
    for tracer in (Tracer(), collected):
        made = tracer.begin(given).traceparent
        assert SHAPE.fullmatch(made)
        assert made[3:35] != "ab" * 16


def test_a_span_is_the_child_of_what_was_given_and_the_parent_of_what_follows(
    kept: InMemorySpanExporter, collected: Tracer
) -> None:
    hop = collected.begin(GIVEN)
    following = collected.begin(hop.traceparent, "producer")
    following.end("deliver", {"subscriber": "access"})
    hop.end("POST /v1/bookings", {"http.response.status_code": 201}, failed=True)

    second, first = kept.get_finished_spans()
    assert (first.name, second.name) == ("POST /v1/bookings", "deliver")
    assert {f"{span.context.trace_id:032x}" for span in (first, second)} == {"ab" * 16}
    assert f"{first.parent.span_id:016x}" == "cd" * 8
    assert second.parent.span_id == first.context.span_id
    assert (first.kind, second.kind) == (SpanKind.SERVER, SpanKind.PRODUCER)
    assert first.attributes["http.response.status_code"] == 201
    assert (first.status.is_ok, second.status.is_ok) == (False, True)


def test_a_caller_who_does_not_want_to_be_sampled_is_not(kept: InMemorySpanExporter, collected: Tracer) -> None:
    hop = collected.begin(GIVEN[:-2] + "00")
    hop.end("GET /", {})

    assert kept.get_finished_spans() == ()
    assert hop.traceparent[3:35] == "ab" * 16


def test_a_round_has_ids_of_its_own_and_leaves_none_behind() -> None:
    with bound_trace():
        first = trace_context()
    with bound_trace():
        second = trace_context()
    assert SHAPE.fullmatch(first["traceparent"])
    assert first["traceparent"] != second["traceparent"]
    assert first["request_id"] != second["request_id"]
    assert trace_headers() == {}


def test_given_ids_are_kept_and_sent_on() -> None:
    with bound_trace(request_id="r-1", traceparent=GIVEN):
        assert trace_headers() == {"X-Request-ID": "r-1", "traceparent": GIVEN}


@pytest.mark.parametrize(("endpoint", "loaded"), [("", False), ("http://127.0.0.1:9", True)])
def test_opentelemetry_is_loaded_only_for_an_endpoint(endpoint: str, loaded: bool) -> None:
    ask = "import sys; from regiohub_shared.tracing import make_tracer; make_tracer('x'); print('opentelemetry.sdk' in sys.modules)"
    env = os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    done = subprocess.run([sys.executable, "-c", ask], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(loaded)
