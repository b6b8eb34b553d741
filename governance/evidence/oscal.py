"""The bundle in OSCAL (NIST, assessment-results 1.1.3): which controls were looked at, by which evidence.

There is no free catalogue of most frameworks, so controls are referred to by id only. OSCAL wants tokens for ids:
whatever is no letter, digit, dot, hyphen or underscore becomes an underscore, and the id as it is stands in a property.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from governance.evidence.controls import REVIEW_NOTE, Framework, framework_named
from governance.evidence.cover import Told
from governance.evidence.periods import Period
from governance.evidence.questions import Question
from governance.evidence.reading import Written
from governance.evidence.reports.registry import COVER_ID
from governance.ledger.canonical import instant

VERSION = "1.1.3"
PLAN, RESULTS = "oscal/assessment-plan.json", "oscal/assessment-results.json"
#: Namespace of the properties.
_NS = "https://gatehouse.example/ns/oscal"
#: Namespace of the identifiers: the same question has the same ones.
_SPACE = uuid.UUID("5c3e6c3d-6d0a-5c44-9a55-6c2c0f6f4d1e")


def documents(
    question: Question, root: bytes, told: Sequence[Told], exceptions: Sequence[Mapping[str, str]]
) -> dict[str, bytes]:
    """Return the plan and the results, by their path in the bundle. `exceptions` are rows of R24, each a risk here."""
    chosen = f" {question.selection.sha256}" if question.selection else ""
    names = _Names(f"{question.parameters()} {question.framework} {root.hex()}{chosen}")
    framework = _looked_at(question)
    plan = {
        "assessment-plan": {
            "uuid": names.of("plan"),
            "metadata": _metadata(question, f"How {framework.name} is looked at"),
            "import-ssp": {"href": f"#{names.of('ssp')}"},
            "reviewed-controls": _reviewed(framework),
            "back-matter": {
                "resources": [
                    {
                        "uuid": names.of("ssp"),
                        "title": "System security plan",
                        "description": "Not part of this bundle: the organisation keeps it.",
                    }
                ]
            },
        }
    }
    results = {
        "assessment-results": {
            "uuid": names.of("results"),
            "metadata": _metadata(question, f"Evidence for {framework.name}"),
            "import-ap": {"href": "assessment-plan.json"},
            "results": [_result(question, framework, told, exceptions, names)],
            "back-matter": {"resources": [_resource(one.file, one.report.title, names) for one in told]},
        }
    }
    return {PLAN: _text(plan), RESULTS: _text(results)}


def _looked_at(question: Question) -> Framework:
    """Return the framework; under a definition, with the controls to which a chosen report or the cover speaks."""
    framework = framework_named(question.framework)
    if question.selection is None:
        return framework
    there = {COVER_ID, *(report.id for report in question.reports)}
    return replace(framework, controls=tuple(one for one in framework.controls if there.intersection(one.reports)))


class _Names:
    """Identifiers that follow from what they name."""

    def __init__(self, question: str) -> None:
        self._space = uuid.uuid5(_SPACE, question)

    def of(self, what: str) -> str:
        return str(uuid.uuid5(self._space, what))


def _metadata(question: Question, title: str) -> dict[str, object]:
    return {
        "title": title,
        "last-modified": instant(question.known_at),
        "version": str(question.ledger_size),
        "oscal-version": VERSION,
        "remarks": REVIEW_NOTE,
    }


def _reviewed(framework: Framework) -> dict[str, object]:
    included = [{"control-id": token(framework, control.id)} for control in framework.controls]
    return {"control-selections": [{"description": framework.edition, "include-controls": included}]}


def token(framework: Framework, control_id: str) -> str:
    """Return the id of a control as OSCAL can hold it."""
    return f"{framework.slug}_{re.sub(r'[^A-Za-z0-9._-]+', '_', control_id).strip('_')}"


def _result(
    question: Question,
    framework: Framework,
    told: Sequence[Told],
    exceptions: Sequence[Mapping[str, str]],
    names: _Names,
) -> dict[str, object]:
    period = question.period
    risks = [_risk(row, period.zone, names) for row in exceptions]
    return {
        "uuid": names.of("result"),
        "title": f"{framework.name}, {period.first} to {period.last}",
        "description": f"Civil days in {period.zone}, both included, as known at {instant(question.known_at)}.",
        "start": instant(period.starts_at),
        "end": instant(period.as_of(question.known_at)),
        "reviewed-controls": _reviewed(framework),
        "observations": [_observation(question, framework, one, names) for one in told],
        **({"risks": risks, "remarks": _RISKS} if risks else {}),
    }


#: What R24 calls a state, and what OSCAL does.
_STATUS = {
    "open": "open",
    "explained": "remediating",
    "overdue": "open",
    "accepted": "deviation-approved",
    "fixed": "closed",
    "not read yet": "open",
}
_RISKS = "Risks are the exceptions of R24, the first 500 of them. The CSV has them all, with names and explanations."


def _risk(row: Mapping[str, str], zone: str, names: _Names) -> dict[str, object]:
    """Return an exception as OSCAL has it, without what somebody wrote: names stand in the CSV only."""
    deadline = row["accepted_until"] if row["state"] == "accepted" else row["fix_by"]
    owner = row["owner_ref"]
    props = {"state": row["state"], "row-id": row["row_id"], **({"owner-ref": owner} if owner else {})}
    return {
        "uuid": names.of(f"risk {row['row_id']}"),
        "title": f"{row['report']} {row['what']}",
        "description": f"The row {row['row']} of {row['report']}: {row['what']}.",
        "statement": "Explained in R24." if row["explanation"] else "Nobody has explained it.",
        "props": [{"name": name, "ns": _NS, "value": value} for name, value in props.items()],
        "status": _STATUS[row["state"]],
        **({"deadline": _end_of(deadline, zone)} if deadline else {}),
        "related-observations": [{"observation-uuid": names.of(f"observation {row['report']}")}],
    }


def _end_of(day: str, zone: str) -> str:
    return instant(Period(date.fromisoformat(day), date.fromisoformat(day), zone).ends_at)


def _observation(question: Question, framework: Framework, told: Told, names: _Names) -> dict[str, object]:
    controls = [control.id for control in framework.controls if told.report.id in control.reports]
    rows, exceptions = told.totals.rows, told.totals.exceptions
    only = f" Only rows where {' and '.join(told.report.only_said)}." if told.report.only else ""
    return {
        "uuid": names.of(f"observation {told.report.id}"),
        "title": f"{told.report.id} {told.report.title}",
        "description": f"{told.report.population}{only} {rows} rows, {exceptions} to look at.",
        **({"props": [{"name": "control-id", "ns": _NS, "value": one} for one in controls]} if controls else {}),
        "methods": ["EXAMINE"],
        "collected": instant(question.known_at),
        "relevant-evidence": [
            {"href": f"#{names.of(told.file.path)}", "description": f"SHA-256 {told.file.sha256}"},
        ],
    }


def _resource(file: Written, title: str, names: _Names) -> dict[str, object]:
    hashes = [{"algorithm": "SHA-256", "value": file.sha256}]
    return {
        "uuid": names.of(file.path),
        "title": title,
        "rlinks": [{"href": f"../{file.path}", "media-type": "text/csv", "hashes": hashes}],
    }


def _text(value: object) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
