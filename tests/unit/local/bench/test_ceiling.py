"""What counts of pgbench's log."""

from regiohub_local.bench.ceiling import measured


def _line(at: float, us: int) -> list[str]:
    """As pgbench writes it: client, number, microseconds, script, and the time of its end in two parts."""
    return ["0", "1", str(us), "0", str(int(at)), str(round(at % 1 * 1e6))]


def test_neither_the_first_second_nor_what_came_after_the_measured_time_counts():
    log = [
        _line(100.0, 1),
        _line(100.9, 2),
        _line(101.0, 3000),
        _line(105.25, 4000),
        _line(109.0, 5000),
        _line(109.1, 6),
    ]
    assert measured(log, 8) == [3, 4, 5]
    assert measured([], 8) == []
