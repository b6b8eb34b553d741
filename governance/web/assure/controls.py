"""One control of a framework: what Gatehouse can show for it, what it cannot, and how fresh its sources are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from governance.core.clock import now
from governance.core.errors import NotFound
from governance.evidence import queries
from governance.evidence.controls import FRAMEWORKS, Control
from governance.evidence.reports.registry import BY_ID, COVER_ID
from governance.exceptions import queries as exceptions
from governance.exceptions.queries import Standing
from governance.ledger.queries import latest_checkpoint
from governance.web.assure.evidence import READERS
from governance.web.assure.exceptions import trend
from governance.web.roles import needs
from governance.web.zone import zone_of

#: What a page of a control is about, up to today.
DAYS = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class ControlToday:
    """How the reports of one control stand today. `unread` could not be read by the last reading.

    `is_read`: at least one of its reports was read. Without that, no number is an answer.
    """

    is_read: bool
    found: int
    new: int
    overdue: int
    unread: tuple[str, ...]


class Today:
    """What the last readings say of each report. Four statements, however many controls ask."""

    def __init__(self) -> None:
        self.last = exceptions.last_reading()
        self._standing = exceptions.standing_by_report()
        # The running period only: another quarter begins with another count.
        same = [one for one in exceptions.readings() if self.last and one.reading.first_day == self.last.first_day]
        self._readings = list(reversed(same))

    def of(self, control: Control) -> ControlToday:
        """Return how a control stands."""
        counted = sum((self._standing.get(report, Standing()) for report in control.reports), Standing())
        last = self._readings[-1] if self._readings else None
        return ControlToday(
            is_read=last is not None and any(report in last.by_report for report in control.reports),
            found=counted.found,
            new=counted.new,
            overdue=counted.overdue,
            unread=tuple(report for report in control.reports if last and report in last.unreadable),
        )

    def line_of(self, control: Control) -> Any:
        """Return its trend over the readings in which each of its reports could be read."""
        wanted = [report for report in control.reports if self._readings and report in self._readings[-1].by_report]
        whole = [one for one in self._readings if all(report in one.by_report for report in wanted)]
        return trend([sum(one.by_report[report] for report in wanted) for one in whole]) if wanted else ""


@needs(*READERS)
@require_GET
def controls(request: HttpRequest, slug: str) -> HttpResponse:
    """List the controls of a framework, each with the reports that speak to it and those that are missing."""
    framework = FRAMEWORKS.get(slug)
    if framework is None:
        raise NotFound("There is no such framework.")
    today = Today()
    context = {
        "page": "evidence",
        "framework": framework,
        "frameworks": FRAMEWORKS,
        "controls": [
            (one, [BY_ID[report] for report in one.reports if report in BY_ID], today.of(one), today.line_of(one))
            for one in framework.controls
        ],
        "last": today.last,
        "note": queries.mapping_note(),
    }
    return render(request, "assure/controls.html", context)


@needs(*READERS)
@require_GET
def control(request: HttpRequest, slug: str, control_id: str) -> HttpResponse:
    """Show one control over the last 90 days: its exceptions today, its reports and gaps, when each source was read."""
    framework = FRAMEWORKS.get(slug)
    found = framework.control(control_id) if framework else None
    if framework is None or found is None:
        raise NotFound("There is no such control.")
    last = timezone.localdate(now())
    first = last - DAYS
    question = queries.question_of(slug, first=first, last=last, zone=zone_of(request).key)
    gaps = [gap for gap in queries.gaps_of(question) if gap.code != "not_built"]
    sources = queries.sources_of(question)
    today = Today()
    with_gap = {gap.application: gap.said for gap in gaps}
    context = {
        "page": "evidence",
        "framework": framework,
        "control": found,
        "reports": [BY_ID[report] for report in found.reports if report in BY_ID],
        "has_cover": COVER_ID in found.reports,
        "today": today.of(found),
        "line": today.line_of(found),
        "last": today.last,
        "sources": [(source, with_gap.get(source.slug, "")) for source in sources],
        "sound": sum(source.slug not in with_gap for source in sources),
        "head": latest_checkpoint(),
        "period": {"from": first.isoformat(), "to": last.isoformat(), "zone": zone_of(request).key},
        "note": queries.mapping_note(),
    }
    return render(request, "assure/control.html", context)
