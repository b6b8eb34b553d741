"""Looking at one report before, or instead of, building a bundle: its rows, narrowed, counted, or a sample of them."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from governance.core.errors import Conflict, Invalid, NotFound
from governance.evidence.narrowing import filters_of
from governance.evidence.questions import Question, Value
from governance.evidence.reading import Parameters, TooLong, copied_with_patience, within_patience
from governance.evidence.reports.base import Report
from governance.evidence.reports.registry import BY_ID

SHOWN = 50
_TOO_MUCH = "There is more than can be read while you wait. Have the bundle built: it holds all of it."
MOST_SAMPLED = 500
LONGEST_SEED = 200


@dataclass(frozen=True, slots=True)
class Sample:
    """So many rows, chosen by a seed: anybody with the rows and the seed chooses the same ones.

    The rows in the order of SHA-256(seed || row_id), both in UTF-8, from the lowest, `number` of them.
    """

    seed: str
    number: int


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What is looked at of a report. `filters` are column to value; `sample` is taken after them."""

    filters: Mapping[str, str] = field(default_factory=dict)
    exceptions_only: bool = False
    sample: Sample | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """Rows of a report as its CSV has them: the first ones, or the sample. `total` and `exceptions` are of all."""

    report: Report
    rows: tuple[dict[str, str], ...]
    total: int
    exceptions: int


def report_named(report_id: str) -> Report:
    """Return a report. Raises NotFound."""
    if report_id not in BY_ID:
        raise NotFound(f"There is no report {report_id}.")
    return BY_ID[report_id]


def look(report: Report, question: Question, by: Narrowed, *, limit: int = SHOWN, after: int = 0) -> Look:
    """Return up to `limit` rows behind the ordinal `after`, or the sample. One statement.

    Raises Invalid naming a filter the report does not have, `seed` or `n`, and Conflict when it takes too long.
    """
    _check(report, by)
    conditions = [f"every.{name} = %(filter_{name})s" for name in by.filters]
    if by.exceptions_only:
        conditions.append("every.exceptions IS NOT NULL")
    parameters: dict[str, Value] = {f"filter_{name}": value for name, value in by.filters.items()}
    parameters |= {"seed": by.sample.seed if by.sample else "", "after": str(after)}
    order = "sha256(convert_to(%(seed)s || every.row_id, 'UTF8'))" if by.sample else "every.row_no"
    beyond = "true" if by.sample else "counted.row_no > %(after)s::bigint"
    number = by.sample.number if by.sample else limit
    statement = f"""
SELECT * FROM (
    SELECT every.*, count(*) OVER () AS all_rows, count(every.exceptions) OVER () AS all_exceptions, {order} AS place
    FROM ({report.sql}) AS every WHERE {" AND ".join(conditions) or "true"}
) AS counted WHERE {beyond} ORDER BY counted.place LIMIT {number:d}"""
    return _read(report, statement, {**question.parameters(), **parameters})


@dataclass(frozen=True, slots=True)
class TakenIn:
    """A whole report that was read: how many rows, how many with exceptions, and the SHA-256 of its CSV."""

    rows: int
    exceptions: int
    sha256: str


def taken_in(report: Report, question: Question) -> TakenIn:
    """Read a whole report and return its totals and the digest that a bundle of the same question gives it.

    Raises Conflict when that takes longer than somebody waits.
    """
    digest, rows, exceptions = hashlib.sha256(), -1, 0
    place = report.header.index("exceptions")
    try:
        with copied_with_patience(report, question.parameters()) as copy:
            for row in copy:
                digest.update(row)
                rows += 1
                exceptions += rows > 0 and next(csv.reader([bytes(row).decode()]))[place] != ""
    except TooLong as error:
        raise Conflict(_TOO_MUCH) from error
    return TakenIn(rows, exceptions, digest.hexdigest())


def _check(report: Report, by: Narrowed) -> None:
    known = filters_of(report)
    problems = {
        name: f"{report.id} cannot be narrowed by it. It can by: {', '.join(known) or 'nothing'}."
        for name in by.filters
        if name not in known
    }
    if by.sample and not 0 < by.sample.number <= MOST_SAMPLED:
        problems["n"] = f"Take 1 to {MOST_SAMPLED} rows."
    if by.sample and not 0 < len(by.sample.seed) <= LONGEST_SEED:
        problems["seed"] = f"Give a seed of 1 to {LONGEST_SEED} characters."
    if problems:
        raise Invalid(problems)


def _read(report: Report, statement: str, parameters: Parameters) -> Look:
    found = within_patience(statement, parameters)
    if found is None:
        raise Conflict(_TOO_MUCH)
    rows = tuple(
        dict(zip(report.header, ("" if cell is None else str(cell) for cell in row), strict=False)) for row in found
    )
    total, exceptions = (found[0][-3], found[0][-2]) if found else (0, 0)
    return Look(report, rows, total, exceptions)
