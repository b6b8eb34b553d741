"""How reports are read: all of a bundle in one snapshot, streamed by COPY into files, hashed on the way."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from sys import intern
from typing import Any

from django.db import OperationalError, connection, transaction
from psycopg.errors import QueryCanceled

from governance.evidence.indexes import Indexes
from governance.evidence.questions import Value
from governance.evidence.reports import sources
from governance.evidence.reports.base import Report
from governance.ledger.disposals import how_often_and_up_to
from governance.ledger.models import Checkpoint

#: Hexadecimal characters kept of the SHA-256 of each row: they only say which one changed. The file's hash is whole.
ROW_DIGEST_LENGTH = 16


#: A preview counts for so long at most.
LONGEST_COUNT_MILLISECONDS = 20_000
#: What one step of a query may take before it sorts on disk. Reports join whole tables; 4 MB is for looking up rows.
WORK_MEMORY = "64MB"
#: The values of the named parameters of a query.
Parameters = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Disposed:
    """Below this index texts of the ledger may have been disposed of; the last of those was sealed at that instant."""

    minimum: int
    sealed_until: datetime
    #: How often something was.
    times: int


@dataclass(frozen=True, slots=True)
class Written:
    """A file of a bundle: where it is inside, how long it is and its SHA-256, hexadecimal."""

    path: str
    size: int
    sha256: str


@dataclass(slots=True)
class Totals:
    """The control totals of a report, counted from the file that was written, not from the query."""

    rows: int = 0
    exceptions: int = 0
    without_entry: int = 0
    entry_sum: int = 0
    people: set[str] = field(default_factory=set)
    systems: set[str] = field(default_factory=set)
    entries: Indexes = field(default_factory=Indexes)
    #: Of each row with something to look at: its id, the codes, and the application and person it is about, if any.
    flagged: list[tuple[str, str, str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Source:
    """An application in scope, and the last time all of it was read."""

    slug: str
    name: str
    kind: str
    read_at: datetime | None
    pages: int | None
    announced: int | None
    received: int | None
    holdings_received: int | None
    digest: str | None
    failed_runs: int


@dataclass(frozen=True, slots=True)
class RollForward:
    """Grants open at the start, begun, ceased and open at the end of the window."""

    opening: int
    started: int
    ended: int
    closing: int

    @property
    def difference(self) -> int:
        """Return what does not add up; zero in a sound report."""
        return self.opening + self.started - self.ended - self.closing


@contextmanager
def snapshot() -> Iterator[None]:
    """Read everything inside from one state of the database, and be unable to write.

    Raises RuntimeError inside another transaction: it could not have its own state.
    """
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            # Compiling some three hundred expressions costs more than it saves on these queries.
            cursor.execute(f"SET LOCAL jit = off; SET LOCAL work_mem = '{WORK_MEMORY}'")
        yield


def copy_out(report: Report, parameters: Parameters, folder: Path) -> tuple[Written, Written]:
    """Stream the report into `reports/` of the folder; return the CSV and the list of its row digests."""
    csv_path, digest_path = f"reports/{report.file_stem}.csv", f"rows/{report.file_stem}.txt"
    whole = hashlib.sha256()
    digests = hashlib.sha256()
    with _create(folder, csv_path) as rows, _create(folder, digest_path) as lines, connection.cursor() as cursor:
        with cursor.copy(_copying(report), parameters) as copy:
            # The server sends each row, and the header, as one message.
            for row in copy:
                rows.write(row)
                whole.update(row)
                line = row_digest(bytes(row))
                lines.write(line)
                digests.update(line)
        sizes = rows.tell(), lines.tell()
    return Written(csv_path, sizes[0], whole.hexdigest()), Written(digest_path, sizes[1], digests.hexdigest())


def row_digest(row: bytes) -> bytes:
    """Return the line that stands for a row in a list of row digests."""
    return hashlib.sha256(row).hexdigest()[:ROW_DIGEST_LENGTH].encode() + b"\n"


def count(report: Report, file: Path) -> Totals:
    """Read a written report again and return its control totals."""
    totals, add = Totals(), _adding(report)
    with file.open(encoding="utf-8", newline="") as stream:
        rows = csv.reader(stream)
        next(rows)
        for row in rows:
            add(totals, row)
    return totals


def read_sources(parameters: Parameters) -> list[Source]:
    """Return the applications in scope, by short name."""
    return [Source(*row) for row in _fetch(sources.SOURCES, parameters)]


def read_disposed() -> Disposed | None:
    """Return up to where texts of the ledger were disposed of; None when none was. Two statements."""
    times, minimum = how_often_and_up_to()
    head = Checkpoint.objects.filter(size__lte=minimum).order_by("-size").first() if minimum else None
    return None if head is None else Disposed(minimum, head.at, times)


def read_roll_forward(parameters: Parameters) -> RollForward:
    """Return the roll-forward of grants over the window."""
    return RollForward(*_fetch(sources.ROLL_FORWARD, parameters)[0])


@dataclass(frozen=True, slots=True)
class Counted:
    """How many rows a report has, and how many of them exceptions; `whole_…`: without the choice of a definition."""

    rows: int
    exceptions: int
    whole_rows: int
    whole_exceptions: int


def preview(reports: Sequence[Report], parameters: Parameters) -> tuple[dict[str, Counted], RollForward]:
    """Return how many rows and how many exceptions each report has, by its id, and the roll-forward: in one statement.

    When counting takes longer than somebody waits for a page, no report has a number.
    """
    rolled = f"SELECT '', opening, started, ended, closing FROM ({sources.ROLL_FORWARD}) AS rolled"
    found = within_patience(" UNION ALL ".join((rolled, *(_counted(one) for one in reports))), parameters)
    if found is None:
        return {}, read_roll_forward(parameters)
    by_id = {id_: numbers for id_, *numbers in found}
    return {one.id: Counted(*by_id[one.id]) for one in reports}, RollForward(*by_id[""])


def count_rows(report: Report, parameters: Parameters) -> Counted:
    """Return the same of one report, however long it takes."""
    ((_, *numbers),) = _fetch(_counted(report), parameters)
    return Counted(*numbers)


class TooLong(Exception):
    """Reading took longer than somebody waits for a page."""


@contextmanager
def copied_with_patience(report: Report, parameters: Parameters) -> Iterator[Iterator[memoryview]]:
    """Have the lines of a report's CSV, the header first. Raises TooLong."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_limits(LONGEST_COUNT_MILLISECONDS))
            with cursor.copy(_copying(report), parameters) as copy:
                yield iter(copy)
    except QueryCanceled as error:
        raise TooLong from error


def _copying(report: Report) -> str:
    return f"COPY (\n{report.sql}) TO STDOUT (FORMAT csv, HEADER true)"


def within_patience(
    statement: str, parameters: Parameters, milliseconds: int = LONGEST_COUNT_MILLISECONDS
) -> list[tuple[Any, ...]] | None:
    """Return the rows of a statement, or none when it takes longer than somebody waits for a page."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"{_limits(milliseconds)}; {statement}", parameters)
            while cursor.nextset():
                pass
            return list(cursor.fetchall())
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise
        return None


def _limits(milliseconds: int) -> str:
    return f"SET LOCAL statement_timeout = {milliseconds:d}; SET LOCAL jit = off; SET LOCAL work_mem = '{WORK_MEMORY}'"


def _counted(report: Report) -> str:
    flagged = "found.exceptions <> ''"
    chosen = " AND ".join(report.only) or "true"
    return (
        f"SELECT '{report.id}', count(*) FILTER (WHERE {chosen}), count(*) FILTER (WHERE {flagged} AND {chosen}),"
        f" count(*), count(*) FILTER (WHERE {flagged}) FROM (\n{replace(report, only=()).population_sql}\n) AS found"
    )


def write(folder: Path, path: str, content: bytes) -> Written:
    """Write a small file of a bundle."""
    with _create(folder, path) as file:
        file.write(content)
    return Written(path, len(content), hashlib.sha256(content).hexdigest())


def write_rows(folder: Path, path: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Written:
    """Write a table of a bundle that is made here and not by COPY; its cells must be no formulas."""
    whole = hashlib.sha256()
    with _create(folder, path) as file:
        for row in (header, *rows):
            line = io.StringIO(newline="")
            csv.writer(line, lineterminator="\n").writerow(row)
            content = line.getvalue().encode()
            whole.update(content)
            file.write(content)
        return Written(path, file.tell(), whole.hexdigest())


def _create(folder: Path, path: str) -> Any:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.open("wb")


def _fetch(sql: str, parameters: Parameters) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def _adding(report: Report) -> Callable[[Totals, Sequence[str]], None]:
    """Return what adds a row to totals. Rows are told by place: by name each would cost five times as much."""
    place = {name: number for number, name in enumerate(report.header)}
    row_id, exceptions = place["row_id"], place["exceptions"]
    person, system = (place[name] if name else None for name in (report.person, report.system))
    application = system if report.is_by_application else None
    supporting = place["first_entry"], place["last_entry"]

    def add(totals: Totals, row: Sequence[str]) -> None:
        totals.rows += 1
        about = row[person] if person is not None else ""
        if row[exceptions]:
            totals.exceptions += 1
            of = row[application] if application is not None else ""
            # The same few are on most rows: each is kept once.
            totals.flagged.append((row[row_id], intern(row[exceptions]), intern(of), intern(about)))
        if about:
            totals.people.add(about)
        if system is not None and row[system]:
            totals.systems.add(row[system])
        indexes = [int(row[number]) for number in supporting if row[number]]
        totals.without_entry += not indexes
        totals.entry_sum += sum(indexes)
        totals.entries.update(indexes)

    return add
