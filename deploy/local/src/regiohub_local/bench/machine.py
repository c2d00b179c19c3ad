"""What the machine says of itself: processors, memory, and who used the time. Linux's /proc."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Seconds of processor time that a process has used, its own and the kernel's for it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mb(pid: int) -> float:
    """Resident memory in MB, shared pages included."""
    return _status_kb(pid, "VmRSS") / 1024


def pss_mb(pids: list[int]) -> float:
    """Memory of several processes in MB, each shared page counted once among those that share it."""
    return sum(_rollup_kb(pid) for pid in pids) / 1024


def _status_kb(pid: int, key: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{key}:")), 0)


def _rollup_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended meanwhile, or is not ours to see
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


@dataclass(frozen=True, slots=True)
class Moment:
    """Seconds of processor time since boot: of everybody, stolen by the host, and of given groups of ours."""

    total: float
    busy: float
    steal: float
    ours: float


def moment(pids: list[int]) -> Moment:
    """Look at the clock; `pids` are our own processes, and our children that have ended count too."""
    fields = [int(value) / TICKS for value in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle, steal = fields[3] + fields[4], fields[7]
    own = os.times()
    ours = own.user + own.system + own.children_user + own.children_system + sum(map(all_cpu_s, pids))
    return Moment(sum(fields), sum(fields) - idle - steal, steal, ours)


def all_cpu_s(pid: int) -> float:
    """The same with that of its children that have ended; nothing for a process that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS


def weather(before: Moment, after: Moment) -> dict[str, float]:
    """Shares of all processors between two moments: what others used, and what the host took away."""
    whole = max(after.total - before.total, 0.01)
    foreign = (after.busy - before.busy) - (after.ours - before.ours)
    return {"foreign": max(0.0, foreign / whole), "steal": (after.steal - before.steal) / whole}


def describe() -> dict[str, str]:
    """The machine in words, without its name or paths."""
    return {
        "processor": f"{os.cpu_count()} × {_first('/proc/cpuinfo', 'model name')}",
        "memory": f"{int(_first('/proc/meminfo', 'MemTotal').split()[0]) / 1024**2:.0f} GB",
        "system": f"{_os_name()}, Linux {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
    }


def _first(path: str, key: str) -> str:
    lines = Path(path).read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "0 unknown")


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()
