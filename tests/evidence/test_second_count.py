"""R01, R03 and R05 are counted a second time from the ledger: they agree, and what is in only one of them is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection

from governance.access.models import GrantRevision
from governance.evidence.checked import Checked
from governance.evidence.cover import Told
from governance.evidence.questions import Question
from governance.evidence.reading import copy_out, count
from governance.evidence.reports.registry import BY_ID
from governance.evidence.second_count import SecondCount, second_counts
from governance.evidence.verified import Verified, verified
from governance.identity.models import PersonRevision
from governance.ledger.models import Entry
from tests.evidence.conftest import rows_of
from tests.evidence.organisation import CUT, WINDOWS, Organisation, questions

GRANTS = "access_grantrevision"
COUNTED = ("R01", "R03", "R05")
Count = Callable[[Question], dict[str, SecondCount]]


@pytest.fixture
def counts(tmp_path: Path, db: None) -> Count:
    """Write the reports of a question, and count them again."""

    def told(report_id: str, asked: Question) -> Told:
        file, rows_file = copy_out(BY_ID[report_id], asked.parameters(), tmp_path)
        return Told(BY_ID[report_id], file, rows_file, count(BY_ID[report_id], tmp_path / file.path))

    return lambda asked: {
        one.report: one for one in second_counts(tmp_path, asked, [told(report_id, asked) for report_id in COUNTED])
    }


@pytest.fixture
def year(organisation: Organisation) -> Question:
    return Question("soc2", WINDOWS["most of a year"], CUT, organisation.sizes[0], 24, 24)


def test_both_counts_agree_whatever_was_asked(organisation: Organisation, counts: Count) -> None:
    for name, asked in questions(organisation).items():
        found = counts(asked)

        assert {report: one.in_words() for report, one in found.items() if not one.agrees} == {}, name
        assert all(one.rows == one.counted for one in found.values())
    assert all(one.rows > 9 for one in counts(questions(organisation)["most of a year"]).values())


def past_the_application(table: str, statement: str, *known: object) -> None:
    """Do what somebody at the database could do: with the triggers off, so that nothing is captured or refused."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(statement, known)


def test_a_grant_that_somebody_took_out_of_the_tables_is_named(year: Question, counts: Count) -> None:
    row_id = min(row["row_id"] for row in rows_of("R03", year))
    grant = row_id.split(":")[1]
    past_the_application("access_formerbelief", "DELETE FROM access_formerbelief WHERE grant_id = %s", grant)
    past_the_application(GRANTS, "DELETE FROM access_grantrevision WHERE grant_id = %s", grant)

    found = counts(year)["R03"]

    assert (found.agrees, found.only_in_report) == (False, ())
    assert row_id in found.only_in_ledger
    assert found.rows + found.differing == found.counted
    assert row_id in found.in_words()


def test_access_whose_end_somebody_moved_in_the_tables_is_named(year: Question, counts: Count) -> None:
    last = GrantRevision.objects.filter(ends_at__gt=CUT, starts_at__lt=year.period.starts_at, recorded_at__lt=CUT)
    ended = last.order_by("id")[0]
    shorter = "UPDATE access_grantrevision SET ends_at = starts_at + interval '1 second' WHERE grant_id = %s"
    past_the_application(GRANTS, shorter, ended.grant_id)

    found = counts(year)["R01"]

    assert found.only_in_ledger == (f"grant:{ended.grant_id}",)
    assert found.only_in_report == ()


@pytest.mark.parametrize("waiting", [frozenset(), frozenset({GRANTS})], ids=["all taken in", "not all taken in"])
def test_access_that_nobody_recorded_is_named_unless_it_may_be_from_before_the_ledger(
    year: Question, counts: Count, monkeypatch: pytest.MonkeyPatch, waiting: frozenset[str]
) -> None:
    monkeypatch.setattr("governance.evidence.second_count.waiting_tables", lambda: waiting)
    row_id, other = sorted(row["row_id"] for row in rows_of("R01", year) if row["source"] == "granted")[:2]
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE ledger_entrysubject DISABLE TRIGGER USER")
        cursor.execute("ALTER TABLE ledger_entry DISABLE TRIGGER USER")
        # As if the trigger had been off when the first was written: what it saw was the other.
        cursor.execute(
            "UPDATE ledger_entry SET body = replace(body, %s, %s) WHERE event = 'rows.inserted'",
            [f'"grant_id":{one.split(":")[1]}' for one in (row_id, other)],
        )

    found = counts(year)["R01"]

    assert found.only_in_report == (row_id,)
    assert bool(found.why_not) == bool(waiting)
    assert not found.agrees


def test_a_leaving_that_was_moved_out_of_the_window_is_named(year: Question, counts: Count) -> None:
    person = min(row["row_id"] for row in rows_of("R05", year)).split(":")[1]
    moved = PersonRevision.objects.filter(person__ref=person).values_list("person_id", flat=True)[0]
    earlier = "UPDATE identity_personrevision SET effective_at = effective_at - interval '9 years' WHERE person_id = %s"
    past_the_application("identity_personrevision", earlier, moved)

    found = counts(year)["R05"]

    assert found.only_in_ledger
    assert all(row_id.startswith(f"person:{person}:") for row_id in found.only_in_ledger)


def test_where_texts_of_the_ledger_are_gone_it_says_that_it_cannot_count(year: Question, counts: Count) -> None:
    rows = list(Entry.objects.filter(event="rows.inserted").values_list("index", flat=True))
    past_the_application("ledger_entrysubject", "DELETE FROM ledger_entrysubject WHERE entry_id = ANY(%s)", rows)
    past_the_application("ledger_entry", "DELETE FROM ledger_entry WHERE index = ANY(%s)", rows)

    assert "disposed of" in counts(year)["R03"].why_not


def test_what_differs_is_a_gap_and_what_agrees_is_none() -> None:
    fine, differs = SecondCount("R01", 3, 3), SecondCount("R03", 2, 3, 1, (), ("grant:7:started:000001",))
    cannot = SecondCount("R05", 2, 3, why_not="the rows are not all taken in")

    checked = Checked(Verified(False, ("DAMAGED at entry 4: It was edited.",)), (fine, differs, cannot))

    assert [hole[:2] for hole in checked.holes()] == [
        ("log_damaged", "ledger"), ("count_differs", "R03"), ("not_counted", "R05"),
    ]  # fmt: skip
    assert ("second_count", "R01", "matches both ways: 3 rows by the report, 3 by the ledger") in list(checked.lines())


def test_the_verifier_says_the_same_of_a_size_whatever_came_after_it(organisation: Organisation, db: None) -> None:
    first, second = organisation.sizes

    before, after = verified(first), verified(second)

    assert before.verdict == f"The ledger holds: {first} entries under {len(organisation.heads) // 2} signed heads."
    assert after.verdict == f"The ledger holds: {second} entries under {len(organisation.heads)} signed heads."
    assert before.lines[1] != after.lines[1]


def test_the_verifier_names_the_entry_that_was_edited_below_the_size_and_no_other(
    organisation: Organisation, db: None
) -> None:
    first, _ = organisation.sizes
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE ledger_entry DISABLE TRIGGER USER")
        cursor.execute("UPDATE ledger_entry SET body = body || ' ' WHERE index = %s", [first + 3])
        cursor.execute("ALTER TABLE ledger_entry ENABLE ALWAYS TRIGGER ledger_entry_insert_only_rows")
        cursor.execute("ALTER TABLE ledger_entry ENABLE ALWAYS TRIGGER ledger_entry_insert_only_table")

    assert verified(first).holds
    assert verified(organisation.sizes[1]).verdict.startswith(f"DAMAGED at entry {first + 3}: ")
