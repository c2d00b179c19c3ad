"""The hash chain shows every change, gap and swap."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiohub_billing.domain.chain import GENESIS, canonical_json, chain_hash, first_break

CONTENTS = st.lists(
    st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8), max_size=4), min_size=2, max_size=8
)


def chained(contents: list[dict[str, Any]]) -> list[tuple[str, str, dict[str, Any]]]:
    rows: list[tuple[str, str, dict[str, Any]]] = []
    previous = GENESIS
    for content in contents:
        own = chain_hash(previous, content)
        rows.append((previous, own, content))
        previous = own
    return rows


@given(CONTENTS, st.data())
def test_a_whole_chain_holds_and_any_change_breaks_it(contents, data):
    rows = chained(contents)
    at = data.draw(st.integers(0, len(rows) - 1))
    previous, own, content = rows[at]

    assert first_break(rows) is None
    assert first_break([*rows[:at], (previous, own, content | {"new": 1}), *rows[at + 1 :]]) == at
    if at < len(rows) - 1:
        assert first_break([*rows[:at], *rows[at + 1 :]]) == at


def test_the_same_moment_and_rate_are_written_alike():
    berlin = dt.timezone(dt.timedelta(hours=1))
    ours = {"at": dt.datetime(2026, 11, 25, 10, tzinfo=berlin), "rate": Decimal(19)}
    theirs = {"rate": Decimal("19.00"), "at": dt.datetime(2026, 11, 25, 9, tzinfo=dt.UTC)}

    assert canonical_json(ours) == canonical_json(theirs)


def test_what_has_no_canonical_form_is_refused():
    with pytest.raises(TypeError, match="canonical form for set"):
        canonical_json({"x": {1, 2}})
