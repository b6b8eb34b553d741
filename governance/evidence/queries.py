"""Questions about evidence, for pages, scripts and the command."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from governance.core.clock import now
from governance.core.errors import NotFound
from governance.evidence import cover
from governance.evidence.actions import FRESHNESS_HOURS, LEAVER_SLA_HOURS, checked_applications
from governance.evidence.controls import REVIEW_NOTE, Control, framework_named
from governance.evidence.models import EvidenceBundle
from governance.evidence.periods import period
from governance.evidence.questions import Question
from governance.evidence.reading import Source, preview, read_disposed, read_roll_forward, read_sources
from governance.evidence.reports.base import Report
from governance.ledger.queries import Head, latest_checkpoint


@dataclass(frozen=True, slots=True)
class ReportPreview:
    """What a report would hold if it were built now."""

    report: Report
    #: None: too much to count while somebody waits.
    rows: int | None
    exceptions: int | None


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
        return EvidenceBundle.objects.get(ref=uuid.UUID(str(ref)))
    except (ValueError, EvidenceBundle.DoesNotExist) as error:
        raise NotFound("There is no such bundle.") from error


def bundles(limit: int = 50) -> Sequence[EvidenceBundle]:
    """Return the newest bundles."""
    return list(EvidenceBundle.objects.order_by("-made_at", "-id")[:limit])


def late_facts_of(made: EvidenceBundle) -> list[dict[str, object]]:
    """Return the reports of a bundle that differ from an earlier one, with how many rows came, went and changed."""
    reports = made.summary.get("late_facts", {}).get("reports", [])
    return [one for one in reports if one["came"] or one["went"] or one["changed"]]


def preview_of(question: Question) -> Preview:
    """Return the counts of each report of the framework, by what is known in the question. Five statements at most."""
    parameters = question.parameters()
    sources, rolled = read_sources(parameters), read_roll_forward(parameters)
    reports = framework_named(question.framework).reports
    counted = preview(reports, parameters)
    return Preview(
        question=question,
        is_over=question.period.is_over(question.known_at),
        reports=tuple(ReportPreview(report, *counted.get(report.id, (None, None))) for report in reports),
        sources=len(sources),
        gaps=tuple(Gap(*gap) for gap in cover.gaps(question, sources, read_disposed())),
        opening=rolled.opening,
        started=rolled.started,
        ended=rolled.ended,
        closing=rolled.closing,
    )


def question_of(
    framework: str,
    *,
    first: object,
    last: object,
    zone: str = "UTC",
    leaver_sla_hours: int = LEAVER_SLA_HOURS,
    freshness_hours: int = FRESHNESS_HOURS,
    applications: Collection[str] = (),
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
        applications=checked_applications(applications),
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
