"""What became known since an earlier bundle: the same question at its cut and at this one, row against row.

Both sides are read from the same state of the database, each by what was known at its own cut. So the difference, too,
is the same on any day. Ordinals, the indexes of supporting entries, and the hours that run while something is open say
nothing of their own, and are not compared.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from governance.evidence.cover import Row, Told
from governance.evidence.questions import Pin, Question
from governance.evidence.reading import Written, copy_out, write_rows
from governance.evidence.reports.base import Report
from governance.ledger.canonical import instant
from governance.ledger.models import EntrySubject

HEADER = ("what", "row_id", "columns", "before", "after", "entries")
#: So many of the entries that brought a row are named, the first ones.
MOST_NAMED = 20
#: Kept of the hash of a row while it waits for its other half.
_HASHED = 16
#: Ordinals, the indexes of entries, and what grows by itself while something is open.
_NOT_COMPARED = frozenset({"row_no", "first_entry", "last_entry", "hours_open", "overrun_minutes"})
_DRAFTS = "earlier"
Line = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Differing:
    """A row that came, went, or changed. `before` and `after`: the whole row, where it was in it."""

    what: str
    row_id: str
    before: Line | None
    after: Line | None

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that changed; none where the row came or went."""
        if self.before is None or self.after is None:
            return ()
        return tuple(
            name for name, cell in self.after.items() if name not in _NOT_COMPARED and cell != self.before[name]
        )


@dataclass(frozen=True, slots=True)
class LateReport:
    """How a report differs from what it was. `entries` are the indexes of the ledger entries that brought it."""

    report: Report
    came: int
    went: int
    changed: int
    #: SHA-256 of the CSV as it was at the earlier cut, read again: that of the earlier bundle, unless names changed.
    earlier_sha256: str
    file: Written | None
    entries: frozenset[int]

    def in_words(self) -> str:
        """Return the difference in one line."""
        return f"{self.came} came, {self.went} went, {self.changed} changed"


@dataclass(frozen=True, slots=True)
class LateFacts:
    """All that became known since an earlier cut."""

    since: Pin
    reports: tuple[LateReport, ...]

    @property
    def files(self) -> list[Written]:
        """Return the files with the rows."""
        return [one.file for one in self.reports if one.file is not None]

    @property
    def entries(self) -> set[int]:
        """Return the indexes of all entries that brought something."""
        return set().union(*(one.entries for one in self.reports))

    def lines(self) -> Iterator[Row]:
        """Yield the lines of the cover."""
        since = f"known at {instant(self.since.known_at)}, ledger size {self.since.ledger_size}"
        yield "late_facts", "since", since
        yield from (("late_facts", one.report.id, one.in_words()) for one in self.reports)

    def as_json(self) -> dict[str, object]:
        """Return what the manifest and the page say of it."""
        return {
            "since": {"known_at": instant(self.since.known_at), "ledger_size": self.since.ledger_size},
            "reports": [
                {
                    "id": one.report.id,
                    "title": one.report.title,
                    "came": one.came,
                    "went": one.went,
                    "changed": one.changed,
                    "earlier_sha256": one.earlier_sha256,
                    "file": one.file.path if one.file else None,
                }
                for one in self.reports
            ],
        }


def late_facts(folder: Path, question: Question, since: Pin, told: Sequence[Told]) -> LateFacts:
    """Write what differs in each report, inside the snapshot it was read in."""
    before = replace(question, known_at=since.known_at, ledger_size=since.ledger_size)
    drafts = folder / _DRAFTS
    try:
        return LateFacts(since, tuple(_compared(folder, drafts, question, before, one) for one in told))
    finally:
        shutil.rmtree(drafts, ignore_errors=True)


def _compared(folder: Path, drafts: Path, question: Question, before: Question, told: Told) -> LateReport:
    report = told.report
    earlier, _ = copy_out(report, before.parameters(), drafts)
    found = list(differences(drafts / earlier.path, folder / told.file.path))
    brought = _brought_by(report, found, before.ledger_size, question.ledger_size)
    rows = [(one.what, one.row_id, " ".join(one.columns), *_both(one), _listed(brought[one.row_id])) for one in found]
    named = {index for one in found for index in brought[one.row_id][:MOST_NAMED]}
    counted = [one.what for one in found]
    file = write_rows(folder, f"late_facts/{report.file_stem}.csv", HEADER, rows) if rows else None
    came, went, changed = (counted.count(what) for what in ("came", "went", "changed"))
    return LateReport(report, came, went, changed, earlier.sha256, file, frozenset(named))


def differences(before: Path, after: Path) -> Iterator[Differing]:
    """Yield the rows that differ, by their ids. Holds a hash of each row, and whole only those that differ."""
    hashes = {line["row_id"]: _hash(line) for line in _lines(before)}
    now = {line["row_id"]: line for line in _lines(after) if hashes.pop(line["row_id"], b"") != _hash(line)}
    # What is left had no equal: it went, or its other half differs.
    wanted = now.keys() | hashes.keys()
    then = {line["row_id"]: line for line in _lines(before) if line["row_id"] in wanted}
    for row_id in sorted(wanted):
        old, new = then.get(row_id), now.get(row_id)
        yield Differing("changed" if old and new else "came" if new else "went", row_id, old, new)


def _lines(path: Path) -> Iterator[Line]:
    with path.open(encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream)


def _hash(line: Line) -> bytes:
    said = [cell for name, cell in line.items() if name not in _NOT_COMPARED]
    return hashlib.sha256(json.dumps(said).encode()).digest()[:_HASHED]


def _both(one: Differing) -> tuple[str, str]:
    """Return as JSON what was and what is: the columns that changed, or the whole row that came or went."""
    return _as_json(one.before, one.columns), _as_json(one.after, one.columns)


def _as_json(line: Line | None, columns: Sequence[str]) -> str:
    if line is None:
        return ""
    kept = columns or [name for name in line if name not in _NOT_COMPARED]
    return json.dumps({name: line[name] for name in kept}, ensure_ascii=False)


def _listed(indexes: Sequence[int]) -> str:
    more = f" and {len(indexes) - MOST_NAMED} more" if len(indexes) > MOST_NAMED else ""
    return " ".join(map(str, indexes[:MOST_NAMED])) + more


def _brought_by(report: Report, found: Sequence[Differing], start: int, end: int) -> dict[str, list[int]]:
    """Return for each row the entries between the two sizes that are about what it is about, in their order.

    None: it follows from the time that passed, or from what is shown as it was when the report was read.
    """
    about: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    brought: dict[str, list[int]] = {one.row_id: [] for one in found}
    for one in found:
        kind, ref = _subject(report, one.after or one.before or {})
        if kind == "entry":
            brought[one.row_id] = [int(ref)]
        elif ref:
            about[kind][ref].append(one.row_id)
    for kind, row_ids in about.items():
        entries = EntrySubject.objects.filter(kind=kind, ref__in=list(row_ids), entry__gte=start, entry__lt=end)
        for ref, index in entries.order_by("entry_id").values_list("ref", "entry_id").distinct():
            for row_id in row_ids[ref]:
                brought[row_id].append(index)
    return brought


def _subject(report: Report, line: Line) -> tuple[str, str]:
    column, kind = report.subject
    if not line[column] and report.or_subject:
        column, kind = report.or_subject
    return kind, line[column]
