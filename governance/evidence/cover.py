"""R00: the sheet an auditor reads first: what was asked, of what, how complete the sources were, and the totals."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from governance.evidence.controls import REVIEW_NOTE, framework_named
from governance.evidence.questions import Question, Value
from governance.evidence.reading import Counted, Disposed, RollForward, Source, Totals, Written
from governance.evidence.reports.base import FORMULA_SIGNS, Report
from governance.evidence.reports.registry import COVER_ID, COVER_TITLE
from governance.ledger.canonical import instant

FILE_STEM = f"{COVER_ID}_{COVER_TITLE.lower().replace(' ', '_')}"
HEADER = ("section", "item", "value")
Row = tuple[str, str, str]

DICTIONARY = {
    "report": COVER_ID,
    "title": COVER_TITLE,
    "population": "One line for each fact about this bundle, its sources and its reports.",
    "columns": [
        {
            "name": "section",
            "kind": "text",
            "meaning": (
                "question, pin, source, gap, roll_forward, verifier, second_count, exceptions, a report's id, nil, file"
            ),
        },
        {"name": "item", "kind": "text", "meaning": "What the value is about.", "guarded": True},
        {"name": "value", "kind": "text", "meaning": "The value.", "guarded": True},
    ],
    "gaps": [
        {"code": "not_connected", "meaning": "No connector: nothing was ever read from the application."},
        {"code": "by_hand", "meaning": "Worked by hand: what is said about it is somebody's word."},
        {"code": "never_read", "meaning": "A connector is there, and no complete reading yet."},
        {"code": "stale", "meaning": "The last complete reading is older than freshness_hours at known_at."},
        {"code": "not_built", "meaning": "A report the framework asks for that this version cannot give, and why."},
        {"code": "disposed", "meaning": "The period begins before texts of the ledger that were disposed of by age."},
        {"code": "log_damaged", "meaning": "At the pinned size the log does not hold, or the verifier could not look."},
        {"code": "count_differs", "meaning": "A second count, from the ledger, has other rows than the report."},
        {"code": "not_counted", "meaning": "A population could not be counted a second time, and why."},
        {"code": "report_left_out", "meaning": "A report of the framework that the definition does not choose."},
        {
            "code": "rows_left_out",
            "meaning": "A report of which the definition chooses rows: which, and how many of all.",
        },
        {"code": "columns_left_out", "meaning": "A report of which the definition leaves out columns, and which."},
        {"code": "failed_runs", "meaning": "Readings that began in the window and did not complete."},
    ],
}


@dataclass(frozen=True, slots=True)
class Told:
    """A report as it was written: its files and control totals."""

    report: Report
    file: Written
    rows_file: Written
    totals: Totals
    #: Where a definition chooses rows of it: how many there would be without.
    of: Counted | None = None


def gaps(question: Question, sources: Sequence[Source], disposed: Disposed | None) -> list[Row]:
    """Return every hole in the coverage: code, application (or *ledger*) and a sentence."""
    holes = [(code, source.slug, said) for source in sources for code, said in _gaps_of(question, source)]
    if disposed is not None and question.period.starts_at < disposed.sealed_until:
        said = (
            f"Texts of entries below {disposed.minimum}, the last of them sealed {instant(disposed.sealed_until)}, were"
            " disposed of under the retention rule, unless they are in force. What rests on them alone is not shown."
        )
        holes.append(("disposed", "ledger", said))
    unbuilt = framework_named(question.framework).unbuilt
    return holes + [("not_built", one.id, f"{one.id} {one.title}: {one.why}") for one in unbuilt]


def choices(question: Question, told: Sequence[Told]) -> list[Row]:
    """Return what a definition leaves out, as gaps: reports of the framework, rows, columns."""
    if question.selection is None:
        return []
    by = f"by the definition {question.selection.title}"
    left_out = [
        ("report_left_out", report.id, f"{report.id} {report.title}: left out {by}.")
        for report in question.selection.left_out
    ]
    return left_out + [hole for one in told for hole in _left_out_of(one, by)]


def _left_out_of(told: Told, by: str) -> Iterator[Row]:
    report = told.report
    if report.only:
        rows, exceptions = _of(told)
        only = " and ".join(report.only_said)
        said = f"{report.id} {report.title}: {by}, only rows where {only}: {rows} rows, with {exceptions} exceptions."
        yield "rows_left_out", report.id, said
    if report.left_out:
        said = f"{report.id} {report.title}: {by}, without the columns {' '.join(report.left_out)}."
        yield "columns_left_out", report.id, said


def _of(told: Told) -> tuple[str, str]:
    """Return how many rows and exceptions there are, of how many without the choice."""
    totals, of = told.totals, told.of
    if of is None:
        return str(totals.rows), str(totals.exceptions)
    return f"{totals.rows} of {of.whole_rows}", f"{totals.exceptions} of {of.whole_exceptions}"


def cover(
    question: Question,
    *,
    root: bytes,
    sources: Sequence[Source],
    holes: Sequence[Row],
    checked: Sequence[Row],
    roll_forward: RollForward,
    told: Sequence[Told],
    answered: Mapping[str, int],
    files: Sequence[Written],
) -> bytes:
    """Return the sheet as CSV. `files` are the other files of the bundle that existed when it was written.

    `holes` are all gaps, `checked` the lines about what was checked of the bundle itself. `answered` is how many
    exceptions are in each state, by R24.
    """
    rows = [
        *_question(question),
        *_pin(question, root),
        *(("source", source.slug, _reading(source)) for source in sources),
        *(("gap", f"{code} {slug}", said) for code, slug, said in holes),
        ("gap", "count", str(len(holes))),
        *_roll_forward(roll_forward),
        *checked,
        *(("exceptions", state, str(number)) for state, number in answered.items()),
        *(row for one in told for row in _totals(one)),
        *(("file", file.path, f"sha256 {file.sha256} size {file.size}") for file in files),
    ]
    return _csv(rows)


def _gaps_of(question: Question, source: Source) -> Iterator[tuple[str, str]]:
    if source.kind == "none":
        yield "not_connected", "No connector: what was granted is known, what is really there is not."
    elif source.kind == "manual":
        yield "by_hand", "Worked by hand: removals are somebody's word, never read back."
    elif source.read_at is None:
        yield "never_read", "Never read completely."
    elif _age_hours(question, source.read_at) > question.freshness_hours:
        yield "stale", f"Last read completely {_age_hours(question, source.read_at):.1f} h before known_at."
    if source.failed_runs:
        yield "failed_runs", f"{source.failed_runs} readings in the window did not complete."


def _age_hours(question: Question, read_at: datetime) -> float:
    return (question.known_at - read_at).total_seconds() / 3600


def _question(question: Question) -> Iterator[Row]:
    period, framework = question.period, framework_named(question.framework)
    yield "question", "framework", f"{framework.name} ({framework.edition})"
    yield "question", "controls", " ".join(control.id for control in framework.controls)
    yield "question", "control mapping", REVIEW_NOTE
    if question.selection:
        yield "question", "definition", question.selection.title
        yield "question", "definition sha256", question.selection.sha256
    yield "question", "period", f"{period.first} to {period.last}, both included, {period.zone}"
    yield "question", "period in UTC", f"from {instant(period.starts_at)}, until before {instant(period.ends_at)}"
    yield "question", "period was over", "yes" if period.is_over(question.known_at) else "no: read up to known_at"
    for name, value in question.parameters().items():
        if name != "open_end":
            yield "question", name, _said(value)
    yield "question", "freshness_hours", str(question.freshness_hours)


def _said(value: Value) -> str:
    if isinstance(value, datetime):
        return instant(value)
    return " ".join(value) if isinstance(value, list) else "all" if value is None else str(value)


def _pin(question: Question, root: bytes) -> Iterator[Row]:
    yield "pin", "ledger size", str(question.ledger_size)
    yield "pin", "ledger root", root.hex()
    yield "pin", "who and when", "see ledger/manifest_entry.json: actor and time of the export, as the log has them"


def _reading(source: Source) -> str:
    if source.read_at is None:
        return f"{source.name}; connector {source.kind}; never read completely"
    announced = "not announced" if source.announced is None else str(source.announced)
    return (
        f"{source.name}; connector {source.kind}; read completely {instant(source.read_at)}; pages {source.pages}; "
        f"accounts announced {announced}, received {source.received}; entitlements seen {source.holdings_received}; "
        f"sha256 {source.digest}"
    )


def _roll_forward(rolled: RollForward) -> Iterator[Row]:
    for name in ("opening", "started", "ended", "closing", "difference"):
        yield "roll_forward", name, str(getattr(rolled, name))


def _totals(told: Told) -> Iterator[Row]:
    section, totals = told.report.id, told.totals
    yield section, "title", told.report.title
    yield section, "query sha256", told.report.version
    yield section, "population", told.report.population
    yield section, "rows", str(totals.rows)
    if told.of:
        yield section, "rows without the definition's choice", str(told.of.whole_rows)
        yield section, "exceptions without the definition's choice", str(told.of.whole_exceptions)
    yield section, "exceptions", str(totals.exceptions)
    yield section, "distinct people", str(len(totals.people))
    yield section, "distinct systems", str(len(totals.systems)) if told.report.system else "not counted"
    yield section, "sum of ledger indexes", str(totals.entry_sum)
    yield section, "rows without a ledger entry", str(totals.without_entry)
    if totals.rows == 0 and told.of and told.of.whole_rows:
        yield (
            "nil",
            section,
            f"{told.report.title}: no row is chosen. There are {told.of.whole_rows} without the choice.",
        )
    elif totals.rows == 0:
        yield "nil", section, f"{told.report.title}: the query ran and found no row. The nil result is the evidence."
    elif totals.exceptions == 0:
        chosen = " that is chosen" if told.of else ""
        yield "nil", section, f"{told.report.title}: no row{chosen} has an exception."


def _csv(rows: Iterable[Row]) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows([section, _guarded(item), _guarded(value)] for section, item, value in rows)
    return stream.getvalue().encode()


def _guarded(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA_SIGNS) else cell
