"""Writes each service's OpenAPI document beside its code, or says what differs from the committed one."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI
from pydantic import SecretStr

import regiohub_access.main
import regiohub_access.settings
import regiohub_billing.main
import regiohub_billing.settings
import regiohub_booking.main
import regiohub_booking.settings
from regiohub_local.plan import ROOT

# Nothing is connected to: the documents come from routes and types alone.
_DATABASE = "postgresql://nobody@localhost/none"
_ISSUER = "http://localhost/realms/regiohub"
_KEY = SecretStr("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")


def _booking() -> FastAPI:
    return regiohub_booking.main.make_app(
        regiohub_booking.settings.Settings(database_url=_DATABASE, issuer=_ISSUER),
    )


def _access() -> FastAPI:
    return regiohub_access.main.make_app(
        regiohub_access.settings.Settings(database_url=_DATABASE, issuer=_ISSUER, secret_key=_KEY),
    )


def _billing() -> FastAPI:
    return regiohub_billing.main.make_app(
        regiohub_billing.settings.Settings(database_url=_DATABASE, issuer=_ISSUER),
    )


SERVICES: dict[str, Callable[[], FastAPI]] = {"booking": _booking, "access": _access, "billing": _billing}


def document(name: str) -> str:
    """Return the document as it is committed: sorted, indented, one newline at the end."""
    return json.dumps(SERVICES[name]().openapi(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def path(name: str) -> Path:
    """Where the document of a service stands."""
    return ROOT / "services" / name / "openapi.json"


def difference(name: str) -> list[str]:
    """Return the lines in which code and committed document differ."""
    committed = path(name).read_text() if path(name).exists() else ""
    return list(difflib.unified_diff(committed.splitlines(), document(name).splitlines(), "committed", "code", n=1))


def main() -> int:
    """Write, or with ``--check`` compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    failed = False
    check = parser.parse_args().check
    for name in SERVICES:
        if not check:
            path(name).write_text(document(name))
        elif changed := difference(name):
            failed = True
            print(f"services/{name}/openapi.json differs from the code (make openapi):", *changed[:40], sep="\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
