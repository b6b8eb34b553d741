"""What a definition chooses is what its bundle holds, counted by hand from the whole reports."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from governance.core.errors import Conflict
from governance.evidence.cover import Told
from governance.evidence.narrowing import Chosen, Selection, always_kept, choosable, filters_of, narrowed
from governance.evidence.questions import Question
from governance.evidence.reading import copy_out, count, count_rows, preview, read_roll_forward
from governance.evidence.reports.base import Report
from governance.evidence.reports.registry import BY_ID, REPORTS
from governance.evidence.second_count import second_counts
from tests.evidence.conftest import rows_of
from tests.evidence.organisation import CUT, WINDOWS, Organisation

Rows = list[dict[str, str]]


def selection(*chosen: Chosen) -> Selection:
    return Selection("0" * 32, "Some of it", 1, "soc2", (), chosen)


@pytest.fixture
def year(organisation: Organisation) -> Question:
    return Question("soc2", WINDOWS["most of a year"], CUT, organisation.sizes[0], 24, 24)


def told(report: Report, asked: Question, folder: Path) -> Told:
    file, rows_file = copy_out(report, asked.parameters(), folder)
    return Told(report, file, rows_file, count(report, folder / file.path), count_rows(report, asked.parameters()))


def read(one: Told, folder: Path) -> Rows:
    return list(rows_in(folder / one.file.path))


def rows_in(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream)


def by_chance(report: Report, rows: Rows, random: Random) -> Chosen:
    """Choose some values that are there, one that is not, and some columns."""
    filters = [
        (name, tuple(sorted({*random.sample(sorted({row[name] for row in rows}), 1), "is nowhere"})))
        for name in filters_of(report)
        if rows and random.random() < 0.4
    ]
    optional = [column.name for column in choosable(report)]
    columns = tuple(name for name in optional if random.random() < 0.5)
    return Chosen(report.id, columns, tuple(filters), exceptions_only=random.random() < 0.2)


@pytest.mark.parametrize("seed", range(2))
def test_rows_and_columns_are_those_of_the_whole_report_that_were_chosen(
    organisation: Organisation, year: Question, tmp_path: Path, seed: int
) -> None:
    random, shown = Random(seed), 0
    for report in REPORTS:
        whole = rows_of(report.id, year)
        chosen = by_chance(report, whole, random)
        asked = replace(year, selection=selection(chosen))

        one = told(asked.reports[0], asked, tmp_path)

        wanted = [row for row in whole if is_wanted(row, chosen)]
        kept = always_kept(report) | set(chosen.columns or ()) | {"row_no"}
        expected = [
            {**{name: cell for name, cell in row.items() if name in kept}, "row_no": str(number)}
            for number, row in enumerate(wanted, start=1)
        ]
        assert read(one, tmp_path) == expected, (report.id, chosen)
        assert one.of is not None
        assert (one.of.rows, one.of.whole_rows) == (len(wanted), len(whole))
        assert one.of.exceptions == one.totals.exceptions
        assert one.of.whole_exceptions == sum(row["exceptions"] != "" for row in whole)
        shown += len(wanted)
    assert shown > 100


def is_wanted(row: dict[str, str], chosen: Chosen) -> bool:
    meets = all(row[name] in values for name, values in chosen.filters)
    return meets and (row["exceptions"] != "" or not chosen.exceptions_only)


def test_an_empty_cell_can_be_chosen(organisation: Organisation, year: Question, tmp_path: Path) -> None:
    whole = rows_of("R01", year)
    asked = replace(year, selection=selection(Chosen("R01", filters=(("department", ("",)),))))

    rows = read(told(asked.reports[0], asked, tmp_path), tmp_path)

    assert [row["row_id"] for row in rows] == [row["row_id"] for row in whole if not row["department"]]
    assert 0 < len(rows) < len(whole)


def test_a_preview_counts_what_is_chosen_and_what_there_is(organisation: Organisation, year: Question) -> None:
    whole, rolled = preview((BY_ID["R01"], BY_ID["R03"]), year.parameters())
    asked = replace(year, selection=selection(Chosen("R01", filters=(("cause", ("request",)),)), Chosen("R03")))

    some, _ = preview(asked.reports, asked.parameters())

    assert rolled == read_roll_forward(year.parameters())
    assert some["R03"] == whole["R03"]
    assert 0 < some["R01"].rows < some["R01"].whole_rows == whole["R01"].rows


def test_what_is_narrowed_is_counted_a_second_time_as_a_whole(
    organisation: Organisation, year: Question, tmp_path: Path
) -> None:
    chosen = (
        Chosen("R01", columns=(), filters=(("cause", ("request",)),)),
        Chosen("R03", filters=(("change", ("started",)),)),
        Chosen("R05", exceptions_only=True),
    )
    asked = replace(year, selection=selection(*chosen))
    all_told = [told(report, asked, tmp_path) for report in asked.reports]

    counts = second_counts(tmp_path, asked, all_told)

    assert [one.report for one in counts if one.agrees] == ["R01", "R03", "R05"]
    assert all(one.rows > made.totals.rows for one, made in zip(counts, all_told, strict=True))


def test_what_a_row_is_known_by_and_rests_on_is_never_left_out() -> None:
    for report in REPORTS:
        bare = narrowed(Chosen(report.id, columns=()))

        there = set(bare.header)
        about = {report.subject[0], *((report.or_subject[0],) if report.or_subject else ())}
        assert {"row_no", "row_id", "exceptions", "first_entry", "last_entry", *about} <= there
        assert {name for name in (report.person, report.system) if name} <= there
        assert {*bare.left_out, *there} == set(report.header)
        assert bare.version != report.version or not bare.left_out


def test_all_of_a_report_is_the_report() -> None:
    assert all(narrowed(Chosen(report.id)) == report for report in REPORTS)


@pytest.mark.parametrize(
    "chosen",
    [Chosen("R99"), Chosen("R01", columns=("shoe_size",)), Chosen("R01", filters=(("shoe_size", ("44",)),))],
    ids=["report", "column", "filter"],
)
def test_what_is_not_there_any_more_is_said(chosen: Chosen) -> None:
    with pytest.raises(Conflict, match="new version"):
        narrowed(chosen)


def test_the_digest_is_of_what_is_chosen_and_not_of_its_name() -> None:
    one = selection(Chosen("R01"))

    assert replace(one, name="Another", version=7).sha256 == one.sha256
    assert replace(one, chosen=(Chosen("R01", exceptions_only=True),)).sha256 != one.sha256
    assert Chosen.of_json(Chosen("R01", ("cause",), (("cause", ("request",)),), True).as_json()) == Chosen(
        "R01", ("cause",), (("cause", ("request",)),), True
    )
