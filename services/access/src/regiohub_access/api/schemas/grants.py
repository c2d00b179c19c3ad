"""A member's grants and passes as JSON. Outputs have no defaults; times are RFC 3339 in UTC."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from regiohub_access.rh1 import encode_base64url
from regiohub_access.tables import Pass
from regiohub_access.usecases.grants import GrantView

MAX_TS = 2**33


class DoorOut(BaseModel):
    """A door that the grant opens."""

    number: int
    name: str


class WindowOut(BaseModel):
    """Doors that open within ``[starts_at, ends_at)``, margins included."""

    starts_at: datetime
    ends_at: datetime
    doors: list[int]


class GrantOut(BaseModel):
    """Who may open which doors when; ``pin`` is null once revoked or over.

    ``pin_armed_at`` is since when every reader of the hub holds the PIN, null while it is on its way.
    """

    id: UUID
    booking_id: UUID
    hub: str
    address: str | None
    status: Literal["active", "revoked", "ended"]
    starts_at: datetime | None
    ends_at: datetime | None
    doors: list[DoorOut]
    windows: list[WindowOut]
    pin: str | None
    pin_armed_at: datetime | None
    first_opened_at: datetime | None

    @classmethod
    def of(cls, view: GrantView) -> Self:
        """Show a grant to its member."""
        grant = view.grant
        return cls(
            id=grant.id, booking_id=grant.booking_id, hub=grant.hub, address=view.address, status=view.status,
            starts_at=min((window.starts_at for window in view.windows), default=None),
            ends_at=max((window.ends_at for window in view.windows), default=None),
            doors=[DoorOut(number=door.number, name=door.name) for door in view.doors],
            windows=[
                WindowOut(starts_at=w.starts_at, ends_at=w.ends_at, doors=list(w.doors)) for w in view.windows
            ],
            pin=view.pin, pin_armed_at=view.pin_armed_at, first_opened_at=grant.first_opened_at,
        )  # fmt: skip


class GrantPage(BaseModel):
    """Grants, the newest first; ``next`` is the cursor of the next page."""

    items: list[GrantOut]
    next: str | None


class Jwk(BaseModel):
    """A public P-256 key (RFC 7517); other members are ignored, a private part is refused."""

    model_config = ConfigDict(extra="allow")

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: Annotated[str, Field(min_length=43, max_length=43, examples=["f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"])]
    y: Annotated[str, Field(min_length=43, max_length=43, examples=["x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"])]


class PassIn(BaseModel):
    """A phone's key, when it asked (Unix seconds, real time), and the proof that it holds the key.

    ``signature`` is base64url of raw r||s (64 bytes), ES256 over ASCII ``RH1-KEY <grant id> <ts>``.
    """

    jwk: Jwk
    ts: Annotated[int, Field(ge=0, lt=MAX_TS, strict=True, examples=[1795680000])]
    signature: Annotated[str, Field(min_length=1, max_length=200)]


class IssuedPass(BaseModel):
    """A signed pass (base64url of the COSE_Sign1), good within ``[starts_at, expires_at)`` at these doors."""

    id: str
    pass_: Annotated[str, Field(alias="pass")]
    starts_at: datetime
    expires_at: datetime
    doors: list[int]

    @classmethod
    def of(cls, row: Pass) -> Self:
        """Show an issued pass to its holder."""
        return cls.model_validate(
            {
                "id": row.id.hex(), "pass": encode_base64url(row.token), "starts_at": row.starts_at,
                "expires_at": row.ends_at, "doors": row.doors,
            }
        )  # fmt: skip


class PassOut(IssuedPass):
    """The pass that is needed first, and all that begin within a day of it (the first one included)."""

    passes: list[IssuedPass]

    @classmethod
    def all_of(cls, rows: list[Pass]) -> Self:
        """Show the issued passes."""
        shown = [IssuedPass.of(row).model_dump(by_alias=True) for row in rows]
        return cls.model_validate(shown[0] | {"passes": shown})
