"""The reports once more as XLSX, for whoever works in a spreadsheet: the record is the CSV.

The cells say what the CSV says. Text is written as text, so that nothing is ever a formula; the container is made in
the one form of `packing`, so that the same rows are the same bytes on any machine.
"""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import xlsxwriter

from governance.evidence.packing import stored
from governance.evidence.reports.base import ROW_NO, Kind, Report

#: A sheet of more rows is of no use to a person; the CSV has them all.
MOST_ROWS = 50_000
#: Spreadsheets keep fifteen digits of a number.
_MOST_DIGITS = 15
_LONGEST_CELL = 32_767
_CUT = " … cut here; the CSV has all of it"
_MADE_AT = datetime(1980, 1, 1, tzinfo=UTC).replace(tzinfo=None)


def sheet(report: Report, rows: Path) -> bytes:
    """Return the workbook of a report from its CSV: the rows, and the meaning of each column."""
    made = io.BytesIO()
    # Constant memory: rows go out as they come.
    book = xlsxwriter.Workbook(made, {"constant_memory": True, "in_memory": False})
    book.set_properties({"title": f"{report.id} {report.title}", "created": _MADE_AT})
    head = book.add_format({"bold": True})
    _write_rows(book.add_worksheet(report.id), report, rows, head)
    meanings = book.add_worksheet("Columns")
    for number, column in enumerate((ROW_NO, *report.columns)):
        meanings.write_string(number, 0, column.name, head)
        meanings.write_string(number, 1, column.meaning)
    book.close()
    return _plain(made)


def _write_rows(page: xlsxwriter.worksheet.Worksheet, report: Report, rows: Path, head: object) -> None:
    numbers = {column.name for column in (ROW_NO, *report.columns) if column.kind is Kind.NUMBER}
    page.freeze_panes(1, 1)
    with rows.open(encoding="utf-8", newline="") as stream:
        for line, row in enumerate(csv.reader(stream)):
            for place, cell in enumerate(row):
                if line and cell and report.header[place] in numbers and len(cell) <= _MOST_DIGITS:
                    page.write_number(line, place, float(cell))
                elif cell:
                    page.write_string(line, place, _fitting(cell), head if line == 0 else None)


def _fitting(cell: str) -> str:
    """Return what a cell can hold, and say so where that is not all."""
    return cell if len(cell) <= _LONGEST_CELL else cell[: _LONGEST_CELL - len(_CUT)] + _CUT


def _plain(made: io.BytesIO) -> bytes:
    """Return the same workbook with nothing compressed: libraries compress differently."""
    plain = io.BytesIO()
    with zipfile.ZipFile(made) as packed, zipfile.ZipFile(plain, "w", zipfile.ZIP_STORED) as archive:
        for name in packed.namelist():
            archive.writestr(stored(name), packed.read(name))
    return plain.getvalue()
