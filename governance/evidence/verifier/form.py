"""What the records of a bundle have to look like, member by member and cell by cell. Part of `verify.py`.

verify.html has the same forms, put in when it is made: neither program takes a record that the other does not.
"""

# ruff: noqa: B905 -- Python 3.9 knows no strict zip.

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import Any

# >>> one file has no imports of its own parts
from governance.evidence.verifier.container import DoesNotHold
from governance.ledger.standalone import Unverified, is_count, read_canonical

# <<<

#: What a JSON object says.
Said = dict[str, Any]

#: What is read of each record. A name that ends in "?" may be missing; what is not named here may be anything.
FORMS: dict[str, Any] = {
    "manifest": {
        "format": "text",
        "framework": {"name": "text"},
        "period": {"first": "text", "last": "text", "zone": "text"},
        "known_at": "text",
        "ledger": {
            "size": "count",
            "root": "text",
            "entries": "count",
            "entries_left_out": "count",
            "breaks?": "count",
        },
        "files": [{"path": "text", "size": "count", "sha256": "text"}],
        "reports": [{"id": "text", "title": "text", "file": "text", "rows_file": "text or null"}],
    },
    "report": {
        "subject": {"column": "text", "kind": "text"},
        "or_subject?": {"column": "text", "kind": "text"},
        "totals": {"rows": "count", "exceptions": "count", "without_entry": "count", "entry_sum": "count"},
    },
    "export": {"event": "text", "at": "text", "data": {"manifest_sha256": "text"}},
    "entry": {"event": "text", "at": "text", "actor": {"ref": "text"}, "subjects": [{"kind": "text", "ref": "text"}]},
    "path": {"index": "count", "path": ["text"]},
    "break": {"body": "text", "index": "count", "path": ["text"]},
    "rotation": {"body": "text", "index": "count", "path": ["text"], "proof": "text"},
}
#: Columns that every report has.
COLUMNS = ("row_no", "exceptions", "first_entry", "last_entry")
_RECORD = re.compile(r'(?:[^",\r\n\0]*|"(?:[^"\0]|"")*")(?:,(?:[^",\r\n\0]*|"(?:[^"\0]|"")*"))*\n')


def read_record(text: str, form: str) -> Said:
    """Return what a canonical JSON text of this form says, or raise Unverified."""
    said = read_canonical(text)
    check_form(said, FORMS[form])
    return dict(said)


def check_form(value: Any, form: Any, where: str = "it") -> None:
    """Raise Unverified unless the value has the form."""
    if isinstance(form, dict):
        if not isinstance(value, dict):
            raise Unverified(f"{where} is not an object")
        for name, inner in form.items():
            plain = name.rstrip("?")
            if plain in value:
                check_form(value[plain], inner, f"{where}.{plain}")
            elif plain == name:
                raise Unverified(f"{where} has no {plain}")
    elif isinstance(form, list):
        if not isinstance(value, list):
            raise Unverified(f"{where} is not a list")
        for place, one in enumerate(value):
            check_form(one, form[0], f"{where}[{place}]")
    elif not _is(value, form):
        raise Unverified(f"{where} is not a {form}")


def _is(value: Any, form: str) -> bool:
    if form == "count":
        return type(value) is int and value >= 0
    return isinstance(value, str) or (form == "text or null" and value is None)


def whole_lines(name: str, lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the lines of a file without their newlines; the last has one as well."""
    for number, line in enumerate(lines, start=1):
        if not line.endswith(b"\n"):
            raise DoesNotHold(f"{name}, line {number}", "it does not end")
        yield line[:-1]


def csv_records(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the records of a CSV file as bytes: a newline inside quotes ends none."""
    record = b""
    for line in lines:
        record += line
        if record.count(b'"') % 2 == 0:
            yield record
            record = b""
    if record:
        yield record


def csv_rows(name: str, lines: Iterator[bytes], columns: set[str]) -> Iterator[dict[str, str]]:
    """Yield the rows of a report by column. Each record has the one form that every program reads alike."""
    header: list[str] = []
    for number, record in enumerate(csv_records(lines)):
        where = f"{name}, row {number}" if number else f"{name}, line 1"
        cells = _cells(where, record)
        if not number:
            header = cells
            for missing in sorted(columns - set(header)):
                raise DoesNotHold(where, f"it names no column {missing}")
            continue
        if len(cells) != len(header):
            raise DoesNotHold(where, f"it has {len(cells)} cells for {len(header)} columns")
        yield dict(zip(header, cells))
    if not header:
        raise DoesNotHold(f"{name}, line 1", "it is missing")


def _cells(where: str, record: bytes) -> list[str]:
    try:
        text = record.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DoesNotHold(where, "it is not UTF-8") from error
    if not _RECORD.fullmatch(text):
        raise DoesNotHold(where, "it is not spelled as a record of CSV is here")
    return next(csv.reader([text])) or [""]


def entry_numbers(where: str, row: dict[str, str]) -> list[int]:
    """Return the numbers of the entries that support a row: none, one or two."""
    cells = [row[end] for end in ("first_entry", "last_entry") if row[end]]
    for cell in cells:
        if not is_count(cell):
            raise DoesNotHold(where, f"{cell!r} is not the number of an entry")
    return [int(cell) for cell in cells]
