"""One id through all programs: request id and W3C trace context, and OpenTelemetry spans when its endpoint is set.

Without ``OTEL_EXPORTER_OTLP_ENDPOINT`` (or ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT``) the trace id still travels and stands in
every log line; nothing is loaded, nothing is sent.
"""

import os
import re
import secrets
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal

import structlog

from regiohub_shared.ids import new_id

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Span, TracerProvider

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_HEADERS = (("request_id", "X-Request-ID"), ("traceparent", "traceparent"))
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_EXPORT_S = 5.0


def trace_context() -> dict[str, str]:
    """Return the ids of the current request, which travel with a fact over the asynchronous hop."""
    bound = structlog.contextvars.get_contextvars()
    return {key: str(bound[key]) for key, _ in _HEADERS if key in bound}


def trace_headers() -> dict[str, str]:
    """Return the same as the headers of a call to a neighbour."""
    ids = trace_context()
    return {header: ids[key] for key, header in _HEADERS if key in ids}


def bound_trace(*, request_id: str = "", traceparent: str = "") -> AbstractContextManager[None]:
    """Bind ids for what is logged, sent and emitted inside; what is missing or none is made."""
    trace = traceparent if _TRACEPARENT.fullmatch(traceparent) else _made()
    known = request_id or str(new_id())
    return structlog.contextvars.bound_contextvars(request_id=known, traceparent=trace, trace_id=trace[3:35])


def _made() -> str:
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"


class Hop:
    """One program's part in a trace; ``traceparent`` goes on to the next."""

    def __init__(self, traceparent: str, span: "Span | None" = None) -> None:
        """``span`` is None when nobody collects spans."""
        self.traceparent, self._span = traceparent, span

    def end(self, name: str, attributes: Mapping[str, str | int], *, failed: bool = False) -> None:
        """Say what it was; ``name`` is a template, never a path: a path can hold a token. Not ended, it is never sent."""
        if self._span is None:
            return
        from opentelemetry.trace import StatusCode  # noqa: PLC0415 - loaded only when spans are collected

        self._span.update_name(name)
        self._span.set_attributes({**attributes, "regiohub.request_id": trace_context().get("request_id", "")})
        if failed:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


class Tracer:
    """Begins the hops of one program."""

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        """``provider`` is None when nobody collects spans."""
        self._provider = provider
        self._tracer = provider.get_tracer("regiohub") if provider else None

    def begin(self, given: str = "", kind: Literal["server", "producer"] = "server") -> Hop:
        """Go on with the trace of ``given`` (a ``traceparent``), or begin one if it is none."""
        known = given if _TRACEPARENT.fullmatch(given) else ""
        if self._tracer is None:
            return Hop(known or _made())
        from opentelemetry.trace import SpanKind  # noqa: PLC0415 - loaded only when spans are collected

        span: Any = self._tracer.start_span("hop", context=_parent(known), kind=SpanKind[kind.upper()])
        own = span.get_span_context()
        return Hop(f"00-{own.trace_id:032x}-{own.span_id:016x}-{int(own.trace_flags):02x}", span)

    def close(self) -> None:
        """Send what is left; waits some seconds for a collector that is away."""
        if self._provider is not None:
            self._provider.shutdown()


def _parent(known: str) -> Any:
    from opentelemetry import trace  # noqa: PLC0415 - loaded only when spans are collected
    from opentelemetry.context import Context  # noqa: PLC0415 - loaded only when spans are collected

    if not known:
        return Context()
    _, trace_id, span_id, flags = known.split("-")
    remote = trace.SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=trace.TraceFlags(int(flags, 16))
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(remote), Context())


def make_tracer(service: str) -> Tracer:
    """Return the tracer of a program, from OpenTelemetry's own environment variables."""
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        return Tracer()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - see above
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - loaded only when spans are collected
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - loaded only when spans are collected
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - loaded only when spans are collected

    provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=_EXPORT_S)))
    return Tracer(provider)
