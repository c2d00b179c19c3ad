"""uvicorn's HTTP protocol with an end to its patience, and with patience at its end.

It bounds neither the time nor the size of a request's head.
``uvicorn --http regiohub_shared.web.server:BoundedHttp``. Without it, one caller who sends a header byte by byte (or a
header without end) holds a connection (or the memory) for as long as he likes; and what he sends *after* the body (a
trailer) joins the headers that were checked already.

And at SIGTERM it closes every idle connection at once: a request that is on its way on one of them, or waits unread in
the kernel, is lost. Here each connection goes on until its next answer, which says ``Connection: close``, or until its
ordinary keep-alive time is over. A client that itself uses no connection that has been idle for that long sees nothing.
"""

import asyncio
from typing import Any
from weakref import WeakSet

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

HEAD_S = 10.0
"""Seconds from the connection, or from the last answer, to the end of the next request's head."""
HEAD_BYTES = 64 * 1024
KEEP_ALIVE_S = 5
"""How long our servers keep an unused connection; a client of ours gives one up well before (``http.client.IDLE_S``)."""
_LATE = b"408 Request Timeout"
_LONG = b"431 Request Header Fields Too Large"
_ending: WeakSet[ServerState] = WeakSet()
"""Servers that were told to end."""


class BoundedHttp(HttpToolsProtocol):
    """Closes a connection whose next head does not end in time or in size, drops trailers, loses no request at the end."""

    head_s = HEAD_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As uvicorn makes it."""
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None
        self._unread = 0
        """Bytes that belong to a head (or trailer) which has not ended."""
        self._is_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what ends nothing; a body that came along in the same packet is not counted."""
        self._unread += len(data)
        super().data_received(data)
        if self._unread > HEAD_BYTES:
            self._refuse(_LONG)

    def on_message_begin(self) -> None:
        """Take headers again."""
        self._is_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep headers and drop trailers: the app has judged the request by its head."""
        if self._is_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Leave the body and the answer to the app, which has its own time limits."""
        self._is_head, self._unread = False, 0
        self._stop_waiting()
        super().on_headers_complete()
        if self.server_state in _ending:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Count no body; the app bounds it."""
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Begin to count anew."""
        self._unread = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next head, unless it was read already (pipelining)."""
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._wait_for_head()

    def shutdown(self) -> None:
        """Make the next answer the last one; a connection on which nobody asks any more ends by its keep-alive time."""
        _ending.add(self.server_state)
        if self.cycle is None:
            self._wait_for_head(min(self.head_s, self.timeout_keep_alive))
        elif not self.cycle.response_started:
            self.cycle.keep_alive = False

    def _wait_for_head(self, seconds: float = 0) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(seconds or self.head_s, self._refuse, _LATE)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: bytes) -> None:
        """End the connection; where nothing was asked, or an answer has begun, without a word."""
        is_answering = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if self._unread and not is_answering and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 %b\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % status)
        self._stop_waiting()
        self.transport.close()
