"""Questions about evidence, for pages, scripts and the command."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from governance.core.clock import now
from governance.core.errors import Invalid, NotFound
from governance.evidence import cover
from governance.evidence.actions import FRESHNESS_HOURS, LEAVER_SLA_HOURS, applications_within
from governance.evidence.controls import REVIEW_NOTE, Control, framework_named
from governance.evidence.models import Definition, DefinitionVersion, EvidenceBundle
from governance.evidence.periods import period
from governance.evidence.questions import Question
from governance.evidence.reading import Counted, Source, preview, read_disposed, read_sources
from governance.evidence.reports.base import Report
from governance.ledger.queries import Head, latest_checkpoint


@dataclass(frozen=True, slots=True)
class ReportPreview:
    """What a report would hold if it were built now."""

    report: Report
    #: None: too much to count while somebody waits.
    rows: int | None = None
    exceptions: int | None = None
    #: How many rows there would be without the choice of a definition.
    whole_rows: int | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """A hole in the coverage of the sources: its code, the application's short name and a sentence."""

    code: str
    application: str
    said: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What a bundle would hold if it were built now, and how far its sources can be trusted."""

    question: Question
    is_over: bool
    reports: tuple[ReportPreview, ...]
    sources: int
    gaps: tuple[Gap, ...]
    opening: int
    started: int
    ended: int
    closing: int

    @property
    def left_out(self) -> tuple[Report, ...]:
        """Return the reports of the framework that a definition does not choose."""
        return self.question.selection.left_out if self.question.selection else ()

    @property
    def sources_with_a_gap(self) -> int:
        """Return how many applications have at least one hole in their coverage."""
        return len({gap.application for gap in self.gaps if gap.code != "not_built"})


@dataclass(frozen=True, slots=True)
class MappedControl:
    """A control with the previews of the reports that speak to it; the cover is not among them."""

    control: Control
    reports: tuple[ReportPreview, ...]


def bundle(ref: uuid.UUID | str) -> EvidenceBundle:
    """Return the bundle. Raises NotFound."""
    try:
        return EvidenceBundle.objects.select_related("definition__definition").get(ref=uuid.UUID(str(ref)))
    except (ValueError, EvidenceBundle.DoesNotExist) as error:
        raise NotFound("There is no such bundle.") from error


def bundles(limit: int = 50) -> Sequence[EvidenceBundle]:
    """Return the newest bundles."""
    return list(EvidenceBundle.objects.select_related("definition").order_by("-made_at", "-id")[:limit])


def definitions(*, framework: str = "") -> list[DefinitionVersion]:
    """Return the last version of each definition that is in use, by name."""
    in_use = Definition.objects.filter(retired_at__isnull=True, **({"framework": framework} if framework else {}))
    newest = DefinitionVersion.objects.filter(definition__in=in_use).order_by("definition_id", "-number")
    last = newest.distinct("definition_id").select_related("definition")
    return sorted(last, key=lambda one: (one.name.casefold(), one.pk))


def definition(ref: uuid.UUID | str) -> Definition:
    """Return a definition, also one that is retired. Raises NotFound."""
    try:
        return Definition.objects.get(ref=uuid.UUID(str(ref)))
    except (ValueError, Definition.DoesNotExist) as error:
        raise NotFound("There is no such definition.") from error


def definition_version(ref: uuid.UUID | str, number: int | None = None) -> DefinitionVersion:
    """Return a version of a definition: the last one, or the one with this number. Raises Invalid."""
    try:
        versions = DefinitionVersion.objects.filter(definition__ref=uuid.UUID(str(ref)))
    except ValueError as error:
        raise Invalid({"definition": f"{ref!r} is not the reference of a definition."}) from error
    if number is not None:
        versions = versions.filter(number=number)
    found = versions.select_related("definition").order_by("-number").first()
    if found is None:
        of = "" if number is None else f" with a version {number}"
        raise Invalid({"definition": f"There is no such definition{of}."})
    return found


def versions_of(found: Definition) -> list[DefinitionVersion]:
    """Return all versions of a definition, the last first."""
    return list(found.versions.select_related("definition").order_by("-number"))


def late_facts_of(made: EvidenceBundle) -> list[dict[str, object]]:
    """Return the reports of a bundle that differ from an earlier one, with how many rows came, went and changed."""
    reports = made.summary.get("late_facts", {}).get("reports", [])
    return [one for one in reports if one["came"] or one["went"] or one["changed"]]


def preview_of(question: Question) -> Preview:
    """Return the counts of each report of the framework, by what is known in the question. Four statements, usually."""
    parameters = question.parameters()
    sources, reports = read_sources(parameters), question.reports
    counted, rolled = preview(reports, parameters)
    return Preview(
        question=question,
        is_over=question.period.is_over(question.known_at),
        reports=tuple(_previewed(report, counted.get(report.id)) for report in reports),
        sources=len(sources),
        gaps=tuple(Gap(*gap) for gap in cover.gaps(question, sources, read_disposed())),
        opening=rolled.opening,
        started=rolled.started,
        ended=rolled.ended,
        closing=rolled.closing,
    )


def _previewed(report: Report, counted: Counted | None) -> ReportPreview:
    if counted is None:
        return ReportPreview(report)
    return ReportPreview(report, counted.rows, counted.exceptions, counted.whole_rows)


def question_of(
    framework: str,
    *,
    first: object,
    last: object,
    zone: str = "UTC",
    leaver_sla_hours: int = LEAVER_SLA_HOURS,
    freshness_hours: int = FRESHNESS_HOURS,
    applications: Collection[str] = (),
    definition: DefinitionVersion | None = None,
    at: datetime | None = None,
    head: Head | None = None,
) -> Question:
    """Return the question with all that is known and sealed now. Raises Invalid as `request_bundle` does.

    `head` is the newest head, where it was read already.
    """
    known_at = at or now()
    head = head or latest_checkpoint()
    return Question(
        framework=framework_named(framework).slug,
        period=period(first, last, zone, now=known_at),
        known_at=known_at,
        ledger_size=head.size if head else 0,
        leaver_sla_hours=leaver_sla_hours,
        freshness_hours=freshness_hours,
        applications=applications_within(definition, applications),
        selection=definition.selection() if definition else None,
    )


def gaps_of(question: Question) -> tuple[Gap, ...]:
    """Return every hole in the coverage of a question. Three statements at most."""
    return tuple(Gap(*gap) for gap in cover.gaps(question, read_sources(question.parameters()), read_disposed()))


def sources_of(question: Question) -> list[Source]:
    """Return the applications in scope, each with its last complete reading. One statement."""
    return read_sources(question.parameters())


def controls_of(shown: Preview) -> tuple[MappedControl, ...]:
    """Return the controls of the previewed framework, each with its reports."""
    by_id = {one.report.id: one for one in shown.reports}
    return tuple(
        MappedControl(control, tuple(by_id[report] for report in control.reports if report in by_id))
        for control in framework_named(shown.question.framework).controls
    )


def mapping_note() -> str:
    """Return the sentence that stands wherever the mapping is shown."""
    return REVIEW_NOTE
