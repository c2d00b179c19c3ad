"""A listener between two programs: passes every request on, remembers it, and can keep an answer back."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs


@dataclass(frozen=True)
class Heard:
    """One request as it came by."""

    method: str
    path: str
    body: str

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body).items()}


@dataclass
class Tap:
    """Port to connect to; ``keep`` chooses whose answers wait, once they are here, for ``release``."""

    port: int
    target: int
    heard: list[Heard] = field(default_factory=list)
    keep: Callable[[Heard], bool] = lambda _request: False
    answered: threading.Event = field(default_factory=threading.Event)
    """Set when an answer that is kept has come."""
    release: threading.Event = field(default_factory=threading.Event)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def count(self, end: str, **form: str) -> int:
        """How many requests went to an address with this end and these fields."""
        return sum(r.path.endswith(end) and form.items() <= r.form.items() for r in list(self.heard))


def _handler(tap: Tap) -> type[BaseHTTPRequestHandler]:
    class Passing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            request = Heard(self.command, self.path, body.decode("latin-1"))
            tap.heard.append(request)
            status, headers, answer = self._ask(body)
            if tap.keep(request):
                tap.answered.set()
                tap.release.wait(60)
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            line = http.client.HTTPConnection("127.0.0.1", tap.target, timeout=30)
            try:
                line.request(self.command, self.path, body or None, dict(self.headers))
                answer = line.getresponse()
                return answer.status, answer.getheaders(), answer.read()
            except OSError:
                return 502, [], b""
            finally:
                line.close()

        do_GET = do_POST = _pass_on  # noqa: N815 - the base class's names

        def log_message(self, *_: Any) -> None:
            """Be quiet."""

    return Passing


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who was killed does not read its answer."""


@contextmanager
def tapped(port: int, target: int) -> Iterator[Tap]:
    """Listen at ``port`` for what is meant for ``target``."""
    tap = Tap(port, target)
    server = _Quiet(("127.0.0.1", port), _handler(tap))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield tap
    finally:
        tap.release.set()
        server.shutdown()
        thread.join()
        server.server_close()
