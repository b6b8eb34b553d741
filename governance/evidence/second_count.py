"""Count the populations of R01, R03 and R05 once more, another way, and match both ways.

The reports read the tables. This reads what the triggers of the database put into the ledger when the rows were written
(entries `rows.…` below the pinned size), and applies the rules in Python: no query is shared. A row that was removed,
changed or slipped into a table afterwards is in one of the two and not in the other, and is named.
"""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import nsmallest
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from zlib import crc32

from django.db import connection

from governance.access.models import Grant
from governance.evidence.cover import Told
from governance.evidence.questions import Question, Value
from governance.evidence.reports.registry import BY_ID
from governance.identity.models import Person
from governance.ledger.models import Entry
from governance.ledger.taking_in import waiting_tables

#: What differs is named up to this often in each direction; all of it is counted.
NAMED = 20
_GRANTS, _PEOPLE = "access_grantrevision", "identity_personrevision"
_TABLES = {"R01": _GRANTS, "R03": _GRANTS, "R05": _PEOPLE}
_READ_AT_ONCE = 5_000
#: Two sets that differ are compared in so many parts: millions of ids at once would take a gigabyte.
_PARTS = 64

_ROWS = """
SELECT {columns} FROM (
    SELECT element.value -> 'new' AS new
    FROM ledger_entrysubject AS subject
    JOIN ledger_entry AS entry ON entry.index = subject.entry_id
    CROSS JOIN LATERAL jsonb_array_elements(entry.body::jsonb -> 'data' -> 'rows') AS element
    WHERE subject.kind = 'table' AND subject.ref = %(table)s AND subject.entry_id < %(ledger_size)s
        AND entry.event LIKE 'rows.%%' AND element.value -> 'new' ? 'number'
) AS heard
WHERE (new ->> 'recorded_at')::timestamptz <= %(known_at)s ORDER BY 1, 2
"""
_GRANT_ROWS = _ROWS.format(
    columns="(new ->> 'grant_id')::bigint, (new ->> 'number')::integer, new ->> 'change',"
    " (new ->> 'starts_at')::timestamptz, (new ->> 'ends_at')::timestamptz, (new ->> 'recorded_at')::timestamptz"
)
_PERSON_ROWS = _ROWS.format(
    columns="(new ->> 'person_id')::bigint, (new ->> 'number')::integer, new ->> 'change',"
    " (new ->> 'effective_at')::timestamptz, new ->> 'status' = 'left'"
)


@dataclass(frozen=True, slots=True)
class SecondCount:
    """How a report and the ledger agree on a population. `why_not`: why it could not be counted again."""

    report: str
    rows: int
    counted: int = 0
    #: How many are in one and not in the other; the first of them by their row ids.
    differing: int = 0
    only_in_report: tuple[str, ...] = ()
    only_in_ledger: tuple[str, ...] = ()
    why_not: str = ""

    @property
    def agrees(self) -> bool:
        """Tell whether both have the same rows."""
        return not self.differing and not self.why_not

    def in_words(self) -> str:
        """Return what came of it, with the rows that are not in both."""
        if self.why_not:
            return f"not counted again: {self.why_not}"
        both = f"{self.rows} rows by the report, {self.counted} by the ledger"
        if not self.differing:
            return f"matches both ways: {both}"
        ours, theirs = _listed(self.only_in_report), _listed(self.only_in_ledger)
        return f"DIFFERS in {self.differing} rows: {both}; only in the report: {ours}; only in the ledger: {theirs}"


def _listed(ids: Sequence[str]) -> str:
    return ", ".join(ids) or "none"


class _Revision(NamedTuple):
    """A word on a grant, as it was captured."""

    grant_id: int
    number: int
    change: str
    starts_at: datetime
    ends_at: datetime
    recorded_at: datetime


class _Said(NamedTuple):
    """A word on a person, as it was captured."""

    person_id: int
    number: int
    change: str
    effective_at: datetime
    is_left: bool


@dataclass(slots=True)
class _Tally:
    """A set of ids without the ids: how many, and the sum of their hashes."""

    number: int = 0
    total: int = 0

    def add(self, row_id: str) -> None:
        self.number += 1
        self.total += int.from_bytes(hashlib.sha256(row_id.encode()).digest())


def second_counts(folder: Path, question: Question, told: Sequence[Told]) -> list[SecondCount]:
    """Return the second count of each of these reports that is in the bundle. Reads the ledger once, usually."""
    there = [one for one in told if one.report.id in _TABLES]
    counted = _tallied(_by_ledger(question, {one.report.id for one in there}))
    return [_compared(one, folder, counted[one.report.id], question) for one in there]


def _compared(told: Told, folder: Path, theirs: _Tally, question: Question) -> SecondCount:
    report = told.report.id
    ours = _tallied((report, row_id) for row_id in _in_report(told, folder, question))[report]
    if ours == theirs:
        return SecondCount(report, ours.number, theirs.number)
    if Entry.objects.filter(index__lt=question.ledger_size).count() < question.ledger_size:
        why_not = "texts of the ledger below the pinned size were disposed of"
        return SecondCount(report, ours.number, theirs.number, why_not=why_not)
    found = _difference(report, _in_report(told, folder, question), question)
    # Rows from before the ledger can be missing from it; nothing but a hand can have taken one from the tables.
    if not found.only_in_ledger and _TABLES[report] in waiting_tables():
        return replace(found, why_not=f"the rows of {_TABLES[report]} from before the ledger are not all taken in")
    return found


def _tallied(row_ids: Iterable[tuple[str, str]]) -> dict[str, _Tally]:
    tallies: dict[str, _Tally] = defaultdict(_Tally)
    for report, row_id in row_ids:
        tallies[report].add(row_id)
    return tallies


def _difference(report: str, in_report: Iterable[str], question: Question) -> SecondCount:
    """Return what is in one and not in the other. Both are spread over files and compared a part at a time."""
    with TemporaryDirectory() as folder:
        ours = _spread(in_report, Path(folder, "report"))
        theirs = _spread((row_id for _, row_id in _by_ledger(question, {report})), Path(folder, "ledger"))
        found = SecondCount(report, 0)
        for one, other in zip(ours, theirs, strict=True):
            found = _with_part(found, _ids(one), _ids(other))
        return found


def _ids(path: Path) -> set[str]:
    return set(path.read_text(encoding="utf-8").splitlines())


def _with_part(found: SecondCount, ours: set[str], theirs: set[str]) -> SecondCount:
    return replace(
        found,
        rows=found.rows + len(ours),
        counted=found.counted + len(theirs),
        differing=found.differing + len(ours ^ theirs),
        only_in_report=tuple(nsmallest(NAMED, chain(found.only_in_report, ours - theirs))),
        only_in_ledger=tuple(nsmallest(NAMED, chain(found.only_in_ledger, theirs - ours))),
    )


def _spread(row_ids: Iterable[str], folder: Path) -> list[Path]:
    """Write ids into files, the same one always into the same file; return the files."""
    folder.mkdir()
    paths = [folder / str(number) for number in range(_PARTS)]
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("w", encoding="utf-8")) for path in paths]
        for row_id in row_ids:
            files[crc32(row_id.encode()) % _PARTS].write(f"{row_id}\n")
    return paths


def _in_report(told: Told, folder: Path, question: Question) -> Iterator[str]:
    """Yield the ids of the rows that are counted again: of R01 those that were granted.

    Of a report that a definition narrows, the whole population is counted again: read once more, in the same snapshot.
    """
    if told.report.is_narrowed:
        yield from _in_population(told.report.id, question)
        return
    with (folder / told.file.path).open(encoding="utf-8", newline="") as stream:
        rows = csv.reader(stream)
        header = next(rows)
        row_id, source = header.index("row_id"), header.index("source") if told.report.id == "R01" else None
        yield from (row[row_id] for row in rows if source is None or row[source] == "granted")


def _in_population(report: str, question: Question) -> Iterator[str]:
    granted = "WHERE everything.source = 'granted'" if report == "R01" else ""
    statement = f"SELECT everything.row_id FROM ({BY_ID[report].population_sql}) AS everything {granted}"
    yield from (row_id for (row_id,) in _stream(statement, question.parameters()))


def _by_ledger(question: Question, reports: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield report and row id of all that the ledger has."""
    if {"R01", "R03"} & set(reports):
        yield from (one for one in _by_grants(question) if one[0] in reports)
    if "R05" in reports:
        yield from (("R05", row_id) for row_id in _leavings(question))


def _by_grants(question: Question) -> Iterator[tuple[str, str]]:
    within = _grants_within(question.applications)
    for grant_id, words in groupby(_stream(_GRANT_ROWS, _heard(_GRANTS, question)), key=itemgetter(0)):
        if within is None or grant_id in within:
            said = [_Revision._make(one) for one in words]
            if _is_open(said[-1], question.period.as_of(question.known_at)):
                yield "R01", f"grant:{grant_id}"
            yield from (("R03", row_id) for row_id in _changes(said, question))


def _grants_within(applications: Collection[str]) -> set[int] | None:
    if not applications:
        return None
    return set(Grant.objects.filter(application__slug__in=applications).values_list("id", flat=True).iterator())


def _is_open(last: _Revision, at: datetime) -> bool:
    return last.starts_at <= at < last.ends_at


def _changes(said: Sequence[_Revision], question: Question) -> Iterator[str]:
    """Yield the row ids of what the words on one grant, in their order, change in the window."""
    first, last = said[0], said[-1]
    happened = _happened_in(question)
    if last.starts_at < last.ends_at:
        if happened(last.starts_at):
            yield f"grant:{first.grant_id}:started:{first.number:06}"
        if happened(last.ends_at):
            yield f"grant:{first.grant_id}:ended:{last.number:06}"
    for one in said:
        if one.change in {"extended", "shortened"} and happened(one.recorded_at):
            yield f"grant:{one.grant_id}:{one.change}:{one.number:06}"


def _happened_in(question: Question) -> Callable[[datetime], bool]:
    starts_at, ends_at, known_at = question.period.starts_at, question.period.ends_at, question.known_at
    return lambda at: starts_at <= at < ends_at and at <= known_at


def _leavings(question: Question) -> Iterator[str]:
    happened = _happened_in(question)
    left: list[tuple[int, int]] = []
    for person_id, words in groupby(_stream(_PERSON_ROWS, _heard(_PEOPLE, question)), key=itemgetter(0)):
        spell, left_at = 0, dict[int, datetime]()
        for one in map(_Said._make, words):
            # Whoever is at work again begins another spell; of several words on one leaving the earliest date counts.
            spell += not one.is_left
            if one.change == "left":
                left_at[spell] = min(one.effective_at, left_at.get(spell, one.effective_at))
        left += [(person_id, number) for number, at in left_at.items() if happened(at)]
    refs = dict(Person.objects.filter(id__in={person_id for person_id, _ in left}).values_list("id", "ref"))
    yield from (f"person:{refs.get(person_id, person_id)}:{number:04}" for person_id, number in left)


def _heard(table: str, question: Question) -> dict[str, Value]:
    return {"table": table, "ledger_size": question.ledger_size, "known_at": question.known_at}


def _stream(statement: str, parameters: Mapping[str, Value]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a statement without ever holding all of them."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(statement, parameters)
        while block := cursor.fetchmany(_READ_AT_ONCE):
            yield from block
