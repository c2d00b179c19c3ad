"""Alerts and dashboard: the rules do what they say, name what the programs really tell, and the runbook knows each."""

import json
import re

import pytest
import yaml

from tests.deploy import monitoring, promtool
from tests.deploy.manifests import ROOT, Manifests

TESTS = ROOT / "tests" / "deploy" / "alerts_test.yaml"
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()


@pytest.fixture
def rules(tmp_path):
    """A folder with the rules as Prometheus reads them, and their tests."""
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(monitoring.groups()))
    (tmp_path / "alerts_test.yaml").write_text(TESTS.read_text())
    return tmp_path


def test_promtool_reads_the_rules_and_plays_their_tests(rules):
    assert promtool.run("check", "rules", rules / "rules.yaml") == ""
    assert promtool.run("test", "rules", rules / "alerts_test.yaml") == ""


def test_promtool_notices_a_rule_that_fires_too_late(rules):
    file = rules / "rules.yaml"
    file.write_text(file.read_text().replace("outbox_oldest_seconds) > 300", "outbox_oldest_seconds) > 3000"))

    assert "FactsLate" in promtool.run("test", "rules", rules / "alerts_test.yaml")


def test_each_alert_is_shown_to_fire_and_to_be_quiet():
    told = [case for group in yaml.safe_load(TESTS.read_text())["tests"] for case in group["alert_rule_test"]]
    fires = {case["alertname"] for case in told if case["exp_alerts"]}
    quiet = {case["alertname"] for case in told if not case["exp_alerts"]}
    assert fires == quiet == monitoring.alerts().keys()


async def test_rules_and_dashboard_name_only_what_the_programs_tell(rendered):
    offered = await monitoring.offered(rendered["prod"])
    for where, expression in monitoring.expressions().items():
        used = monitoring.read(expression)
        assert used.metrics, where
        assert used.metrics <= offered.metrics, where
        assert used.labels <= offered.labels, where
        named = {value for metric, label, value in used.matched if (metric, label) == ("degraded", "name")}
        assert named <= offered.degraded, where


async def test_whatever_can_limp_has_an_alert_and_a_row_in_the_runbook(rendered):
    offered = await monitoring.offered(rendered["prod"])
    asked = {
        value
        for rule in monitoring.alerts().values()
        for metric, label, value in monitoring.read(rule["expr"]).matched
        if (metric, label) == ("degraded", "name")
    }
    # Two have gauges of their own, which say more.
    assert asked | {"outbox", "loops_failing"} == offered.degraded
    table = RUNBOOK.partition("## `degraded` names it")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == offered.degraded


@pytest.mark.parametrize(
    ("expression", "metrics", "labels"),
    [
        ('max by (job) (degraded{name="x", route!~"/v1/{id}/sync"}) == 1', {"degraded"}, {"job", "name", "route"}),
        ("histogram_quantile(0.99, sum by (job, le) (rate(a_bucket[5m]))) > 2", {"a_bucket"}, {"job", "le"}),
        ('time() - max(b) > 1e3 unless absent(up{job="c"}) or d offset 5m', {"b", "up", "d"}, {"job"}),
    ],
)
def test_an_expression_is_read_rightly(expression, metrics, labels):
    used = monitoring.read(expression)
    assert (used.metrics, used.labels) == (metrics, labels)


def test_the_runbook_has_a_section_for_each_alert_and_for_no_other():
    section = RUNBOOK.partition("## Alerts")[2].partition("\n## ")[0]
    parts = re.findall(r"^### (\w+)\n\n(.+?)(?=\n### |\Z)", section, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in parts] == list(monitoring.alerts())
    for name, rule in monitoring.alerts().items():
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{name.lower()}"
    for name, text in parts:
        assert text.count("\n- ") + text.startswith("- ") >= 2, f"{name}: what it means, and what to do"
        assert "- Means: " in text, name
        assert "- Do: " in text, name


def test_the_cluster_gets_rules_and_dashboard(rendered: dict[str, Manifests]):
    for manifests in rendered.values():
        assert manifests.find("PrometheusRule", "regiohub")["spec"] == monitoring.groups()
        found = manifests.find("ConfigMap", "regiohub-dashboard")
        assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert json.loads(found["data"]["regiohub.json"])["uid"] == "regiohub"


def test_panels_do_not_overlap_and_each_has_a_name_and_a_unit():
    taken: set[tuple[int, int]] = set()
    for panel in monitoring.panels():
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["title"], panel["id"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
