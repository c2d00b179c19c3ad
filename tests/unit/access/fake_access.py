"""An access service and token server for reader tests: real HTTP on loopback, in threads, with knobs."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from regiohub_access.reader.wire import (
    DenyEntry,
    DenyList,
    Door,
    Event,
    Pin,
    PinTable,
    SyncRequest,
    SyncResponse,
    WireKey,
    keys_etag,
)
from regiohub_access.rh1 import IssuerKey
from regiohub_shared.clock import real_now

SECRET = "a secret for tests"


def wire_key(key: IssuerKey) -> WireKey:
    jwk = key.public.to_jwk()
    return WireKey(key.kid.hex(), jwk["x"], jwk["y"], key.not_before, key.not_after)


class FakeAccess:
    """Answers as docs/reader.md says; `answer` (a dict) replaces members of the next answers."""

    def __init__(self, hub: str = "bendorf") -> None:
        self.hub = hub
        self.doors = (Door(1, "Haustür"), Door(12, "Desk 2"))
        self.keys: tuple[WireKey, ...] = ()
        self.denied: tuple[DenyEntry, ...] = ()
        self.denylist_seq = 0
        self.pins: tuple[Pin, ...] = ()
        self.pins_seq = 0
        self.epoch = 1
        self.token = "token-1"
        self.status = 200
        self.answer: dict[str, Any] = {}
        self.raw: bytes | None = None
        self.events: dict[tuple[str, int], Event] = {}
        self.requests: list[SyncRequest] = []
        self.tokens_given = 0
        self.changed = threading.Condition()
        self.url = ""

    def response(self, request: SyncRequest) -> SyncResponse:
        self.events.update({(request.chain, event.seq): event for event in request.events})
        acked = max((seq for chain, seq in self.events if chain == request.chain), default=0)
        return SyncResponse(
            hub=self.hub,
            doors=self.doors,
            keys=None if request.have.keys_etag == keys_etag(self.keys) else self.keys,
            denylist=DenyList(self.denylist_seq, full=True, entries=self.denied),
            pins=None if request.have.pins_seq == self.pins_seq else PinTable(self.pins_seq, self.pins),
            events_acked=acked,
            server_time=real_now(),
            epoch=self.epoch,
        )

    def sync(self, body: bytes, authorization: str) -> tuple[int, bytes]:
        if authorization != f"Bearer {self.token}":
            return 401, b"{}"
        request = SyncRequest.from_json(json.loads(body))
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()
            if request.wait_s:
                self.changed.wait(request.wait_s)
            answer = {**self.response(request).to_json(), **self.answer}
        return self.status, self.raw if self.raw is not None else json.dumps(answer).encode()

    def grant_token(self, body: bytes) -> tuple[int, bytes]:
        form = parse_qs(body.decode())
        if form.get("client_secret") != [SECRET] or form.get("grant_type") != ["client_credentials"]:
            return 401, b"{}"
        self.tokens_given += 1
        return 200, json.dumps({"access_token": self.token, "expires_in": 300}).encode()

    def revoke(self, entry: DenyEntry) -> None:
        with self.changed:
            self.denied, self.denylist_seq = (*self.denied, entry), self.denylist_seq + 1
            self.changed.notify_all()

    @contextmanager
    def running(self) -> Iterator["FakeAccess"]:
        """Serve on a free port until the block ends."""
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/token":
                    status, answer = fake.grant_token(body)
                else:
                    status, answer = fake.sync(body, self.headers.get("Authorization", ""))
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

            def handle(self) -> None:
                try:
                    super().handle()
                except ConnectionError:  # the reader hung up on a long poll, as it may
                    self.close_connection = True

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            with self.changed:
                self.changed.notify_all()
            server.shutdown()
            server.server_close()
            thread.join()
