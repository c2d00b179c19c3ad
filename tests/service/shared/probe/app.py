"""The probe: a small service on the common factory, with one route per promise."""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any, ClassVar
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_shared.auth.deps import MaybePrincipalDep, PrincipalDep, require, require_service
from regiohub_shared.clock import real_now
from regiohub_shared.db.database import Database, SessionDep
from regiohub_shared.events.envelope import Envelope
from regiohub_shared.events.inbox import Subscription, events_router
from regiohub_shared.events.outbox import emit, emit_on
from regiohub_shared.idempotency import Stored, attempt, find_stored, require_key, store
from regiohub_shared.ids import new_id
from regiohub_shared.log import get_logger
from regiohub_shared.problem import Conflict
from regiohub_shared.settings import ServiceSettings
from regiohub_shared.web.app import AppSpec, create_app
from regiohub_shared.web.errors import problems
from regiohub_shared.web.health import outbox_check, outbox_gauges
from tests.support import tokens

MIGRATIONS = Path(__file__).parent / "migrations"
CLIENT = "regiohub-probe"
AUDIENCE = "regiohub-booking"


class ProbeChanged(BaseModel):
    """A fact with two subscribers."""

    model_config = ConfigDict(frozen=True)
    type: ClassVar[str] = "regiohub.probe.changed"
    subscribers: ClassVar[tuple[str, ...]] = ("receiver",)

    name: str
    version: int

    @property
    def subject(self) -> str:
        return self.name

    @property
    def sequence(self) -> int:
        return self.version


class ForTwo(ProbeChanged):
    """The same for two subscribers."""

    subscribers: ClassVar[tuple[str, ...]] = ("alive", "away")


class TooLate(Conflict):
    """A rule's refusal."""

    type, title = "too-late", "It is too late"


class NewNote(BaseModel):
    """A note to write."""

    text: str
    number: int = 0
    parent_id: UUID | None = None
    at: AwareDatetime | None = None
    extra: dict[str, Any] = {}


class NewFact(BaseModel):
    """A change to emit."""

    name: str
    version: int


_NOTE = text("INSERT INTO note (id, text, number, parent_id) VALUES (:id, :text, :number, :parent)")
router = APIRouter(prefix="/v1", tags=["probe"])


@router.post("/notes", status_code=201)
async def add_note(body: NewNote, session: SessionDep) -> dict[str, str]:
    made = new_id()
    values = {"id": made, "text": body.text, "number": body.number, "parent": body.parent_id}
    await session.execute(_NOTE, values)
    return {"id": str(made)}


@router.post("/fast-notes", status_code=201)
async def add_note_fast(body: NewNote, request: Request) -> dict[str, str]:
    made = new_id()
    sql = "INSERT INTO note (id, text, number, parent_id) VALUES ($1, $2, $3, $4)"
    async with request.app.state.db.transaction() as connection:
        await connection.execute(sql, made, body.text, body.number, body.parent_id)
    return {"id": str(made)}


@router.get("/notes/{note_id}")
async def get_note(note_id: UUID) -> dict[str, str]:
    return {"id": str(note_id)}


@router.put("/notes/{note_id}")
async def put_note(note_id: UUID, body: NewNote) -> dict[str, str]:
    return {"id": str(note_id), "text": body.text}


@router.delete("/notes/{note_id}", status_code=204)
async def delete_note(note_id: UUID) -> Response:
    return Response(status_code=204)


@router.get("/numbers/{number}")
async def find_number(number: int, session: SessionDep) -> dict[str, int]:
    query = text("SELECT count(*) FROM note WHERE number = :number")
    return {"count": (await session.execute(query, {"number": number})).scalar_one()}


@router.get("/texts/{words}")
async def find_text(words: str, session: SessionDep) -> dict[str, int]:
    query = text("SELECT count(*) FROM note WHERE text = :words")
    return {"count": (await session.execute(query, {"words": words})).scalar_one()}


@router.post("/bug")
async def bug() -> None:
    raise RuntimeError("the secret in the message")


@router.post("/wrong-type")
async def wrong_type(request: Request) -> None:
    async with request.app.state.db.transaction() as connection:
        await connection.execute("SELECT $1::int8", "not a number")


@router.post("/refusal", responses=problems(TooLate))
async def refusal(session: SessionDep) -> None:
    await session.execute(_NOTE, {"id": new_id(), "text": "undone", "number": 1, "parent": None})
    raise TooLate("The bus has left.", note_id=new_id(), since=real_now(), headers={"Retry-After": "7"})


@router.post("/locks/{first}/{second}")
async def lock_both(first: int, second: int, session: SessionDep, request: Request) -> dict[str, int]:
    """Two of these in opposite order deadlock until one is chosen as the victim."""
    runs = request.app.state.runs = getattr(request.app.state, "runs", 0) + 1
    bump = text("UPDATE note SET number = number + 1 WHERE id = :id")
    await session.execute(bump, {"id": UUID(int=first)})
    await asyncio.sleep(0.15)
    await session.execute(bump, {"id": UUID(int=second)})
    return {"runs": runs}


@router.post("/always-victim")
async def always_victim(session: SessionDep, request: Request) -> None:
    request.app.state.victims = getattr(request.app.state, "victims", 0) + 1
    await session.execute(text("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40001'; END $$"))


@router.post("/payments", status_code=201)
async def pay(
    body: NewNote, session: SessionDep, caller: PrincipalDep, key: Annotated[str, Depends(require_key)]
) -> Response:
    wanted = attempt(sub=caller.sub, route="POST /v1/payments", key=key, body=body.model_dump(mode="json"))
    if found := await find_stored(session, wanted):
        return JSONResponse(found.body, found.status, headers={"Idempotent-Replayed": "true"})
    if body.text == "slow":
        await asyncio.sleep(0.4)
    if body.text == "late":
        raise TooLate
    made = str(new_id())
    await session.execute(_NOTE, {"id": made, "text": body.text, "number": 1, "parent": None})
    await store(session, wanted, Stored(201, {"id": made}), now=real_now())
    return JSONResponse({"id": made}, 201)


@router.post("/facts", status_code=201)
async def change(
    body: NewFact, session: SessionDep, caller: PrincipalDep, key: Annotated[str, Depends(require_key)]
) -> Response:
    wanted = attempt(sub=caller.sub, route="POST /v1/facts", key=key, body=body.model_dump(mode="json"))
    if found := await find_stored(session, wanted):
        return JSONResponse(found.body, found.status)
    made = str(new_id())
    await session.execute(_NOTE, {"id": made, "text": f"{body.name}:{body.version}", "number": 0, "parent": None})
    await emit(session, ProbeChanged(name=body.name, version=body.version), now=real_now())
    await store(session, wanted, Stored(201, {"id": made}), now=real_now())
    return JSONResponse({"id": made}, 201)


@router.post("/fast-facts", status_code=201)
async def change_fast(body: NewFact, request: Request) -> None:
    async with request.app.state.db.transaction() as connection:
        await emit_on(connection, ForTwo(name=body.name, version=body.version), now=real_now())


@router.get("/slow")
async def slow(seconds: float = 0.5) -> dict[str, str]:
    await asyncio.sleep(seconds)
    return {"status": "done"}


@router.get("/log")
async def log_something() -> None:
    get_logger("probe").info("something", access_token="abc", note="mail demo@example.org")


@router.get("/public")
async def public(caller: MaybePrincipalDep) -> dict[str, str]:
    return {"sub": caller.sub if caller else ""}


@router.get("/me")
async def me(caller: PrincipalDep) -> dict[str, str]:
    return {"sub": caller.sub}


@router.get("/operators-only", dependencies=[Depends(require("hub-operator", "county-admin"))])
async def operators_only() -> dict[str, str]:
    return {}


async def apply(session: AsyncSession, fact: ProbeChanged) -> None:
    """Count every application, and keep the newest version whatever the order."""
    effect = text("INSERT INTO effect (id, subject, version, applied_at) VALUES (:id, :subject, :version, :now)")
    values = {"id": new_id(), "subject": fact.name, "version": fact.version, "now": real_now()}
    await session.execute(effect, values)
    newest = text(
        "INSERT INTO copy (subject, version) VALUES (:subject, :version) ON CONFLICT (subject) DO UPDATE "
        "SET version = excluded.version WHERE copy.version < excluded.version"
    )
    await session.execute(newest, {"subject": fact.name, "version": fact.version})


def receiver_without_inbox() -> APIRouter:
    """The negative control: the same effect, nothing that remembers the event's id."""
    control = APIRouter()

    @control.post("/internal/events", dependencies=[Depends(require_service(CLIENT))])
    async def take(envelope: Envelope, session: SessionDep) -> dict[str, bool]:
        await apply(session, ProbeChanged.model_validate(envelope.data))
        return {"applied": True}

    return control


def settings(url: str, **more: Any) -> ServiceSettings:
    """Settings of the probe on a database."""
    level = os.environ.get("PROBE_LOG_LEVEL", "INFO")
    return ServiceSettings(
        database_url=url, issuer=tokens.ISSUER, client_id=AUDIENCE, pool_size=10, log_level=level, **more
    )


def build(url: str, *, with_inbox: bool = True, db: Database | None = None) -> FastAPI:
    """The whole service."""
    subscriptions = {ProbeChanged.type: Subscription(ProbeChanged, apply, CLIENT)}
    inbox = events_router(subscriptions) if with_inbox else receiver_without_inbox()
    spec = AppSpec(
        name="probe", title="Probe", routers=[router, inbox], migrations=MIGRATIONS,
        checks=[lambda app: outbox_check(app.state.db)], gauges=[outbox_gauges],
    )  # fmt: skip
    return create_app(spec, settings(url), db=db, verifier=tokens.verifier(AUDIENCE))


def main() -> FastAPI:
    """Factory for uvicorn in a process of its own."""
    return build(os.environ["PROBE_DATABASE_URL"], with_inbox=os.environ.get("PROBE_INBOX", "on") == "on")
