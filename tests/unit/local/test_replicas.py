"""Programs run twice behind a balancer that leads new connections to who is ready and stays."""

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from regiohub_local import plan, processes
from regiohub_local.balancer import Balancer
from regiohub_local.replicas import Replicas


@asynccontextmanager
async def _replica(answers):
    """A server that counts who asks whether it is ready, and answers as `answers` says; yields its port."""

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        body = str(writer.get_extra_info("sockname")[1]).encode()
        writer.write(
            b"HTTP/1.1 %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (answers[0], len(body), body)
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def _balanced(tmp_path, *answers):
    """A balancer before one replica per item of `answers`; yields its port and theirs."""
    async with AsyncExitStack() as stack:
        targets = [await stack.enter_async_context(_replica(answer)) for answer in answers]
        balancer = Balancer("api", targets[0], targets=tuple(targets), leaving=tmp_path)
        port = await balancer.open()
        watching = asyncio.create_task(balancer.watch())
        try:
            yield port, targets, balancer
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await balancer.close()


async def _until_ready(balancer, targets):
    async with asyncio.timeout(30):
        while balancer.ready != set(targets):
            await asyncio.sleep(0.05)


async def _ask(port):
    """The port of the replica that answered; 0 without an answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        return int((await reader.read()).rpartition(b"\r\n\r\n")[2] or 0)
    except ConnectionResetError:  # nobody read what we had written
        return 0
    finally:
        writer.close()


async def test_new_connections_go_to_ready_replicas_by_turns(tmp_path):
    async with _balanced(tmp_path, [b"200 OK"], [b"200 OK"]) as (port, targets, balancer):
        await _until_ready(balancer, targets)

        assert {await _ask(port), await _ask(port)} == set(targets)


async def test_a_replica_that_leaves_or_is_not_ready_gets_no_new_connection(tmp_path):
    second = [b"503 No"]
    async with _balanced(tmp_path, [b"200 OK"], second) as (port, targets, balancer):
        await _until_ready(balancer, targets[:1])
        assert [await _ask(port) for _ in range(3)] == [targets[0]] * 3

        second[0] = b"200 OK"
        await _until_ready(balancer, targets)
        (tmp_path / str(targets[0])).touch()
        assert [await _ask(port) for _ in range(3)] == [targets[1]] * 3

        (tmp_path / str(targets[1])).touch()
        assert await _ask(port) == 0


def test_every_api_and_worker_runs_twice_and_is_known_by_its_old_address(tmp_path):
    house = plan.make_house(tmp_path, prefer={})
    single = plan.programs(house, dict.fromkeys(plan.DATABASES, "postgresql://app"))
    programs = {one.name: one for one in Replicas(apis=2, workers=2).rewire(house, single)}

    ports = [one.port for one in programs.values() if one.port]
    assert len(set(ports)) == len(ports)
    for name in plan.DATABASES:
        assert programs[name].port == house.ports[name]
        assert "uvicorn" not in programs[name].command
        for copy in (programs[f"{name}-1"], programs[f"{name}-2"]):
            assert str(copy.port) in copy.command
            assert str(copy.port) in programs[name].command
            assert copy.ready == f"http://127.0.0.1:{copy.port}/readyz"
    for name in plan.SERVICES:
        assert f"{name}-worker" not in programs
        assert {f"{name}-worker-1", f"{name}-worker-2"} <= programs.keys()


def test_one_of_each_stays_as_it_is(tmp_path):
    house = plan.make_house(tmp_path, prefer={})
    single = plan.programs(house, dict.fromkeys(plan.DATABASES, "postgresql://app"))

    assert Replicas().rewire(house, single) == single


def test_a_stopped_process_stands_still_until_it_goes_on(tmp_path):
    pid = processes.spawn(tmp_path, "one", ["sleep", "60"], {}).pid
    try:
        _wait_for_state(pid, "S")
        assert processes.stop(tmp_path, "one")
        _wait_for_state(pid, "T")
        assert processes.go_on(tmp_path, "one")
        _wait_for_state(pid, "S")
    finally:
        processes.end_all(tmp_path)
    assert not processes.stop(tmp_path, "one")


def _wait_for_state(pid, letter):
    deadline = time.monotonic() + 30
    while _state(pid) != letter:
        assert time.monotonic() < deadline, _state(pid)
        time.sleep(0.02)


def _state(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
