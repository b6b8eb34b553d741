"""Everything of a bundle that follows from its question and the pinned ledger: reports, queries, dictionaries, entries,
and the manifest over them. The same question gives the same bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from governance.evidence import cover, cover_pdf, oscal, readme, sheets
from governance.evidence.answered import Answered, write_answered
from governance.evidence.checked import Checked, check
from governance.evidence.controls import REVIEW_NOTE, framework_named
from governance.evidence.cover import Told
from governance.evidence.indexes import Indexes
from governance.evidence.late_facts import LateFacts, late_facts
from governance.evidence.ledger_files import Support, write_support
from governance.evidence.questions import Pin, Question
from governance.evidence.reading import (
    Disposed,
    RollForward,
    Source,
    Written,
    copy_out,
    count,
    count_rows,
    read_disposed,
    read_roll_forward,
    read_sources,
    snapshot,
    write,
)
from governance.evidence.reports import sources
from governance.evidence.reports.registry import COVER_ID, COVER_TITLE
from governance.evidence.verified import PATH as VERIFICATION
from governance.evidence.verifier.source import verifier_page, verifier_source
from governance.ledger.canonical import canonical, instant
from governance.ledger.queries import Head, breaks

FORMAT = "gatehouse-evidence/1"
MANIFEST = "manifest.json"
Progress = Callable[[str], None]
#: How often `write_files` tells its progress.
STEPS = 3


class PrunedMeanwhile(Exception):
    """What supports the rows went while it was written out: begin again."""


@dataclass(frozen=True, slots=True)
class Made:
    """The manifest that was written, and the totals for the page."""

    sha256: str
    summary: dict[str, object]


def write_files(
    folder: Path, question: Question, *, pinned: Head, key: str, progress: Progress, since: Pin | None = None
) -> Made:
    """Write all files that the manifest lists, and the manifest. `progress` is told each step in a sentence.

    `since`: also what became known since that cut.
    """
    told, answered, checked, read, rolled, disposed, late = _read(folder, question, since, progress)
    progress("Collecting ledger entries and their proofs")
    supporting = Indexes(late.entries if late else ())
    for one in told:
        supporting.update(one.totals.entries)
    support = write_support(folder, supporting, pinned, key)
    files = [
        *(late.files if late else ()),
        *(file for one in told for file in (one.file, one.rows_file)),
        *support.files,
        write(folder, VERIFICATION, checked.log.text.encode()),
        *_explanations(folder, question, told),
    ]
    progress("Writing sheets, cover and manifest")
    if read_disposed() != disposed:
        raise PrunedMeanwhile("Texts of the ledger were disposed of while it was read. It is read again.")
    holes = [*cover.gaps(question, read, disposed), *cover.choices(question, told), *checked.holes()]
    files += _copies(folder, question, pinned, told, answered, holes, rolled)
    sheet = cover.cover(
        question,
        root=pinned.root,
        sources=read,
        holes=holes,
        checked=[*checked.lines(), *(late.lines() if late else ())],
        roll_forward=rolled,
        told=told,
        answered=answered.by_state,
        files=_sorted(files),
    )
    files.append(write(folder, f"reports/{cover.FILE_STEM}.csv", sheet))
    manifest = _manifest(question, pinned, told, support, checked, holes, rolled, _sorted(files))
    compared: dict[str, object] = {"late_facts": late.as_json()} if late else {}
    written = write(folder, MANIFEST, canonical(manifest | compared).encode())
    return Made(written.sha256, _summary(told, read, rolled, holes) | compared)


def _read(
    folder: Path, question: Question, since: Pin | None, progress: Progress
) -> tuple[list[Told], Answered, Checked, list[Source], RollForward, Disposed | None, LateFacts | None]:
    parameters = question.parameters()
    progress("Reading all reports from one state of the database, and verifying the log")
    told = []
    with snapshot():
        read, rolled, disposed = read_sources(parameters), read_roll_forward(parameters), read_disposed()
        for report in question.reports:
            file, rows_file = copy_out(report, parameters, folder)
            of = count_rows(report, parameters) if report.only else None
            told.append(Told(report, file, rows_file, count(report, folder / file.path), of))
        answered = write_answered(folder, question, told)
        checked = check(folder, question, told)
        late = late_facts(folder, question, since, told) if since else None
    return [*told, answered.told], answered, checked, read, rolled, disposed, late


def _copies(
    folder: Path,
    question: Question,
    pinned: Head,
    told: list[Told],
    answered: Answered,
    holes: list[tuple[str, str, str]],
    rolled: RollForward,
) -> list[Written]:
    """Write what says the same in other forms: workbooks, the cover on paper, OSCAL."""
    said = answered.in_words()
    paper = cover_pdf.cover_pdf(question, root=pinned.root, told=told, gaps=holes, rolled=rolled, answered=said)
    return [
        write(folder, cover_pdf.PATH, paper),
        *(
            write(folder, path, text)
            for path, text in oscal.documents(question, pinned.root, told, answered.spelled).items()
        ),
        *(
            write(folder, f"reports/{one.report.file_stem}.xlsx", sheets.sheet(one.report, folder / one.file.path))
            for one in told
            if one.totals.rows <= sheets.MOST_ROWS
        ),
    ]


def _explanations(folder: Path, question: Question, told: list[Told]) -> list[Written]:
    files = [
        write(folder, "README.txt", readme.text(question, [one.report for one in told]).encode()),
        write(folder, "verify/verify.py", verifier_source().encode()),
        write(folder, "verify/verify.html", verifier_page().encode()),
        write(folder, f"dictionary/{cover.FILE_STEM}.json", _pretty(cover.DICTIONARY)),
        write(folder, "queries/R00_sources.sql", sources.SOURCES.encode()),
        write(folder, "queries/R00_roll_forward.sql", sources.ROLL_FORWARD.encode()),
    ]
    for one in told:
        files.append(write(folder, f"queries/{one.report.file_stem}.sql", one.report.sql.encode()))
        files.append(write(folder, f"dictionary/{one.report.file_stem}.json", _pretty(one.report.dictionary())))
    return files


def _manifest(
    question: Question,
    pinned: Head,
    told: list[Told],
    support: Support,
    checked: Checked,
    gaps: list[tuple[str, str, str]],
    rolled: RollForward,
    files: list[Written],
) -> dict[str, object]:
    framework, period = framework_named(question.framework), question.period
    return {
        "format": FORMAT,
        "framework": {
            "slug": framework.slug,
            "name": framework.name,
            "edition": framework.edition,
            "note": REVIEW_NOTE,
            "controls": [
                {"id": control.id, "intent": control.intent, "reports": list(control.reports)}
                for control in framework.controls
            ],
        },
        "period": {
            "first": period.first.isoformat(),
            "last": period.last.isoformat(),
            "zone": period.zone,
            "starts_at": instant(period.starts_at),
            "ends_at": instant(period.ends_at),
            "as_of": instant(period.as_of(question.known_at)),
            "was_over": period.is_over(question.known_at),
        },
        "known_at": instant(question.known_at),
        "policy": {
            "leaver_sla_hours": question.leaver_sla_hours,
            "freshness_hours": question.freshness_hours,
        },
        "applications": list(question.applications),
        # A bundle that says nothing of a definition is one of the whole pack.
        **({"definition": question.selection.as_json()} if question.selection else {}),
        "ledger": {
            "origin": pinned.note.partition("\n")[0],
            "size": pinned.size,
            "root": pinned.root.hex(),
            "entries": support.entries,
            "entries_left_out": support.left_out,
            # A bundle that says nothing of breaks is one of a log without.
            **({"breaks": broken} if (broken := _breaks_below(pinned)) else {}),
        },
        "roll_forward": {
            "opening": rolled.opening,
            "started": rolled.started,
            "ended": rolled.ended,
            "closing": rolled.closing,
            "difference": rolled.difference,
        },
        "checks": checked.as_json(),
        "gaps": [{"code": code, "application": slug, "said": said} for code, slug, said in gaps],
        "reports": [_cover_line(), *(_report_line(one) for one in told)],
        "files": [{"path": file.path, "size": file.size, "sha256": file.sha256} for file in files],
    }


def _breaks_below(pinned: Head) -> int:
    return sum(one.said.size < pinned.size for one in breaks())


def _cover_line() -> dict[str, object]:
    return {
        "id": COVER_ID,
        "title": COVER_TITLE,
        "file": f"reports/{cover.FILE_STEM}.csv",
        "rows_file": None,
    }


def _report_line(told: Told) -> dict[str, object]:
    report, totals = told.report, told.totals
    column, kind = report.subject
    return {
        "id": report.id,
        "title": report.title,
        "version": report.version,
        "file": told.file.path,
        "rows_file": told.rows_file.path,
        "subject": {"column": column, "kind": kind},
        **({"or_subject": dict(zip(("column", "kind"), report.or_subject, strict=True))} if report.or_subject else {}),
        "totals": {
            "rows": totals.rows,
            "exceptions": totals.exceptions,
            "without_entry": totals.without_entry,
            "entry_sum": totals.entry_sum,
            "people": len(totals.people),
            "systems": len(totals.systems) if report.system else None,
        },
        **({"narrowed": _narrowed(told)} if report.is_narrowed else {}),
    }


def _narrowed(told: Told) -> dict[str, object]:
    """Return what a definition leaves out of a report: rows with how many there would be, and columns."""
    report, of = told.report, told.of
    return {
        "only_rows": list(report.only_said),
        "columns_left_out": list(report.left_out),
        "whole": {"rows": of.whole_rows, "exceptions": of.whole_exceptions} if of else None,
    }


def _summary(
    told: list[Told], read: list[Source], rolled: RollForward, gaps: list[tuple[str, str, str]]
) -> dict[str, object]:
    return {
        "reports": {
            one.report.id: {
                "title": one.report.title,
                "rows": one.totals.rows,
                "exceptions": one.totals.exceptions,
                "without_entry": one.totals.without_entry,
                **({"of": one.of.whole_rows} if one.of else {}),
            }
            for one in told
        },
        "sources": len(read),
        "gaps": [{"code": code, "application": slug, "said": said} for code, slug, said in gaps],
        "difference": rolled.difference,
    }


def _sorted(files: list[Written]) -> list[Written]:
    return sorted(files, key=lambda file: file.path)


def _pretty(value: object) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
