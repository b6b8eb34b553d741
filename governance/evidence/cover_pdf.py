"""cover.pdf: the cover on paper, to file and to sign. Set by typst from values; it is never a population."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import typst

from governance.evidence.controls import REVIEW_NOTE, framework_named
from governance.evidence.cover import Told
from governance.evidence.questions import Question
from governance.evidence.reading import RollForward
from governance.ledger.canonical import instant

PATH = "cover.pdf"
TEMPLATE = Path(__file__).with_name("cover.typ")
#: Typst takes memory by the row, and nobody reads on: what is more stands in R00.
MOST_LINES = 200
#: What its built-in fonts can show; PDF/A has no place for anything else.
_SHOWN = re.compile(r"[^\x20-\x7e\u00a0-\u024f\u0370-\u03ff\u0400-\u04ff\u2010-\u2027]")


def cover_pdf(
    question: Question,
    *,
    root: bytes,
    told: Sequence[Told],
    gaps: Sequence[tuple[str, str, str]],
    rolled: RollForward,
    answered: str,
) -> bytes:
    """Return the cover as PDF/A-2b: the same values give the same bytes. `answered`: how exceptions stand, in words."""
    framework, period = framework_named(question.framework), question.period
    said = {
        "title": f"Evidence for {framework.name}",
        "edition": framework.edition,
        "note": REVIEW_NOTE,
        "facts": [
            ["Period", f"{period.first} to {period.last}, both included, {period.zone}"],
            ["In UTC", f"from {instant(period.starts_at)} until before {instant(period.ends_at)}"],
            ["Period was over", "yes" if period.is_over(question.known_at) else "no: read up to what was known"],
            ["Applications", ", ".join(question.applications) or "all"],
            *([["Definition", question.selection.title]] if question.selection else []),
            ["Known at", instant(question.known_at)],
            ["Ledger size", str(question.ledger_size)],
            ["Ledger root", root.hex()],
            ["Leavers: hours allowed", str(question.leaver_sla_hours)],
            ["Roll-forward", _rolled(rolled)],
            ["Exceptions", answered],
        ],
        "reports": [
            [one.report.id, one.report.title, _rows(one), str(one.totals.exceptions), one.file.sha256] for one in told
        ],
        "gaps": [[code, about, sentence] for code, about, sentence in gaps[:MOST_LINES]],
        "more_gaps": max(len(gaps) - MOST_LINES, 0),
    }
    return _set(_shown(said), question)


def _rows(told: Told) -> str:
    return f"{told.totals.rows} of {told.of.whole_rows}" if told.of else str(told.totals.rows)


def _rolled(rolled: RollForward) -> str:
    return f"{rolled.opening} + {rolled.started} - {rolled.ended} = {rolled.closing}, difference {rolled.difference}"


def _shown(value: object) -> object:
    """Return the same with every character that cannot be shown as a question mark; the CSV spells it."""
    if isinstance(value, str):
        return _SHOWN.sub("?", value)
    if isinstance(value, dict):
        return {key: _shown(each) for key, each in value.items()}
    return [_shown(each) for each in value] if isinstance(value, list) else value


def _set(said: object, question: Question) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "cover.typ")
        source.write_bytes(TEMPLATE.read_bytes())
        made = typst.compile(
            str(source),
            root=folder,
            ignore_system_fonts=True,
            sys_inputs={"said": json.dumps(said)},
            pdf_standards=["a-2b"],
            # Typst knows whole seconds.
            timestamp=question.known_at.replace(microsecond=0),
        )
    return bytes(made)
