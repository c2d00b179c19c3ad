"""Facts leave with their change, reach each subscriber at least once and take effect once."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from regiohub_local.postgres import Urls
from regiohub_shared.clock import real_now
from regiohub_shared.db.database import Database
from regiohub_shared.events.dead_letters import replay
from regiohub_shared.events.outbox import emit, emit_on
from regiohub_shared.events.relay import Relay, RelayRules, Target
from regiohub_shared.events.watch import Watch, watched_by
from regiohub_shared.http.client import make_client
from regiohub_shared.log import configure_logging
from regiohub_shared.tracing import Tracer
from tests.service.shared.probe.app import CLIENT, ForTwo, ProbeChanged
from tests.support import tokens

FAST = RelayRules(lease_s=0.6, max_attempts=3, max_backoff_s=0.05, poll_max_s=0.05)
SERVICE = tokens.bearer("service-account", "service", azp=CLIENT)
Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
async def db(urls: Urls) -> AsyncIterator[Database]:
    made = Database(urls.app)
    yield made
    await made.close()


async def _replay(db: Database, ids: list[UUID] | None) -> int:
    async with db.session() as session:
        return await replay(session, ids, now=real_now())


class Receiver:
    """A subscriber of the test's own; ``answer`` says what it does with a delivery."""

    def __init__(self, name: str, answer: Answer | None = None) -> None:
        self.seen: list[httpx.Request] = []
        self.answer = answer or (lambda _request: httpx.Response(200, json={"applied": True}))
        self.target = Target(name, make_client("http://subscriber", transport=httpx.MockTransport(self._take)))

    async def _take(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        return self.answer(request)

    @property
    def ids(self) -> list[str]:
        return [json.loads(request.content)["id"] for request in self.seen]


class Sleeper(Receiver):
    """Answers ``status``, but only when it is told to go on."""

    def __init__(self, name: str, status: int) -> None:
        super().__init__(name, lambda _request: httpx.Response(status))
        self.claimed, self.go_on = asyncio.Event(), asyncio.Event()

    async def _take(self, request: httpx.Request) -> httpx.Response:
        self.claimed.set()
        await self.go_on.wait()
        return await super()._take(request)


@asynccontextmanager
async def relaying(db: Database, *receivers: Receiver, rules: RelayRules = FAST) -> AsyncIterator[Relay]:
    """A relay that runs while the block does, and then ends by itself."""
    relay, stop = Relay(db, "/probe", [receiver.target for receiver in receivers], rules), asyncio.Event()
    async with AsyncExitStack() as stack:
        for receiver in receivers:
            stack.push_async_callback(receiver.target.client.aclose)
        running = asyncio.create_task(relay.run(stop))
        try:
            yield relay
        finally:
            stop.set()
            await asyncio.wait_for(running, 5)


async def until(sql: asyncpg.Connection, query: str, wanted: object, *, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while await sql.fetchval(query) != wanted:
            await asyncio.sleep(0.01)


async def put(db: Database, *facts: ProbeChanged) -> None:
    async with db.session() as session:
        for fact in facts:
            await emit(session, fact, now=real_now())


DONE = "SELECT count(*) FROM outbox_delivery WHERE delivered_at IS NOT NULL"
DEAD = "SELECT count(*) FROM outbox_delivery WHERE dead_at IS NOT NULL"


class TestOutbox:
    """The fact and the change are one transaction."""

    @pytest.mark.parametrize("way", ["session", "transaction"])
    async def test_one_row_per_fact_and_one_per_subscriber(
        self, db: Database, sql: asyncpg.Connection, way: str
    ) -> None:
        fact = ForTwo(name="a", version=7)
        if way == "session":
            await put(db, fact)
        else:
            async with db.transaction() as connection:
                await emit_on(connection, fact, now=real_now())
        row = await sql.fetchrow("SELECT * FROM outbox")
        assert (row["type"], row["subject"], row["sequence"]) == ("regiohub.probe.changed", "a", 7)
        assert json.loads(row["data"]) == {"name": "a", "version": 7}
        assert row["id"].version == 7
        found = await sql.fetch("SELECT subscriber FROM outbox_delivery ORDER BY subscriber")
        assert [item["subscriber"] for item in found] == ["alive", "away"]

    @pytest.mark.parametrize("way", ["session", "transaction"])
    async def test_a_rollback_emits_nothing(self, db: Database, sql: asyncpg.Connection, way: str) -> None:
        async def fail() -> None:
            if way == "session":
                async with db.session() as session:
                    await emit(session, ForTwo(name="a", version=1), now=real_now())
                    raise LookupError
            async with db.transaction() as connection:
                await emit_on(connection, ForTwo(name="a", version=1), now=real_now())
                raise LookupError

        with pytest.raises(LookupError):
            await fail()
        assert await sql.fetchval("SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM outbox_delivery)") == 0


class TestRelay:
    """Leases, back-off, fencing and dead letters."""

    async def test_delivers_a_cloud_event(self, db: Database, sql: asyncpg.Connection) -> None:
        await put(db, ProbeChanged(name="a", version=3))
        receiver = Receiver("receiver")
        async with relaying(db, receiver):
            await until(sql, DONE, 1)
        [request] = receiver.seen
        assert request.url.path == "/internal/events"
        assert request.headers["content-type"] == "application/cloudevents+json"
        body = json.loads(request.content)
        UUID(body.pop("id"))
        assert body.pop("time").endswith(("Z", "+00:00"))
        assert body == {
            "specversion": "1.0", "source": "/probe", "type": "regiohub.probe.changed", "subject": "a", "sequence": 3,
            "data": {"name": "a", "version": 3},
        }  # fmt: skip

    async def test_the_request_that_caused_it_is_named(
        self, client: httpx.AsyncClient, db: Database, sql: asyncpg.Connection
    ) -> None:
        given = str(uuid4())
        headers = tokens.bearer("demo") | {"Idempotency-Key": "k", "X-Request-ID": given}
        await client.post("/v1/facts", json={"name": "a", "version": 1}, headers=headers)
        receiver = Receiver("receiver")
        async with relaying(db, receiver):
            await until(sql, DONE, 1)
        assert receiver.seen[0].headers["x-request-id"] == given
        assert receiver.seen[0].headers["traceparent"]

    async def test_worker_and_receiver_log_the_ids_of_the_request(
        self, client: httpx.AsyncClient, db: Database, sql: asyncpg.Connection, capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure_logging("probe")
        given = {"X-Request-ID": str(uuid4()), "traceparent": "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"}
        headers = tokens.bearer("demo") | {"Idempotency-Key": "k"} | given
        await client.post("/v1/facts", json={"name": "a", "version": 1}, headers=headers)
        receiver = Receiver("receiver", lambda _request: httpx.Response(200))
        async with relaying(db, receiver):
            await until(sql, DONE, 1)
        letter = receiver.seen[0]
        as_service = tokens.bearer("service-account", "service", azp=CLIENT)
        answer = await client.post(
            "/internal/events", content=letter.content, headers=dict(letter.headers) | as_service
        )

        assert answer.json() == {"applied": True}
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        told = {line["event"]: line for line in lines if line["event"] in {"fact_delivered", "fact_heard"}}
        assert told.keys() == {"fact_delivered", "fact_heard"}
        for line in told.values():
            assert (line["subject"], line["request_id"], line["trace_id"]) == ("a", given["X-Request-ID"], "ab" * 16)

    async def test_each_outcome_is_counted(self, db: Database, sql: asyncpg.Connection) -> None:
        watch = Watch(CollectorRegistry(), Tracer())
        answers = iter([httpx.Response(503), httpx.Response(403), httpx.Response(200)])
        watched_by(watch)
        await put(db, ProbeChanged(name="a", version=1))
        async with relaying(db, Receiver("receiver", lambda _request: next(answers))):
            await until(sql, DONE, 1)

        counted = {
            outcome: watch.registry.get_sample_value(
                "fact_deliveries_total", {"subscriber": "receiver", "outcome": outcome}
            )
            for outcome in ("failed", "refused", "delivered")
        }
        assert counted == {"failed": 1, "refused": 1, "delivered": 1}
        assert watch.registry.get_sample_value("worker_heartbeat_timestamp_seconds", {"loop": "relay-receiver"})

    async def test_a_dead_subscriber_delays_only_itself(self, db: Database, sql: asyncpg.Connection) -> None:
        def hang(_request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("refused")

        facts = [ForTwo(name=str(number), version=1) for number in range(50)]
        await put(db, *facts)
        alive, away = Receiver("alive"), Receiver("away", hang)
        started = asyncio.get_running_loop().time()
        async with relaying(db, alive, away, rules=RelayRules(max_backoff_s=30)):
            await until(sql, "SELECT count(*) FROM outbox_delivery WHERE delivered_at IS NOT NULL", 50)
        assert asyncio.get_running_loop().time() - started < 4
        assert await sql.fetchval("SELECT count(*) FROM outbox_delivery WHERE subscriber = 'away' AND last_error <> ''")
        assert (
            await sql.fetchval("SELECT count(*) FROM outbox_delivery WHERE subscriber = 'away' AND dead_at IS NULL")
            == 50
        )

    @pytest.mark.parametrize("status", [301, 401, 403, 409, 422, 500, 503])
    async def test_only_2xx_counts_as_taken(self, db: Database, sql: asyncpg.Connection, status: int) -> None:
        await put(db, ProbeChanged(name="a", version=1))
        answers = iter([status, 200])
        receiver = Receiver("receiver", lambda _request: httpx.Response(next(answers)))
        async with relaying(db, receiver):
            await until(sql, DONE, 1)
        assert len(receiver.seen) == 2
        assert await sql.fetchval("SELECT attempts FROM outbox_delivery") == 2

    async def test_dead_letter_and_replay(self, db: Database, sql: asyncpg.Connection) -> None:
        await put(db, ProbeChanged(name="a", version=1))
        receiver = Receiver("receiver", lambda _request: httpx.Response(422))
        async with relaying(db, receiver):
            await until(sql, DEAD, 1)
            await asyncio.sleep(0.2)
            assert len(receiver.seen) == FAST.max_attempts, "a dead letter rests"
            assert await sql.fetchval("SELECT last_error FROM outbox_delivery") == "HTTP 422"
            assert await _replay(db, [uuid4()]) == 0
            receiver.answer = lambda _request: httpx.Response(200)
            [fact] = [row["id"] for row in await sql.fetch("SELECT id FROM outbox")]
            assert await _replay(db, [fact]) == 1
            await until(sql, DONE, 1)
        assert await sql.fetchval(DEAD) == 0
        assert await _replay(db, None) == 0

    @pytest.mark.parametrize("status", [0, 302, 408, 425, 429, 500, 503])
    async def test_absence_never_makes_a_dead_letter(self, db: Database, sql: asyncpg.Connection, status: int) -> None:
        """A neighbour, or Keycloak, that is away for a weekend: 0 stands for no answer at all."""

        def away(_request: httpx.Request) -> httpx.Response:
            if not status:
                raise httpx.ConnectError("refused")
            return httpx.Response(status)

        await put(db, ProbeChanged(name="a", version=1))
        await sql.execute("UPDATE outbox_delivery SET attempts = 1000")
        receiver = Receiver("receiver", away)
        async with relaying(db, receiver):
            await until(sql, "SELECT attempts > 1000 + 2 * 3 FROM outbox_delivery", True)
            assert await sql.fetchval(DEAD) == 0
            assert await sql.fetchval("SELECT refusals FROM outbox_delivery") == 0
            receiver.answer = lambda _request: httpx.Response(200)
            await until(sql, DONE, 1)

    async def test_refusals_count_also_between_outages(self, db: Database, sql: asyncpg.Connection) -> None:
        await put(db, ProbeChanged(name="a", version=1))
        answers = iter([422, 503, 422, 503, 503, 404])
        receiver = Receiver("receiver", lambda _request: httpx.Response(next(answers)))
        async with relaying(db, receiver):
            await until(sql, DEAD, 1)
        assert len(receiver.seen) == 6
        assert tuple(await sql.fetchrow("SELECT attempts, refusals FROM outbox_delivery")) == (6, 3)

    async def test_two_relays_share_the_work(self, db: Database, sql: asyncpg.Connection) -> None:
        await put(db, *(ProbeChanged(name=str(number), version=1) for number in range(60)))
        one, two = Receiver("receiver"), Receiver("receiver")
        slow = RelayRules(batch=5)
        async with relaying(db, one, rules=slow), relaying(db, two, rules=slow):
            await until(sql, DONE, 60)
        assert sorted(one.ids + two.ids) == sorted({*one.ids, *two.ids}), "none was delivered by both"
        assert one.ids
        assert two.ids

    async def test_a_lapsed_lease_is_taken_over_and_the_late_outcome_is_fenced(
        self, db: Database, sql: asyncpg.Connection
    ) -> None:
        """A relay that slept past its lease reports a failure, after another one has delivered."""
        await put(db, ProbeChanged(name="a", version=1))
        claimed = asyncio.Event()
        go_on = asyncio.Event()

        class Sleeper(Receiver):
            async def _take(self, request: httpx.Request) -> httpx.Response:
                self.seen.append(request)
                claimed.set()
                await go_on.wait()
                return httpx.Response(500)

        sleeper, other = Sleeper("receiver"), Receiver("receiver")
        # A rule that lets this relay's own time-out outlast the other's lease stands for a stopped process.
        slow = Relay(db, "/probe", [sleeper.target], RelayRules(lease_s=30))
        late = asyncio.create_task(slow.deliver_due(sleeper.target))
        await claimed.wait()
        await sql.execute("UPDATE outbox_delivery SET leased_until = $1", real_now() - timedelta(seconds=1))
        async with relaying(db, other):
            await until(sql, DONE, 1)
        before = await sql.fetchrow("SELECT * FROM outbox_delivery")
        go_on.set()
        await late
        await sleeper.target.client.aclose()
        assert await sql.fetchrow("SELECT * FROM outbox_delivery") == before
        assert (len(sleeper.seen), len(other.seen), before["attempts"]) == (1, 1, 2)

    @pytest.mark.parametrize("status", [200, 422, 503])
    async def test_an_outcome_counts_only_for_its_own_attempt(
        self, db: Database, sql: asyncpg.Connection, status: int
    ) -> None:
        """A relay that slept past its lease answers while another one is at it: the row is the other one's."""
        await put(db, ProbeChanged(name="a", version=1))
        late, own = Sleeper("receiver", status), Sleeper("receiver", 200)
        relay = Relay(db, "/probe", [late.target], RelayRules(lease_s=30))
        tasks = []
        for sleeper in (late, own):
            await sql.execute("UPDATE outbox_delivery SET leased_until = $1", real_now() - timedelta(seconds=1))
            tasks.append(asyncio.create_task(relay.deliver_due(sleeper.target)))
            await asyncio.wait_for(sleeper.claimed.wait(), 5)
        before = await sql.fetchrow("SELECT * FROM outbox_delivery")
        late.go_on.set()
        await tasks[0]
        assert await sql.fetchrow("SELECT * FROM outbox_delivery") == before
        own.go_on.set()
        await tasks[1]
        after = await sql.fetchrow("SELECT * FROM outbox_delivery")
        assert (after["attempts"], after["refusals"], after["delivered_at"] is None) == (2, 0, False)
        for sleeper in (late, own):
            await sleeper.target.client.aclose()

    async def test_a_subscriber_that_never_answers_ends_within_the_lease(
        self, db: Database, sql: asyncpg.Connection
    ) -> None:
        class Hanging(Receiver):
            async def _take(self, request: httpx.Request) -> httpx.Response:
                self.seen.append(request)
                await asyncio.sleep(60)
                raise AssertionError

        await put(db, ProbeChanged(name="a", version=1))
        receiver = Hanging("receiver")
        async with relaying(db, receiver):
            await until(sql, "SELECT last_error FROM outbox_delivery", "TimeoutError", seconds=2)

    async def test_the_loop_outlives_its_database(
        self, db: Database, sql: asyncpg.Connection, admin: asyncpg.Connection
    ) -> None:
        receiver = Receiver("receiver")
        async with relaying(db, receiver):
            name = await sql.fetchval("SELECT current_database()")
            cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'probe_app' AND datname = $1"
            for number in range(5):
                await admin.execute(cut, name)
                await sql.execute(
                    "INSERT INTO outbox VALUES ($1, 't', 's', 1, $2, '{}', '{}')", UUID(int=number), real_now()
                )
                await sql.execute(
                    "INSERT INTO outbox_delivery VALUES ($1, 'receiver', 0, $2, NULL, NULL, NULL, '')",
                    UUID(int=number), real_now(),
                )  # fmt: skip
            await until(sql, DONE, 5)


class TestInbox:
    """A known id changes nothing; any order ends the same."""

    def _envelope(self, name: str, version: int, **other: object) -> dict[str, object]:
        return {
            "specversion": "1.0", "id": str(uuid4()), "source": "/probe", "type": ProbeChanged.type, "subject": name,
            "time": real_now().isoformat(), "sequence": version, "data": {"name": name, "version": version},
        } | other  # fmt: skip

    async def test_duplicates_are_applied_once(self, client: httpx.AsyncClient, sql: asyncpg.Connection) -> None:
        envelope = self._envelope("a", 1)
        answers = await asyncio.gather(
            *(client.post("/internal/events", json=envelope, headers=SERVICE) for _ in range(8))
        )
        assert [answer.status_code for answer in answers] == [200] * 8
        assert sorted(answer.json()["applied"] for answer in answers) == [False] * 7 + [True]
        assert await sql.fetchval("SELECT count(*) FROM effect") == 1
        assert await sql.fetchval("SELECT count(*) FROM inbox") == 1

    @pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1), (3, 1, 3, 2)])
    async def test_any_order(self, client: httpx.AsyncClient, sql: asyncpg.Connection, order: tuple[int, ...]) -> None:
        for version in order:
            answer = await client.post("/internal/events", json=self._envelope("a", version), headers=SERVICE)
            assert answer.status_code == 200
        assert await sql.fetchval("SELECT version FROM copy") == 3

    async def test_an_effect_that_fails_leaves_the_id_unknown(
        self, client: httpx.AsyncClient, sql: asyncpg.Connection
    ) -> None:
        envelope = self._envelope("a", 1)
        await sql.execute("ALTER TABLE effect ADD CONSTRAINT away CHECK (false)")
        assert (await client.post("/internal/events", json=envelope, headers=SERVICE)).status_code == 500
        assert await sql.fetchval("SELECT count(*) FROM inbox") == 0
        await sql.execute("ALTER TABLE effect DROP CONSTRAINT away")
        answer = await client.post("/internal/events", json=envelope, headers=SERVICE)
        assert answer.json() == {"applied": True}

    @pytest.mark.parametrize(
        ("change", "kind"),
        [
            ({"type": "regiohub.unknown"}, "unknown-fact"),
            ({"data": {"name": "a"}}, "malformed"),
            ({"specversion": "0.3"}, "malformed"),
            ({"id": "no uuid"}, "malformed"),
        ],
    )
    async def test_what_is_not_understood_is_refused(
        self, client: httpx.AsyncClient, sql: asyncpg.Connection, change: dict[str, object], kind: str
    ) -> None:
        answer = await client.post("/internal/events", json=self._envelope("a", 1, **change), headers=SERVICE)
        assert (answer.status_code, answer.json()["type"]) == (422, f"/problems/{kind}")
        assert await sql.fetchval("SELECT count(*) FROM inbox") == 0

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({}, 401),
            (tokens.bearer("demo", "member"), 403),
            (tokens.bearer("demo", "county-admin", azp=CLIENT), 403),
            (tokens.bearer("other", "service", azp="regiohub-other"), 403),
        ],
    )
    async def test_only_named_services(self, client: httpx.AsyncClient, headers: dict[str, str], status: int) -> None:
        answer = await client.post("/internal/events", json=self._envelope("a", 1), headers=headers)
        assert answer.status_code == status

    async def test_from_change_to_effect(
        self, app: FastAPI, client: httpx.AsyncClient, sql: asyncpg.Connection
    ) -> None:
        """The whole way, out of order and twice, on the real parts."""
        for version in (1, 2, 3):
            headers = tokens.bearer("demo") | {"Idempotency-Key": f"k-{version}"}
            await client.post("/v1/facts", json={"name": "a", "version": version}, headers=headers)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://probe", headers=SERVICE) as subscriber:
            relay = Relay(app.state.db, "/probe", [Target("receiver", subscriber)])
            await relay.deliver_due(Target("receiver", subscriber))
            await sql.execute("UPDATE outbox_delivery SET delivered_at = NULL")
            assert await relay.deliver_due(Target("receiver", subscriber)) == 3
        assert await sql.fetchval("SELECT count(*) FROM effect") == 3
        assert await sql.fetchval("SELECT version FROM copy") == 3
