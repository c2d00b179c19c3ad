"""`make chaos` in short: a minute of faults in which every kind of program dies and workers stand still, and every promise holds at rest."""

import os
import re
import subprocess
import sys

from regiohub_local.chaos.faults import KINDS


def test_every_promise_holds_after_a_minute_of_kills_cuts_and_disturbed_facts(tmp_path):
    command = [sys.executable, "-m", "regiohub_local", "chaos", "--seconds", "60", "--bookings", "60", "--kills", "1"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=1200, check=False, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    said = done.stdout + done.stderr

    assert done.returncode == 0, said[-6000:]
    told = re.search(r"Kills by kind: (.*)", said)
    assert told
    kills = {name: int(count) for name, count in (item.rsplit(" ", 1) for item in told[1].split(", "))}
    assert kills.keys() == KINDS.keys()
    assert min(kills.values()) >= 1
    assert int(re.search(r"workers stopped (\d+)", said)[1]) >= 1
    delivered, attempts = map(int, re.findall(r"\d+", re.search(r"Facts delivered: .*", said)[0]))
    assert attempts > delivered > 0
    assert list(tmp_path.iterdir()) == []
