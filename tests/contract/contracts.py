"""The facts' shapes as committed; ``python -m tests.contract.contracts`` writes them after a change that is meant.

A shape may only grow: a new optional member, or a new fact. Services of different age talk to each other during an
update, so a member that is removed, renamed or changed in type breaks them.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from regiohub_shared.contracts.access import DoorOpened
from regiohub_shared.contracts.billing import PaymentChanged
from regiohub_shared.contracts.booking import BookingChanged
from regiohub_shared.events.envelope import Envelope

FOLDER = Path(__file__).parent / "schemas"
FACTS: tuple[type[BaseModel], ...] = (BookingChanged, PaymentChanged, DoorOpened)
ALL: tuple[type[BaseModel], ...] = (*FACTS, Envelope)


def _bare(schema: Any) -> Any:
    """Drop what is prose: titles and descriptions (a member may be called so, too)."""
    if isinstance(schema, list):
        return [_bare(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _bare(part) for name, part in value.items()} if key in {"properties", "$defs"} else _bare(value)
        for key, value in schema.items()
        if key not in {"title", "description"}
    }


def shape(model: type[BaseModel]) -> dict[str, Any]:
    """Return what a consumer relies on: the fact's name, who hears it, and its JSON schema as it is sent."""
    schema = {"data": _bare(model.model_json_schema(mode="serialization"))}
    if model is Envelope:
        return schema
    return {"type": model.type, "subscribers": list(model.subscribers)} | schema  # type: ignore[attr-defined]


def file_of(model: type[BaseModel]) -> Path:
    name = "envelope" if model is Envelope else model.type  # type: ignore[attr-defined]
    return FOLDER / f"{name}.json"


def written(model: type[BaseModel]) -> str:
    return json.dumps(shape(model), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    for each in ALL:
        file_of(each).write_text(written(each), encoding="utf-8")
