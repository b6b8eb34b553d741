"""The same evidence in other forms: workbooks, the cover on paper, OSCAL. Each is read by somebody else's program."""

from __future__ import annotations

import csv
import io
import json
import re
import uuid
import zipfile
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import openpyxl
import pytest
from pypdf import PdfReader

from governance.evidence import cover_pdf, oscal, sheets
from governance.evidence.controls import FRAMEWORKS, framework_named
from governance.evidence.reading import RollForward
from governance.evidence.reports.base import Kind
from governance.evidence.reports.registry import BY_ID
from tests.evidence.conftest import question
from tests.evidence.issued import Issued

HOSTILE = [
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "a,b", 'say "no"', "two\nlines", "\u202egnp.exe", "ümläut 東京", "",
    "x" * 40_000,
]  # fmt: skip


def members(issued: Issued, pattern: str) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(issued.packed)) as packed:
        return {name: packed.read(name) for name in packed.namelist() if re.fullmatch(pattern, name)}


def cells(workbook: bytes, title: str) -> list[list[str]]:
    page = openpyxl.load_workbook(io.BytesIO(workbook))[title]
    return [["" if cell.value is None else str(cell.value) for cell in row] for row in page.iter_rows()]


def test_every_report_has_a_workbook_that_says_what_its_csv_says(issued: Issued) -> None:
    tables, books = members(issued, r"reports/R(?!00).*\.csv"), members(issued, r"reports/.*\.xlsx")

    assert {name.removesuffix(".xlsx") for name in books} == {name.removesuffix(".csv") for name in tables}
    for name, content in books.items():
        rows = list(csv.reader(io.StringIO(tables[name.replace(".xlsx", ".csv")].decode(), newline="")))
        shown = cells(content, name.split("/")[1][:3])
        padded = [[*row, *[""] * (len(rows[0]) - len(row))] for row in shown]
        assert [[_said(cell) for cell in row] for row in padded] == [[_said(cell) for cell in row] for row in rows], (
            name
        )


def _said(cell: str) -> str | float:
    """Return what a cell says: 42960.000 and 42960 are one number."""
    return float(cell) if re.fullmatch(r"\d+(\.\d+)?", cell) else cell


def test_a_bundle_unpacks_into_its_own_folder(issued: Issued) -> None:
    with zipfile.ZipFile(io.BytesIO(issued.packed)) as packed:
        members = packed.infolist()

    for one in members:
        path = PurePosixPath(one.filename)
        assert not path.is_absolute()
        assert not {"..", "."} & set(path.parts)
        assert re.fullmatch(r"[A-Za-z0-9_./-]+", one.filename)
        assert one.external_attr >> 28 in (0, 8), "neither a link nor a device"
    assert len({one.filename.lower() for one in members}) == len(members)


def test_no_cell_is_a_formula_and_hostile_words_stay_words(tmp_path: Path) -> None:
    report = BY_ID["R03"]
    names = [column.name for column in report.columns if column.kind is Kind.TEXT][: len(HOSTILE)]
    row = dict.fromkeys(report.header, "") | dict(zip(names, HOSTILE, strict=False)) | {"row_no": "1"}
    table = tmp_path / "r.csv"
    with table.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, report.header)
        writer.writeheader()
        writer.writerow(row)

    made = sheets.sheet(report, table)
    page = openpyxl.load_workbook(io.BytesIO(made))["R03"]
    found = {head.value: cell for head, cell in zip(page[1], page[2], strict=False)}

    assert {cell.data_type for cell in found.values()} <= {"s", "n", "inlineStr"}
    for name, text in zip(names, HOSTILE, strict=False):
        cut = text if len(text) <= 32_767 else f"{text[:32_733]} … cut here; the CSV has all of it"
        assert (found[name].value or "") == cut
    assert found["row_no"].value == 1
    assert made == sheets.sheet(report, table)
    with zipfile.ZipFile(io.BytesIO(made)) as packed:
        assert {(one.compress_type, one.date_time) for one in packed.infolist()} == {(0, (1980, 1, 1, 0, 0, 0))}


def test_the_cover_on_paper_says_what_was_asked_and_what_is_missing(issued: Issued) -> None:
    (paper,) = members(issued, r"cover\.pdf").values()
    manifest = json.loads(next(iter(members(issued, r"manifest\.json").values())))

    text = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(paper)).pages)

    assert "Evidence for SOC 2" in text
    assert "Europe/Berlin" in text
    assert "not_connected" in text
    assert "Sign-off" in text
    assert manifest["ledger"]["root"][:40] in re.sub(r"\s", "", text)
    assert b"pdfaid:part" in paper


def test_the_cover_is_the_same_bytes_and_shows_what_its_fonts_cannot_as_question_marks() -> None:
    said: dict[str, Any] = {
        "root": b"\x01" * 32, "told": [], "gaps": [("stale", "東京 #let x = 1", "$ \\ * _ ümläut")] * 300,
        "rolled": RollForward(1, 2, 3, 0), "answered": "none",
    }  # fmt: skip

    asked = question(known_at=datetime(2026, 6, 1, 9, 0, 0, 123_456, tzinfo=UTC))
    first, second = (cover_pdf.cover_pdf(asked, **said) for _ in range(2))
    text = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(first)).pages)

    assert first == second
    assert "?? #let x = 1" in text
    assert "ümläut" in text
    assert "And 100 more, in R00." in text


def test_oscal_names_every_control_and_every_file_with_its_digest(issued: Issued) -> None:
    results = json.loads(members(issued, re.escape(oscal.RESULTS))[oscal.RESULTS])["assessment-results"]
    plan = json.loads(members(issued, re.escape(oscal.PLAN))[oscal.PLAN])["assessment-plan"]
    manifest = json.loads(next(iter(members(issued, r"manifest\.json").values())))
    digests = {file["path"]: file["sha256"] for file in manifest["files"]}

    (result,) = results["results"]
    assert {"title", "description", "start", "end", "reviewed-controls", "uuid"} <= result.keys()
    included = result["reviewed-controls"]["control-selections"][0]["include-controls"]
    assert len(included) == len(framework_named("soc2").controls)
    resources = {one["uuid"]: one for one in results["back-matter"]["resources"]}
    for seen in result["observations"]:
        (evidence,) = seen["relevant-evidence"]
        (link,) = resources[evidence["href"].lstrip("#")]["rlinks"]
        assert digests[link["href"].removeprefix("../")] == link["hashes"][0]["value"]
        assert seen["methods"] == ["EXAMINE"]
    assert results["import-ap"]["href"] == "assessment-plan.json"
    assert plan["metadata"]["oscal-version"] == results["metadata"]["oscal-version"]
    every = [results["uuid"], result["uuid"], *(one["uuid"] for one in result["observations"]), *resources]
    assert len({uuid.UUID(one) for one in every}) == len(every)


@pytest.mark.parametrize("slug", sorted(FRAMEWORKS))
def test_ids_of_controls_are_tokens_and_stay_apart(slug: str) -> None:
    framework = framework_named(slug)
    tokens = [oscal.token(framework, control.id) for control in framework.controls]

    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9._-]*", token) for token in tokens)
    assert len(set(tokens)) == len(tokens)
