"""`run` and `stop` at the same time: one line says what happened."""

import sys
import threading

import pytest

from regiohub_local import postgres, processes, supervise
from regiohub_local.supervise import StartError


@pytest.fixture
def house(monkeypatch):
    """Neither Keycloak nor PostgreSQL: only who waits for whom."""
    monkeypatch.setattr(postgres, "is_running", lambda state_dir: False)
    monkeypatch.setattr(postgres, "stop", lambda state_dir: None)
    return monkeypatch


def test_a_start_waits_for_the_end_of_a_stop_and_says_so(house, tmp_path):
    lines, order = [], []
    begun, may_end = threading.Event(), threading.Event()

    def slow(state_dir, *names):
        begun.set()
        may_end.wait(20)
        order.append("stopped")

    house.setattr(processes, "end", slow)
    house.setattr(supervise, "_start", lambda state_dir, prefer, say, rewire: order.append("started"))
    stop = threading.Thread(target=supervise.stop, args=(tmp_path,))
    stop.start()
    assert begun.wait(20)
    threading.Timer(0.3, may_end.set).start()
    supervise.start(tmp_path, say=lines.append)
    stop.join(20)

    assert order[-1] == "started"
    assert lines == ["`stop` is still at work here: waiting for its end"]


def test_a_start_that_a_stop_ended_says_so(house, tmp_path):
    def interrupted(state_dir, prefer, say, rewire):
        supervise.stop(tmp_path)
        raise StartError("mail ended while starting: it said nothing")

    house.setattr(supervise, "_start", interrupted)

    with pytest.raises(StartError, match="`stop` ended the house while it was starting"):
        supervise.start(tmp_path)


def test_a_start_that_failed_by_itself_names_its_own_reason(house, tmp_path):
    def broken(state_dir, prefer, say, rewire):
        raise StartError("mail ended while starting: it said nothing")

    supervise.stop(tmp_path)
    house.setattr(supervise, "_start", broken)

    with pytest.raises(StartError, match="mail ended"):
        supervise.start(tmp_path)


@pytest.fixture
def sleeper(tmp_path):
    """Something that runs, recorded under the asked name."""

    def spawned(name):
        processes.spawn(tmp_path, name, [sys.executable, "-c", "import time; time.sleep(300)"], {})
        return tmp_path

    yield spawned
    processes.end_all(tmp_path)
    processes.reap()


@pytest.mark.parametrize("name", ["supervisor", "gateway"])
@pytest.mark.parametrize("error", [StartError("no answer"), KeyboardInterrupt()])
def test_a_failed_start_leaves_the_house_that_runs_without_a_server_of_ours(house, sleeper, name, error):
    def broken(state_dir, prefer, say, rewire):
        raise error

    state = sleeper(name)
    house.setattr(supervise, "_start", broken)

    with pytest.raises(type(error)):
        supervise.start(state)

    assert processes.find(state, name)


def test_a_failed_start_ends_its_half_of_a_house(house, sleeper, tmp_path):
    def broken(state_dir, prefer, say, rewire):
        sleeper("mail")
        raise StartError("no answer")

    house.setattr(supervise, "_start", broken)

    with pytest.raises(StartError, match="no answer"):
        supervise.start(tmp_path)

    assert processes.marked(tmp_path) == {}
