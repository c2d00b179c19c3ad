"""docs/settings.md names every setting of every program with its default, and none that nobody reads."""

import ast
import importlib.util
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from regiohub_access.reader.clock import make_clock
from regiohub_access.reader.settings import Settings as Reader
from regiohub_access.settings import Settings as Access
from regiohub_billing.settings import Settings as Billing
from regiohub_booking.settings import Settings as Booking
from regiohub_gateway.settings import Settings as Gateway
from regiohub_local.plan import ROOT
from regiohub_local.reader_page.settings import Settings as ReaderPage
from regiohub_local.stripe_sandbox.settings import Settings as Sandbox
from regiohub_shared import tracing
from regiohub_shared.events.operations import Address
from regiohub_shared.settings import ServiceSettings

PAGE = (ROOT / "docs" / "settings.md").read_text()
MEMBERS: dict[str, type[ServiceSettings]] = {
    "booking": Booking, "access": Access, "billing": Billing, "gateway": Gateway,
}  # fmt: skip
COMMON = "Every service and the gateway"
_NOT_SETTINGS = {
    "PATH",  # every program's
    "PLAYWRIGHT_NODEJS_PATH",  # set by us
    "MIGRATE_URL",  # from the launcher to its own child
    "GATEWAY_LOGINS_PER_MINUTE",  # the gateway's, raised for pictures
}


def rows(section: str) -> dict[str, list[str]]:
    """Return the cells of a section's table by name; every row names one setting."""
    text = next(part for part in PAGE.split("\n## ") if part.startswith(section))
    lines = re.findall(r"^\| (.+) \|$", text, re.MULTILINE)[1:]
    found: dict[str, list[str]] = {}
    for line in lines:
        name, *cells = [cell.strip() for cell in line.split(" |")]
        assert re.fullmatch(r"`[A-Z_<>]+`", name), name
        assert name not in found, f"{name} stands there twice"
        found[name.strip("`")] = [cell.removeprefix("|").strip() for cell in cells]
    return found


def defaults(section: str) -> dict[str, str]:
    return {name: cells[0] for name, cells in rows(section).items()}


def told(field: FieldInfo) -> str:
    """Say a default as the page says it."""
    if field.is_required():
        return "required"
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    return "empty" if value == "" else f"`{value}`"


def of_class(settings: type[BaseSettings], *, without: set[str] = frozenset()) -> dict[str, str]:
    return {name.upper(): told(field) for name, field in settings.model_fields.items() if name not in without}


def test_what_every_member_has():
    wanted = of_class(ServiceSettings) | {"CLIENT_ID": "`regiohub-<name>`"}
    assert defaults(COMMON) == wanted


@pytest.mark.parametrize("member", MEMBERS)
def test_what_a_member_adds(member):
    settings = MEMBERS[member]
    assert defaults(f"{member} (`{member.upper()}_`)") == of_class(settings, without=set(ServiceSettings.model_fields))
    assert settings.model_config["env_prefix"] == f"{member.upper()}_"
    assert settings.model_fields["client_id"].default == f"regiohub-{member}"
    for name in ServiceSettings.model_fields.keys() - {"client_id"}:
        assert told(settings.model_fields[name]) == told(ServiceSettings.model_fields[name]), name


def test_what_billing_reads_without_a_prefix():
    named = {name for name, cells in rows("billing").items() if "without the prefix" in cells[1]}
    fields = Billing.model_fields.items()
    assert named == {name.upper() for name, field in fields if isinstance(field.validation_alias, AliasChoices)}


class Asked(Mapping[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, values: dict[str, str]) -> None:
        self._values, self.names = values, set[str]()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def test_what_a_reader_reads():
    page = defaults("reader (`READER_`)")
    values = dict.fromkeys((f"READER_{name}" for name, default in page.items() if default == "required"), "1")
    env = Asked(values | {f"READER_{name}_URL": "http://localhost/x" for name in ("TOKEN", "SYNC")})

    made = Reader.from_env(env)
    make_clock(env)

    assert env.names == {f"READER_{name}" for name in page} | {"REGIOHUB_ENVIRONMENT", "REGIOHUB_NOW"}
    assert page["WAIT_S"] == f"`{made.wait_s}`"


def test_what_the_sandbox_and_the_page_beside_a_reader_read():
    assert defaults("Stripe sandbox (`SANDBOX_`)") == of_class(Sandbox)
    page = {str(field.validation_alias): told(field) for field in ReaderPage.model_fields.values()}
    assert defaults("Reader page") == page


def test_what_make_secrets_reads():
    spec = importlib.util.spec_from_file_location("make_secrets", ROOT / "deploy" / "k8s" / "make_secrets.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    env = Asked({})
    module.make(env)
    assert env.names == rows("Making the secrets").keys()


def test_what_the_images_script_reads():
    script = (ROOT / "deploy" / "images" / "build.sh").read_text()
    read = {
        name: f"`{value}`" if value else "empty"
        for name, value in re.findall(r"^(\w+)=\$\{\1:-(.*)\}$", script, re.MULTILINE)
    }
    assert defaults("Images") == read


def test_what_a_worker_is_told_by_arguments():
    assert f"on `--host` (`{Address().host}`) and `--port` ({Address().port}: nowhere)" in PAGE


def _asked_for(node: ast.AST) -> Iterator[str]:
    """The names that a piece of code asks `os.environ` for; an f-string's value becomes <NAME>."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="environ")), args=[name, *_]):
            yield from _text(name)
        case ast.Subscript(value=ast.Attribute(attr="environ"), slice=name):
            yield from _text(name)
        case ast.Compare(left=name, comparators=[ast.Attribute(attr="environ")]):
            yield from _text(name)


def _text(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(value)):
            yield value
        case ast.JoinedStr(values=parts):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "<NAME>" for part in parts)


def _in_code(*folders: Path) -> set[str]:
    files = [file for folder in folders for file in folder.rglob("*.py")]
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text())))
    return {name for node in nodes for name in _asked_for(node)} - _NOT_SETTINGS


def test_what_programs_ask_the_environment_for_by_themselves():
    shared = {*_in_code(ROOT / "shared" / "src"), *tracing._ENDPOINTS}
    assert shared == rows("Without a prefix").keys()
    members = [
        ROOT / "gateway" / "src",
        *(ROOT / "services" / name / "src" for name in ("booking", "access", "billing")),
    ]
    assert _in_code(*members) == set(), "members read their Settings"
    assert _in_code(ROOT / "deploy" / "local" / "src") == rows("One machine").keys()


def _sections() -> Iterator[Any]:
    yield from re.findall(r"^## (.+)$", PAGE, re.MULTILINE)


def test_every_section_is_compared():
    begun = (
        "Every",
        "Without",
        "booking",
        "access",
        "billing",
        "gateway",
        "reader",
        "Making",
        "One",
        "Stripe",
        "Reader",
        "Images",
    )
    assert [name.split()[0].rstrip(":") for name in _sections()] == list(begun)
