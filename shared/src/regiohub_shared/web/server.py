"""uvicorn's HTTP protocol with an end to its patience: it bounds neither the time nor the size of a request's head.

``uvicorn --http regiohub_shared.web.server:BoundedHttp``. Without it, one caller who sends a header byte by byte (or a
header without end) holds a connection (or the memory) for as long as he likes.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_S = 10.0
"""Seconds from the connection, or from the last answer, to the end of the next request's head."""
HEAD_BYTES = 64 * 1024
_LATE = b"408 Request Timeout"
_LONG = b"431 Request Header Fields Too Large"


class BoundedHttp(HttpToolsProtocol):
    """Closes a connection whose next head does not end in time or in size."""

    head_s = HEAD_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As uvicorn makes it."""
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._head_has_come()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to no finished head; a body that came along in the last packet is not counted."""
        if self._deadline is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._deadline is not None and self._head_bytes > HEAD_BYTES:
            self._refuse(_LONG)

    def on_headers_complete(self) -> None:
        """Leave the body and the answer to the app, which has its own time limits."""
        self._head_has_come()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Wait for the next head, unless it was read already (pipelining)."""
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._wait_for_head()

    def _wait_for_head(self) -> None:
        self._head_has_come()
        self._deadline = self.loop.call_later(self.head_s, self._refuse, _LATE)

    def _head_has_come(self) -> None:
        self._head_bytes = 0
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: bytes) -> None:
        """A connection on which nothing was asked ends without a word."""
        begun = self._head_bytes
        self._head_has_come()
        if begun and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 %b\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % status)
        self.transport.close()
