"""What leaves the house as a file: recorded, and safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable
from io import TextIOWrapper
from typing import Any

from django.db import transaction

from governance.access.asof import Asked
from governance.access.matrix import Question
from governance.catalog.models import PolicyProposal
from governance.core.actor import Actor
from governance.identity.models import Person
from governance.ledger.recording import Subject, record

MATRIX_EXPORTED = "matrix.exported"
RULE_PREVIEW_EXPORTED = "rule.preview_exported"
REACH_EXPORTED = "reach.exported"
POLICY_EFFECT_EXPORTED = "policy.effect_exported"
#: A file that is larger waits on the disk.
IN_MEMORY = 4_000_000
#: As in evidence: also full-width signs, which some spreadsheets take for the plain ones.
_FORMULA = re.compile(r"^[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]")


@transaction.atomic
def record_export(question: Question, *, rows: int, actor: Actor) -> None:
    """Record that somebody took the matrix out, under which filters and how many rows.

    What was searched for may be a person's name, so the entry holds only a commitment to it.
    """
    record(
        MATRIX_EXPORTED,
        actor=actor,
        subjects=[Subject("person", actor.ref)],
        data={
            "as_of": question.at,
            "rows": rows,
            "kinds": sorted(question.kinds),
            "department": question.department,
            "data_class": question.data_class,
            "applications": None if question.applications is None else len(question.applications),
        },
        private={"search": (actor.ref, question.text)} if question.text else {},
    )


@transaction.atomic
def record_preview_export(rule_slug: str, *, rows: int, actor: Actor) -> None:
    """Record that somebody took out whom a change of a rule would affect; the slug is empty for a new rule."""
    subjects = [Subject("person", actor.ref), *([Subject("rule", rule_slug)] if rule_slug else [])]
    record(RULE_PREVIEW_EXPORTED, actor=actor, subjects=subjects, data={"rows": rows})


@transaction.atomic
def record_reach_export(asked: Asked, *, person: Person | None, rows: int, digest: str, actor: Actor) -> None:
    """Record that somebody took out who could reach what, about which question, and the SHA-256 of the file."""
    about = [Subject("person", str(person.ref))] if person and str(person.ref) != actor.ref else []
    if asked.application_id is not None:
        about.append(Subject("application", str(asked.application_id)))
    if asked.entitlement_id is not None:
        about.append(Subject("entitlement", str(asked.entitlement_id)))
    record(
        REACH_EXPORTED,
        actor=actor,
        subjects=[*about, Subject("person", actor.ref)],
        data={
            "as_of": asked.at,
            "known_at": asked.known_at,
            "rows": rows,
            "sha256": digest,
            "data_class": asked.data_class,
            "applications": None if asked.applications is None else len(asked.applications),
        },
    )


@transaction.atomic
def record_effect_export(proposal: PolicyProposal, *, rows: int, digest: str, actor: Actor) -> None:
    """Record that somebody took out whom a proposal for a policy would affect, and the SHA-256 of the file."""
    record(
        POLICY_EFFECT_EXPORTED,
        actor=actor,
        subjects=[Subject("person", actor.ref), Subject("policy", proposal.slug)],
        data={"proposal": proposal.pk, "rows": rows, "sha256": digest},
    )


def write_lines(file: Any, header: Iterable[str], lines: Iterable[Iterable[object]]) -> tuple[int, str]:
    """Write lines as CSV into a file of bytes; return how many and the SHA-256 of the file."""
    text = TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    number = 0
    for number, line in enumerate(lines, 1):  # noqa: B007 - how many there were
        writer.writerow(line)
    text.detach()
    file.seek(0)
    return number, hashlib.file_digest(file, "sha256").hexdigest()


def guarded(text: str) -> str:
    """Return the text with an apostrophe in front when a spreadsheet would take it for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text
