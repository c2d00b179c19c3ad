"""The reader's own HTTP on 127.0.0.1, for the device beside it: `POST /present`, `GET /status`.

A few lines on asyncio instead of a framework, so that the reader installs on a small board. Only JSON with
this Host is answered: a web page in a browser on the same machine cannot reach the door through it.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

_MAX_HEAD = 8192
_MAX_BODY = 4096
_TIMEOUT_S = 5.0
_HOSTS = {"127.0.0.1", "localhost"}
_REASONS = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
            413: "Content Too Large", 415: "Unsupported Media Type", 500: "Internal Server Error",
            503: "Service Unavailable"}  # fmt: skip

log = logging.getLogger("regiohub.reader")
Answer = tuple[int, dict[str, Any]]
Handler = Callable[[dict[str, Any]], Answer]


class BadCall(Exception):
    """A call that is answered with an error status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


async def serve(routes: dict[tuple[str, str], Handler], port: int) -> asyncio.Server:
    """Start to listen on 127.0.0.1; port 0 takes a free one. Handlers get the JSON body (`{}` for GET)."""

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await _write(writer, *await _answer(routes, reader))
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            pass  # the caller is gone or too slow; nothing was decided for it
        finally:
            writer.close()

    return await asyncio.start_server(on_connection, "127.0.0.1", port, limit=_MAX_HEAD)


async def _answer(routes: dict[tuple[str, str], Handler], reader: asyncio.StreamReader) -> Answer:
    try:
        method, path, headers = await _head(reader)
        handler = _handler(routes, method, path, headers)
        return handler(await _body(reader, headers) if method == "POST" else {})
    except BadCall as bad:
        return bad.status, {"error": str(bad)}
    except (ConnectionError, asyncio.IncompleteReadError):
        raise
    except Exception:
        log.exception("a call failed")
        return 500, {"error": "the reader failed"}


def _handler(routes: dict[tuple[str, str], Handler], method: str, path: str, headers: dict[str, str]) -> Handler:
    if headers.get("host", "").rsplit(":", 1)[0] not in _HOSTS:
        raise BadCall(403, "only for this machine")
    if (method, path) not in routes:
        raise BadCall(405 if any(path == known for _, known in routes) else 404, "no such call")
    return routes[method, path]


async def _head(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str]]:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.LimitOverrunError as error:
        raise BadCall(413, "the head is too large") from error
    first, *lines = head.rstrip().split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise BadCall(400, "not HTTP/1.1")
    pairs = (line.partition(":") for line in lines)
    return parts[0], parts[1], {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> dict[str, Any]:
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise BadCall(415, "only application/json")
    length = headers.get("content-length", "")
    if "transfer-encoding" in headers or not (length.isascii() and length.isdigit()):
        raise BadCall(400, "Content-Length is needed")
    if int(length) > _MAX_BODY:
        raise BadCall(413, "the body is too large")
    try:
        body = json.loads(await reader.readexactly(int(length)))
    except (ValueError, RecursionError) as error:
        raise BadCall(400, "not JSON") from error
    if not isinstance(body, dict):
        raise BadCall(400, "not a JSON object")
    return body


async def _write(writer: asyncio.StreamWriter, status: int, answer: dict[str, Any]) -> None:
    body = json.dumps(answer).encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()
