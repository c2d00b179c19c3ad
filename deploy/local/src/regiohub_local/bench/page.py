"""`docs/performance.md` from the figures of a run. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from statistics import median
from string import Template
from typing import Any

from regiohub_local.bench import figures
from regiohub_local.bench.figures import Goal, Told, ratios, told

_ROWS = (
    ("ceiling", "pgbench: the SQL of a booking, nothing else"),
    ("alone", "booking's API alone (bearer token)"),
    ("gateway", "through the gateway (session cookie)"),
)


def render(found: dict[str, Any]) -> str:
    """Return the whole page."""
    text = Template((files("regiohub_local.bench") / "performance.md.tmpl").read_text())
    return text.substitute(_words(found))


def summary(found: dict[str, Any]) -> str:
    """Return the goals with their figures, for whoever waits at the terminal."""
    return "\n".join(f"  {name:<56}{value:<28}{goal:<26}{verdict}" for name, value, goal, verdict in _goals(found))


def _words(found: dict[str, Any]) -> dict[str, str]:
    turns, whole = found["turns"], found["whole"]
    machine = found["machine"]
    return {
        "date": found["date"], "rounds": str(found["rounds"]), "seconds": f"{found['seconds']:.0f}",
        "connections": str(found["connections"]), "minutes": f"{found['took_s'] / 60:.0f}",
        "machine": "\n".join(f"| {name} | {value} |" for name, value in machine.items()),
        "weather": _weather([turn[name] for turn in turns for name in turn] + whole),
        "goals": _table(("What", "Median (range)", "Goal", ""), _goals(found)),
        "bookings": _table(("Way", "Bookings/s", "Of the ceiling", "p50 ms", "p99 ms"), _bookings(turns, whole)),
        "cpu": _table(("Processor, ms per booking", *(name for name, _ in _ROWS)), _cpu(turns)),
        "booking_profile": _table(("Part of booking's API", "ms per booking", "Share"), _profile(found["profile"]["booking"])),
        "gateway_profile": _table(("Part of the gateway", "ms per request", "Share"), _profile(found["profile"]["gateway"])),
        "every": f"{found['profile']['booking']['every_ms']:.1f}",
        "growth": _table(("Past bookings", "Bookings/s", "p50 ms", "p99 ms"), _growth(found)),
        "others": _table(("What", "Figure"), _others(found)),
        "memory": _table(("Program", "MB"), _memory(found["memory_mb"])),
        "missed": _missed(found),
    }  # fmt: skip


def _column(rows: Sequence[dict[str, Any]], key: str) -> list[float]:
    return [row[key] for row in rows]


def _goals(found: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    turns = found["turns"]
    ceiling = [turn["ceiling"]["rate"] for turn in turns]
    rows = [
        ("booking's API alone, of the ceiling", ratios([t["alone"]["rate"] for t in turns], ceiling), figures.ALONE, 2),
        ("through the gateway, of the ceiling", ratios([t["gateway"]["rate"] for t in turns], ceiling), figures.GATEWAY, 2),
        ("gateway: processor per proxied request, ms", [found["proxy"]["bearer"]["cpu_ms"]], figures.PROXY_MS, 2),
        ("the same with a session cookie, ms", [found["proxy"]["session"]["cpu_ms"]], figures.PROXY_MS, 2),
        ("reader: decision, p99 in ms", [found["door"]["p99"]], figures.DECISION_MS, 1),
        ("growth: p99 with many past bookings, of that with few",
         ratios([t["many"]["p99"] for t in turns], [t["few"]["p99"] for t in turns]), figures.GROWTH, 2),
    ]  # fmt: skip
    return [
        (name, _told(told(values), digits), goal.text, _verdict(goal, values)) for name, values, goal, digits in rows
    ]


def _verdict(goal: Goal, values: Sequence[float]) -> str:
    return "met" if goal.is_met(median(values)) else "**missed**"


def _missed(found: dict[str, Any]) -> str:
    names = [name for name, _, _, verdict in _goals(found) if verdict != "met"]
    return f"Missed in this run: {'; '.join(names)}." if names else "Every goal was met in this run."


def _told(value: Told, digits: int) -> str:
    middle = f"{value.median:,.{digits}f}"
    if value.low == value.high:
        return middle
    return f"{middle} ({value.low:,.{digits}f}–{value.high:,.{digits}f})"


def _bookings(turns: Sequence[dict[str, Any]], whole: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    ceiling = [turn["ceiling"]["rate"] for turn in turns]
    rows = [_way(words, [turn[name] for turn in turns], ceiling) for name, words in _ROWS]
    words = "through the gateway, all programs at work (after the rounds)"
    return [*rows, _way(words, whole, [median(ceiling)] * len(whole))]


def _way(words: str, rows: Sequence[dict[str, Any]], ceiling: Sequence[float]) -> tuple[str, ...]:
    share = _told(told(ratios(_column(rows, "rate"), ceiling)), 2)
    times = (_told(told(_column(rows, key)), 1) for key in ("p50", "p99"))
    return words, _told(told(_column(rows, "rate")), 0), share, *times


def _cpu(turns: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    programs = dict.fromkeys(name for turn in turns for way, _ in _ROWS for name in turn[way]["cpu_ms"])
    rows = []
    for program in programs:
        each = [median(turn[way]["cpu_ms"].get(program, 0.0) for turn in turns) for way, _ in _ROWS]
        if max(each) >= 0.05:
            rows.append((program, *(f"{value:.2f}" if value else "–" for value in each)))
    return rows


def _profile(profile: dict[str, Any]) -> list[tuple[str, ...]]:
    rows = [(name, f"{ms:.2f}", f"{ms / profile['cpu_ms']:.0%}") for name, ms in profile["parts"].items()]
    return [*rows, ("all", f"{profile['cpu_ms']:.2f}", "100%")]


def _growth(found: dict[str, Any]) -> list[tuple[str, ...]]:
    rows = ((f"{found[name]:,}", [turn[name] for turn in found["turns"]]) for name in ("few", "many"))
    return [
        (words, *(_told(told(_column(row, key)), digits) for key, digits in (("rate", 0), ("p50", 1), ("p99", 1))))
        for words, row in rows
    ]


def _others(found: dict[str, Any]) -> list[tuple[str, str]]:
    search, hot, door, lag = found["search"], found["hot"], found["door"], found["lag"]
    seconds = told([one["seconds"] for one in hot["tries"]])
    after = told([one["lag"]["seconds"] for one in found["whole"]])
    return [
        ("free desks in a hub of 200 with 100,000 bookings, one asker: p50 / p99", _two(search["at_once_1"])),
        ("the same, four askers at once: p50 / p99", _two(search["at_once_4"])),
        (f"{hot['clients']} clients, one slot: one 201, all others 409, three times; until the last answer",
         f"{_told(seconds, 2)} s"),
        (f"outbox lag after the last round: {lag['deliveries']:,} deliveries that had waited for the worker",
         f"{lag['seconds']:.0f} s, {lag['deliveries'] / max(lag['seconds'], 0.01):.0f} per second"),
        ("the oldest fact that waited then", f"{lag['oldest_s']:.0f} s"),
        ("outbox lag after bookings with all programs at work: until the last fact was told", f"{_told(after, 1)} s"),
        ("the oldest fact that waited then", f"{max(one['lag']['oldest_s'] for one in found['whole']):.1f} s"),
        (f"reader: {door['count']} decisions on real passes, one every 50 ms, note on disk included: p50 / p99", _two(door)),
        ("the same without a pause, while the reader also tells access of each: p50 / p99", _two(door["rush"])),
        ("the whole house from nothing, Keycloak's distribution at hand: until all is ready", f"{found['start_s']:.0f} s"),
    ]  # fmt: skip


def _two(row: dict[str, Any]) -> str:
    return f"{row['p50']:.1f} / {row['p99']:.1f} ms"


def _memory(memory: dict[str, float]) -> list[tuple[str, str]]:
    """All readers, and all their pages, are alike: the largest of each stands for them."""
    alike = ("reader-", "page-")
    rows = [(name, f"{value:.0f}") for name, value in sorted(memory.items()) if not name.startswith(alike)]
    for prefix in alike:
        several = [value for name, value in memory.items() if name.startswith(prefix)]
        rows.append((f"{prefix}… ({len(several)}, the largest)", f"{max(several, default=0):.0f}"))
    return rows


def _weather(measured: Sequence[dict[str, Any]]) -> str:
    foreign, steal = (told(_column(measured, key)) for key in ("foreign", "steal"))
    return (
        f"other programs on the machine {foreign.median:.0%} of the processors (up to {foreign.high:.0%} in one measurement), "
        f"stolen by the host {steal.median:.1%} (up to {steal.high:.1%})"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
