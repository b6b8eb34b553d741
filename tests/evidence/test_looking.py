"""Looking at one report: narrowed, paged by ordinals, and sampled so that anybody takes the same rows."""

from __future__ import annotations

import hashlib
from datetime import date

import pytest

from governance.core.errors import Conflict, Invalid, NotFound
from governance.evidence import reading
from governance.evidence.looking import Narrowed, Sample, look, report_named
from governance.evidence.narrowing import filters_of
from governance.evidence.questions import Question
from tests.evidence.conftest import World, day, question, rows_of

R03 = report_named("R03")


@pytest.fixture
def many(world: World) -> Question:
    """Twelve grants in March, in two applications."""
    for number in range(12):
        world.grant(f"p{number}", "snowflake/analyst" if number % 3 else "github/developer", day(3, 1 + number))
    return question()


def test_a_sample_is_what_anybody_with_the_rows_and_the_seed_takes(many: Question) -> None:
    rows = rows_of("R03", many)
    by_hand = sorted(rows, key=lambda row: hashlib.sha256(f"letter 7é{row['row_id']}".encode()).digest())[:5]

    seen = look(R03, many, Narrowed(sample=Sample("letter 7é", 5)))

    assert list(seen.rows) == by_hand
    assert (seen.total, len(rows)) == (12, 12)
    assert look(R03, many, Narrowed(sample=Sample("another", 5))).rows != seen.rows


def test_rows_are_narrowed_by_columns_and_keep_their_ordinals(many: Question) -> None:
    seen = look(R03, many, Narrowed({"application": "github"}))

    every = {row["row_id"]: row["row_no"] for row in rows_of("R03", many)}
    assert seen.total == 4
    assert all(row["application"] == "github" and every[row["row_id"]] == row["row_no"] for row in seen.rows)
    assert look(R03, many, Narrowed(exceptions_only=True)).total == seen.exceptions + 8


def test_pages_go_on_behind_an_ordinal(many: Question) -> None:
    first = look(R03, many, Narrowed(), limit=5)
    second = look(R03, many, Narrowed(), limit=5, after=int(first.rows[-1]["row_no"]))

    assert [row["row_no"] for row in (*first.rows, *second.rows)] == [str(number) for number in range(1, 11)]
    assert (first.total, second.total) == (12, 12)


@pytest.mark.parametrize(
    ("by", "field"),
    [
        (Narrowed({"colour": "red"}), "colour"),
        (Narrowed({"person_type": "Employee"}), "person_type"),
        (Narrowed(sample=Sample("", 5)), "seed"),
        (Narrowed(sample=Sample("s", 0)), "n"),
        (Narrowed(sample=Sample("s", 501)), "n"),
    ],
    ids=["no column", "not of this report", "no seed", "no rows", "too many"],
)
def test_what_a_report_cannot_be_narrowed_by_is_refused_by_name(by: Narrowed, field: str, world: World) -> None:
    with pytest.raises(Invalid) as refused:
        look(R03, question(), by)

    assert field in refused.value.fields
    with pytest.raises(NotFound):
        report_named("R99")


def test_what_takes_too_long_is_not_waited_for(many: Question, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = "SELECT pg_sleep(1), 0, 0"

    assert reading.within_patience(slow, {}, 1) is None
    monkeypatch.setattr("governance.evidence.looking.within_patience", lambda *_: None)
    with pytest.raises(Conflict, match="more than can be read"):
        look(R03, many, Narrowed())


def test_every_filter_is_a_column_of_its_report() -> None:
    assert "application" in filters_of(R03)
    assert set(filters_of(R03)) <= set(R03.header)
    assert question(first=date(2026, 3, 1)).period.first == date(2026, 3, 1)
