"""Each service keeps what its OpenAPI says, whoever asks and whatever: no server error, no answer that is not declared.

schemathesis makes the requests, right and wrong ones, the same in every run; the paths are also filled with the scene's
real objects, since an invented id ends at 404.
"""

import json
import re
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from itertools import cycle
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig

from tests.service.matrix.calls import CALLS
from tests.service.matrix.roles import HEADERS, ROLES, SUBS
from tests.service.matrix.scene import Scene
from tests.service.openapi.conftest import SERVICES, Served

ROOT = Path(__file__).parents[3]
EXAMPLES, AT_ONCE = 6, 5
"""Requests per operation, kind (right or wrong) and object (known or invented); by how many roles each is sent."""


RULES = {
    # A parameter that we do not know is left alone, as everywhere in the web; who asks is this test's choice.
    "generation": {"allow-extra-parameters": False, "with-security-parameters": False},
    # A rule of the field can refuse what the schema allows: by its name, with a declared status.
    "checks": {
        "positive_data_acceptance": {
            "expected-statuses": ["2xx", "400", "401", "403", "404", "408", "409", "412", "422", "428", "429"]
        }
    },
}


def schema_of(service: str) -> Any:
    document = json.loads((ROOT / f"services/{service}/openapi.json").read_text())
    return schemathesis.openapi.from_dict(document, config=SchemathesisConfig.from_dict(RULES))


SCHEMAS = {service: schema_of(service) for service in SERVICES}
OPERATIONS = [
    (service, operation.ok().path, operation.ok().method.upper())
    for service, schema in SCHEMAS.items()
    for operation in schema.get_all_operations()
]


def known_path(scene: Scene, service: str, route: str) -> dict[str, str]:
    """The path's parameters as the matrix fills them."""
    template = route.partition(" ")[2]
    path = CALLS[service][route](scene, "mine", scene.things["mine"]).path
    pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template))
    found = re.fullmatch(pattern, path)
    assert found, (template, path)
    return found.groupdict()


def has_input(operation: Any) -> bool:
    return bool(list(operation.iter_parameters()) or list(operation.body))


def strategies(operation: Any, known: dict[str, str]) -> Iterator[tuple[GenerationMode, Any]]:
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    for mode in modes if has_input(operation) else modes[:1]:
        for parameters in ({}, known) if known else ({},):
            yield mode, operation.as_strategy(mode, path_parameters=parameters or None)


def shortened(case: Any) -> Any:
    """A reader may ask to wait ten seconds for news."""
    if isinstance(case.body, dict) and case.body.get("wait_s"):
        case.body["wait_s"] = 0
    return case


@pytest.mark.parametrize(("service", "path", "method"), OPERATIONS)
def test_every_answer_is_one_that_was_promised(served: Served, service: str, path: str, method: str):
    operation = SCHEMAS[service][path][method]
    known = known_path(served.scene, service, f"{method} {path}")
    groups = cycle([ROLES[n : n + AT_ONCE] for n in range(0, len(ROLES), AT_ONCE)] if has_input(operation) else [ROLES])
    with requests.Session() as session:
        for mode, strategy in strategies(operation, known):

            @hypothesis.settings(
                max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            @given(case=strategy)
            def each(case: Any) -> None:
                for role in next(groups):
                    ask(served, session, service, shortened(case), role)

            # Where every text is right (a slug, a name in a path), there is nothing wrong to send.
            with suppress(Unsatisfiable) if mode is GenerationMode.NEGATIVE else nullcontext():
                each()


def ask(served: Served, session: requests.Session, service: str, case: Any, role: str) -> None:
    served.scene.street.booking.userinfo.sub = SUBS[role]
    answer = case.call(base_url=served.urls[service], session=session, headers=HEADERS[role])
    case.validate_response(answer, headers=HEADERS[role])
    if case.method != "GET" and answer.status_code < 400:
        served.put_back(service)
