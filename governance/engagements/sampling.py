"""Population first, sample second: the writers of both, and what stands behind one sampled row."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from governance.catalog.models import Application
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, NotFound
from governance.engagements import events
from governance.engagements.models import AuditRequest, AuditSample, Engagement, Population
from governance.engagements.rights import check_may_audit, check_may_read, check_runs, refuse, subject_of
from governance.evidence.looking import Look, Narrowed, Sample, look, report_named, taken_in
from governance.evidence.queries import question_of
from governance.evidence.questions import Question
from governance.evidence.reports.base import Report
from governance.ledger.queries import SealedEntry, entries
from governance.ledger.recording import Subject, record

#: Entries behind one row that are spelled out, the newest of them.
MOST_ENTRIES = 200


@dataclass(frozen=True, slots=True)
class Item:
    """One sampled row, and the ledger's entries about what it is about, in their order."""

    row: dict[str, str]
    entries: Sequence[SealedEntry]
    #: There are more, older ones.
    has_more: bool


def question_for(engagement: Engagement, population: Population | None = None) -> Question:
    """Return what the engagement asks: as known now, or at the cut of a population."""
    asked = question_of(
        engagement.framework,
        first=engagement.first_day,
        last=engagement.last_day,
        zone=engagement.zone,
        applications=engagement.applications,
        at=population.known_at if population else None,
    )
    if population is None:
        return asked
    return Question(
        framework=asked.framework,
        period=asked.period,
        known_at=population.known_at,
        ledger_size=population.ledger_size,
        leaver_sla_hours=asked.leaver_sla_hours,
        freshness_hours=asked.freshness_hours,
        applications=asked.applications,
    )


@transaction.atomic
def take_population(asked: AuditRequest, *, actor: Actor) -> Population:
    """Count the report that answers a request, and pin it: rows, exceptions, and the digest of all of it.

    Raises Conflict when no report answers it or it is too long to be read while somebody waits, and NotAllowed.
    """
    check_may_read(asked.engagement, actor)
    check_runs(asked.engagement)
    if not asked.report:
        raise Conflict("No report answers this by itself. Answer it with words or with a bundle.")
    report = report_named(asked.report)
    question = question_for(asked.engagement)
    read = taken_in(report, question)
    population = Population.objects.create(
        request=asked,
        report=report.id,
        known_at=question.known_at,
        ledger_size=question.ledger_size,
        rows=read.rows,
        exceptions=read.exceptions,
        sha256=read.sha256,
        taken_by_ref=actor.ref,
        taken_at=now(),
    )
    data = {"report": report.id, "rows": read.rows, "sha256": read.sha256, "ledger_size": question.ledger_size}
    _record(events.POPULATION_TAKEN, asked, data, actor=actor)
    return population


@transaction.atomic
def take_sample(population: Population, seed: str, number: int, *, actor: Actor) -> AuditSample:
    """Choose rows of a population by the auditor's seed, after its digest is known.

    Raises Invalid naming `seed` or `n`, Conflict and NotAllowed.
    """
    asked = population.request
    check_may_audit(asked.engagement, actor)
    chosen = _rows(population, Sample(seed.strip(), number)).rows
    ids = "".join(f"{row['row_id']}\n" for row in chosen)
    sample = AuditSample.objects.create(
        population=population,
        seed=seed.strip(),
        number=number,
        sha256=hashlib.sha256(ids.encode()).hexdigest(),
        taken_by_ref=actor.ref,
        taken_at=now(),
    )
    data = {"report": population.report, "population": population.sha256, "rows": len(chosen), "sha256": sample.sha256}
    _record(events.SAMPLE_TAKEN, asked, data, actor=actor)
    return sample


def rows_of(sample: AuditSample) -> Look:
    """Return the rows that the sample chose, in the order of the seed."""
    return _rows(sample.population, Sample(sample.seed, sample.number))


def open_item(sample: AuditSample, row_no: int, *, actor: Actor) -> Item:
    """Return one row of a sample with what the ledger says of it up to the population's cut.

    That it was read is recorded. Raises NotFound when it is not in the sample, and NotAllowed.
    """
    asked = sample.population.request
    check_may_read(asked.engagement, actor)
    item = _item(sample, row_no)
    with transaction.atomic():
        data = {"report": sample.population.report, "row_no": row_no, "sample": sample.sha256}
        _record(events.SAMPLE_ITEM_READ, asked, data, actor=actor)
    return item


def check_entry(sample: AuditSample, row_no: int, index: int, *, actor: Actor) -> None:
    """Raise NotAllowed, and record it, unless the entry is one of those behind the row."""
    engagement = sample.population.request.engagement
    check_may_read(engagement, actor)
    if all(entry.index != index for entry in _item(sample, row_no).entries):
        refuse(engagement, "This entry is not one of those behind the sampled row.", actor=actor)


def _item(sample: AuditSample, row_no: int) -> Item:
    found = next((row for row in rows_of(sample).rows if int(row["row_no"]) == row_no), None)
    if found is None:
        raise NotFound("This row is not in the sample.")
    population = sample.population
    about = _subject(report_named(population.report), found)
    page = entries(about=about, before=population.ledger_size, limit=MOST_ENTRIES) if about else None
    hidden = _out_of_scope(population.request.engagement)
    seen = [one for one in page.entries if not hidden & {each.ref for each in one.subjects}] if page else []
    return Item(found, tuple(reversed(seen)), page is not None and page.before is not None)


def _subject(report: Report, row: dict[str, str]) -> Subject | None:
    for column, kind in (report.subject, *([report.or_subject] if report.or_subject else [])):
        if row.get(column):
            return Subject(kind, row[column]) if kind != "entry" else None
    return None


def _out_of_scope(engagement: Engagement) -> frozenset[str]:
    """Return the ledger's references of the applications that the engagement is not about; none when it is of all."""
    if not engagement.applications:
        return frozenset()
    others = Application.objects.exclude(slug__in=engagement.applications).values_list("pk", flat=True)
    return frozenset(str(pk) for pk in others)


def _rows(population: Population, sample: Sample) -> Look:
    question = question_for(population.request.engagement, population)
    return look(report_named(population.report), question, Narrowed(sample=sample))


def _record(event: str, asked: AuditRequest, data: dict[str, object], *, actor: Actor) -> None:
    subjects = [subject_of(asked.engagement), Subject("audit_request", str(asked.pk))]
    record(event, actor=actor, subjects=subjects, data={"number": asked.number, **data})
