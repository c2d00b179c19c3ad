"""Structured logs: one JSON object a line, with request and trace id, never with a secret, PIN, name or mail."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any, TextIO

import structlog

_SECRET_KEYS = re.compile(
    r"(token|secret|password|authorization|cookie|pins?$|^pin_code|mail|^(first_?|last_?|family_?|given_?)?name$)",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(
    r"eyJ[\w-]+\.[\w-]+\.[\w-]+"  # JWT
    r"|RH1:\S+"
    r"|(?:sk|whsec|rk)_\w+"
)
_SECRET_SIGNS = ("eyJ", "RH1:", "k_", "whsec_", "@")
"""Each secret text has one of them."""
# Tried once per word, from its begin to its end: ids and traces, which have no "@", are long words in every line.
_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]+\.[\w.+-]+")

# PostgreSQL and the drivers quote rows and arguments in the texts of their errors; what follows stays.
_ROW_TEXT = re.compile(
    r"(DETAIL:|\[parameters:|invalid input for query argument \$\d+:)"
    r".*?(?=\n(?:HINT:|CONTEXT:|QUERY:|\[SQL: |\(Background on|\nThe above|\nDuring|Traceback)|\Z)",
    re.DOTALL,
)


def _clean(value: Any) -> Any:
    """Return the value without secrets, however deep they sit."""
    if isinstance(value, str):
        return _clean_text(value)
    if isinstance(value, Mapping):
        return {key: "[redacted]" if _is_secret(str(key)) else _clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_clean(item) for item in value]
    return value if isinstance(value, (int, float, bool, type(None))) else _clean(str(value))


def _clean_text(text: str) -> str:
    """Return the text without secrets. Few texts hold a sign of one; only those are searched."""
    if any(sign in text for sign in _SECRET_SIGNS):
        text = _MAIL.sub("[redacted]", _SECRET_TEXT.sub("[redacted]", text))
    return _ROW_TEXT.sub(r"\1 [redacted]", text) if ":" in text else text


@lru_cache(maxsize=1024)
def _is_secret(key: str) -> bool:
    """Keys are words of our code, the same few again and again."""
    return _SECRET_KEYS.search(key) is not None


def _redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if _is_secret(key):
            event[key] = "[redacted]"
        elif not key.startswith("_"):  # structlog's own record of the standard library
            event[key] = _clean(value)
    return event


def configure_logging(service: str, level: str = "INFO", *, stream: TextIO | None = None) -> None:
    """Send structlog's and the standard library's records to ``stream`` (stdout) as JSON."""
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.processors.format_exc_info,
        _redact,
    ]
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
            foreign_pre_chain=processors,
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # No line tells thread, process or place in the code; to find them costs more than to write the line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # httpx logs full URLs at INFO, uvicorn's access log knows no request id: ours replaces both.
    for name in ("httpx", "httpcore", "uvicorn.access"):
        logging.getLogger(name).setLevel("WARNING")
    structlog.configure(
        processors=[*processors, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return a logger; call it with an event name and key-value pairs."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(name)
    return logger
