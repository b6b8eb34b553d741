"""One canonical form, the same as RFC 8785 inside the subset, and a clear no outside of it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.ledger import standalone
from governance.ledger.canonical import MAX_INTEGER, NotCanonical, canonical, plain

keys = st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=8)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
scalars = st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4))


@settings(deadline=None)
@given(st.dictionaries(keys, values, max_size=6))
def test_the_canonical_text_is_that_of_rfc_8785(value: dict[str, object]) -> None:
    text = canonical(plain(value))

    assert text.encode() == rfc8785.dumps(value)  # type: ignore[arg-type]
    assert standalone.read_canonical(text) == value


def test_what_rooms_pass_is_spelled_as_text() -> None:
    at = datetime(2026, 3, 29, 3, 30, tzinfo=timezone(timedelta(hours=2)))

    said = plain({"at": at, "on": date(2026, 3, 29), "who": UUID(int=7), "cost": Decimal("12.50"), "all": (1, 2)})

    assert said == {
        "at": "2026-03-29T01:30:00.000000Z",
        "on": "2026-03-29",
        "who": "00000000-0000-0000-0000-000000000007",
        "cost": "12.50",
        "all": [1, 2],
    }


@pytest.mark.parametrize(
    ("value", "said"),
    [
        pytest.param({"risk": 0.5}, "data.risk is a float", id="float"),
        pytest.param({"key": b"x"}, "data.key is a bytes", id="bytes"),
        pytest.param({"list": [1, {"x": {1}}]}, r"data\.list\[1\]\.x is a set", id="set"),
        pytest.param({"n": 2**53}, "data.n is an integer beyond", id="large integer"),
        pytest.param({"at": datetime(2026, 1, 1)}, "data.at is an instant without a time zone", id="naive instant"),  # noqa: DTZ001
        pytest.param({"größe": 1}, "keys are ASCII", id="key with umlaut"),
        pytest.param({1: 1}, "keys are ASCII", id="key that is a number"),
        pytest.param({"text": "a\x00b"}, "data.text contains a NUL", id="NUL"),
        pytest.param({"text": "\ud800"}, "data.text is not valid Unicode", id="lone surrogate"),
    ],
)
def test_a_value_without_canonical_form_is_refused_by_its_place(value: object, said: str) -> None:
    with pytest.raises(NotCanonical, match=said):
        plain(value)


def test_instants_before_the_year_1000_keep_four_digits() -> None:
    assert plain(datetime(1, 1, 1, tzinfo=UTC)) == "0001-01-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"a":1, "b":2}', id="white space"),
        pytest.param('{"b":1,"a":2}', id="unsorted"),
        pytest.param('{"a":1,"a":2}', id="member twice"),
        pytest.param('{"a":1.0}', id="float"),
        pytest.param('{"a":1e3}', id="exponent"),
        pytest.param('{"a":NaN}', id="not a number"),
        pytest.param('{"a":9007199254740992}', id="beyond 2^53"),
        pytest.param('{"a":-0}', id="minus zero"),
        pytest.param('{"a":"\\u0041"}', id="needless escape"),
        pytest.param('{"a":"\\ud800"}', id="lone surrogate"),
        pytest.param('{"\\u00e4":1}', id="key that is not ASCII"),
        pytest.param('{"a":1}\n', id="trailing newline"),
        pytest.param("[" * 100_000, id="too deep"),
        pytest.param("", id="empty"),
    ],
)
def test_the_verifier_refuses_text_that_is_not_canonical(text: str) -> None:
    with pytest.raises(standalone.Unverified):
        standalone.read_canonical(text)
