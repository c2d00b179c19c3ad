"""Alert rules, dashboard and what the programs really offer, each as names of metrics and labels."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from prometheus_client import CollectorRegistry

from regiohub_gateway.edge.front import Front
from regiohub_shared.db.database import Database
from regiohub_shared.events.operations import operations_app
from regiohub_shared.events.watch import make_watch
from regiohub_shared.tracing import Tracer
from tests.deploy.checks.settings import environment, load
from tests.deploy.manifests import K8S, MEMBERS, Manifests

MONITORING = K8S / "components" / "monitoring"
NOWHERE = "postgresql://nobody@127.0.0.1:9/nothing"
_WORDS = {"by", "without", "on", "ignoring", "group_left", "group_right", "or", "and", "unless", "bool", "offset"}
_SCRAPED = {"job", "component", "instance", "le"}
"""Labels that Prometheus and its histograms add."""


def groups() -> dict[str, Any]:
    """The rule file as Prometheus reads it."""
    return yaml.safe_load((MONITORING / "alerts.yaml").read_text())["spec"]


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in groups()["groups"] for rule in group["rules"]}


def panels() -> list[dict[str, Any]]:
    found = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def expressions() -> dict[str, str]:
    """Every PromQL expression by where it stands."""
    told = {f"alert {name}": rule["expr"] for name, rule in alerts().items()}
    for panel in panels():
        told |= {f"panel {panel['title']} {target['refId']}": target["expr"] for target in panel["targets"]}
    return told


@dataclass(slots=True)
class Used:
    """What one expression names."""

    metrics: set[str] = field(default_factory=set)
    labels: set[str] = field(default_factory=set)
    matched: set[tuple[str, str, str]] = field(default_factory=set)
    """Metric, label and value of each equality."""


def read(expression: str) -> Used:
    """Take an expression apart: metric names, labels, and which values are asked for."""
    found = Used()
    for metric, matchers in re.findall(r"([a-z_][a-z0-9_]*)\{([^}]*(?:\}[^\"]*\"[^}]*)*)\}", expression):
        for label, operator, value in re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', matchers):
            found.labels.add(label)
            if operator == "=":
                found.matched.add((metric, label, value))
    bare = re.sub(r'"[^"]*"', '""', expression)
    bare = re.sub(r"\{[^}]*\}", "", bare)
    for listed in re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", bare):
        found.labels |= {name.strip() for name in listed.split(",")}
    bare = re.sub(r"\b(?:by|without|on|ignoring)\s*\([^)]*\)", "", bare)
    bare = re.sub(r"\[[^\]]*\]", "", bare)
    names = re.findall(r"(?<![\w.])([a-z_][a-z0-9_]*)\b(?!\s*\()", bare)
    found.metrics = {name for name in names if name not in _WORDS}
    return found


@dataclass(frozen=True, slots=True)
class Offered:
    """What all programs' `/metrics` together have."""

    metrics: set[str]
    labels: set[str]
    degraded: set[str]
    """Values of the label `name` of the gauge `degraded`."""


async def offered(manifests: Manifests) -> Offered:
    """Ask each API and worker, made from its pod's own environment; none of them has a database here."""
    found = Offered({"up"}, set(_SCRAPED), set())
    for member in MEMBERS:
        app, registry = _api(manifests, member)
        await _ask(app, registry, found)
    for member in ("booking", "access", "billing"):
        watch = make_watch(Tracer())
        folder = Path(__import__(f"regiohub_{member}").__file__).parent / "migrations"
        await _ask(operations_app(watch, Database(NOWHERE), folder), watch.registry, found)
    return found


def _api(manifests: Manifests, member: str) -> tuple[Any, CollectorRegistry]:
    pod = next(pod for pod in manifests.programs() if (pod.name, pod.component) == (member, "api"))
    settings = load(member, environment(manifests, pod) | {f"{member.upper()}_DATABASE_URL": NOWHERE})
    module = __import__(f"regiohub_{member}.main", fromlist=["make_app"])
    app = module.make_app(settings)
    return app, (app._pages if isinstance(app, Front) else app).state.metrics


async def _ask(app: Any, registry: CollectorRegistry, found: Offered) -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200, answer.text
    found.metrics.update(_names(answer.text))
    found.degraded.update(re.findall(r'^degraded\{name="([^"]+)"\}', answer.text, re.MULTILINE))
    for collector in registry._collector_to_names:
        found.labels.update(getattr(collector, "_labelnames", ()))


def _names(text: str) -> Iterator[str]:
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
        yield name
        if kind == "histogram":
            yield from (f"{name}_{part}" for part in ("bucket", "sum", "count"))
