"""Whatever people are called and write: every file of evidence can be opened, and nothing in it runs."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
from pathlib import Path

import openpyxl
import pytest

from governance.evidence.looking import Narrowed, Sample, look
from governance.evidence.questions import Question
from governance.evidence.reading import copy_out
from governance.evidence.reports.base import Kind
from governance.evidence.reports.registry import BY_ID
from governance.evidence.sheets import sheet
from tests.evidence.organisation import CUT, WINDOWS, Organisation

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def asked(organisation: Organisation) -> Question:
    """Most of a year of an organisation whose names hurt."""
    return Question("soc2", WINDOWS["most of a year"], CUT, organisation.sizes[0], 24, 24)


@pytest.fixture
def table(asked: Question, report_id: str, tmp_path: Path, db: None) -> Path:
    """The CSV of a report as a bundle has it."""
    return tmp_path / copy_out(BY_ID[report_id], asked.parameters(), tmp_path)[0].path


def rows_in(table: Path) -> list[list[str]]:
    with table.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream, strict=True))


every_report = pytest.mark.parametrize("report_id", sorted(BY_ID))


@every_report
def test_no_cell_of_a_csv_is_a_formula_and_every_row_has_all_its_cells(table: Path, report_id: str) -> None:
    header, *rows = rows_in(table)
    numbers = {place for place, one in enumerate(BY_ID[report_id].columns, start=1) if one.kind is Kind.NUMBER}

    assert rows
    assert {len(row) for row in rows} == {len(header)}
    cells = [(header[place], cell) for row in rows for place, cell in enumerate(row) if cell and place not in numbers]
    assert [one for one in cells if one[1][0] in "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"] == []
    assert all(re.fullmatch(r"(-?\d+(\.\d+)?)?", row[place]) for row in rows for place in {0, *numbers})
    assert b"\x00" not in table.read_bytes()


@every_report
def test_a_workbook_has_the_words_of_the_csv_as_words(table: Path, report_id: str) -> None:
    page = openpyxl.load_workbook(io.BytesIO(sheet(BY_ID[report_id], table)))[report_id]
    shown = [list(row) for row in page.iter_rows()]

    assert [cell.coordinate for row in shown for cell in row if cell.data_type == "f" or cell.hyperlink] == []
    said = [["" if cell.value is None else _plain(str(cell.value)) for cell in row] for row in shown]
    for row, expected in zip(said, rows_in(table), strict=True):
        for cell, text in zip([*row, *[""] * (len(expected) - len(row))], expected, strict=True):
            assert cell == text or float(cell) == float(text)


def _plain(cell: str) -> str:
    """Return a cell without the spelling that the format has for control characters."""
    return re.sub(r"_x([0-9A-Fa-f]{4})_", lambda found: chr(int(found[1], 16)), cell).replace("\r\n", "\n")


def test_names_that_hurt_are_in_the_reports_and_not_only_in_the_tests(asked: Question, db: None) -> None:
    names = {row["person_name"] for row in look(BY_ID["R03"], asked, Narrowed(), limit=5000).rows}

    assert {'\'=HYPERLINK("http://x","a")', "'\tTab", "\u202egnp.exe", 'a,"b"\nsecond line', "x" * 320} <= names


@pytest.mark.parametrize("report_id", ["R03", "R05", "R09", "R11", "R14"])
def test_a_sample_is_taken_again_elsewhere_from_the_csv_alone(asked: Question, table: Path, report_id: str) -> None:
    taken = look(BY_ID[report_id], asked, Narrowed(sample=Sample("letter 7é =1", 9)))

    script = re.search(r"```python\n(.*?sample.*?)```", (DOCS / "evidence.md").read_text(), re.DOTALL)
    assert script is not None
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script[1], str(table), "letter 7é =1", "9"],
        capture_output=True, text=True, check=True, cwd="/", env={"PATH": "/usr/bin:/bin", "PYTHONUTF8": "1"},
    )  # fmt: skip
    assert done.stdout.splitlines() == [row["row_id"] for row in taken.rows]
    assert taken.total > 9
