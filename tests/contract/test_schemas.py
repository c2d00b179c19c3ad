"""The facts' shapes are committed: whoever changes one sees this fail and has to think of the other services."""

import ast
import json
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
from pydantic import create_model

import regiohub_shared.contracts
from regiohub_shared.contracts.access import DoorOpened
from regiohub_shared.contracts.booking import BookedLine, BookingChanged
from tests.contract.contracts import ALL, FACTS, FOLDER, file_of, shape


@pytest.mark.parametrize("model", ALL, ids=lambda model: model.__name__)
def test_the_shape_is_the_committed_one(model):
    committed = json.loads(file_of(model).read_text(encoding="utf-8"))

    assert shape(model) == committed, "is it meant? then: python -m tests.contract.contracts"


def test_every_fact_has_its_file_and_every_file_its_fact():
    folder = Path(regiohub_shared.contracts.__path__[0])
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in folder.glob("*.py")]
    with_type = {
        node.name
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and any(
            isinstance(part, ast.AnnAssign) and getattr(part.target, "id", "") == "subscribers" for part in node.body
        )
    }

    assert with_type == {model.__name__ for model in FACTS}
    assert {path.name for path in FOLDER.iterdir()} == {file_of(model).name for model in ALL}


def changed(**fields: Any) -> Any:
    """DoorOpened with other members; None leaves one out."""
    own = {name: (info.annotation, ...) for name, info in DoorOpened.model_fields.items()} | fields
    made: Any = cast("Any", create_model)("DoorOpened", **{name: spec for name, spec in own.items() if spec})
    made.type, made.subscribers = DoorOpened.type, DoorOpened.subscribers
    return made


@pytest.mark.parametrize(
    "other",
    [
        changed(first_opened_at=None), changed(version=(str, ...)), changed(door=(int, ...)), changed(door=(int, 1)),
        changed(first_opened_at=None, opened_at=(str, ...)), changed(booking_id=(str, ...)),
        changed(version=(int | None, None)),
    ],
    ids=["removed", "retyped", "added", "added with a default", "renamed", "looser", "optional"],
)  # fmt: skip
def test_a_changed_member_is_noticed(other):
    assert shape(changed()) == shape(DoorOpened)
    assert shape(other) != shape(DoorOpened)


def test_a_change_inside_a_line_or_of_a_word_is_noticed():
    class OtherLine(BookedLine):
        title: str

    class Other(BookingChanged):
        lines: tuple[OtherLine, ...]

    class Louder(BookingChanged):
        status: str  # type: ignore[assignment]

    class More(BookingChanged):
        subscribers: ClassVar[tuple[str, ...]] = ("access",)

    assert shape(Other) != shape(BookingChanged)
    assert shape(Louder) != shape(BookingChanged)
    assert shape(More) != shape(BookingChanged)
