"""One control of a framework: what Gatehouse can show for it, what it cannot, and how fresh its sources are."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from governance.core.clock import now
from governance.core.errors import NotFound
from governance.evidence import queries
from governance.evidence.controls import FRAMEWORKS
from governance.evidence.reports.registry import BY_ID, COVER_ID
from governance.ledger.queries import latest_checkpoint
from governance.web.assure.evidence import READERS
from governance.web.roles import needs
from governance.web.zone import zone_of

#: What a page of a control is about, up to today.
DAYS = timedelta(days=90)


@needs(*READERS)
@require_GET
def controls(request: HttpRequest, slug: str) -> HttpResponse:
    """List the controls of a framework, each with the reports that speak to it and those that are missing."""
    framework = FRAMEWORKS.get(slug)
    if framework is None:
        raise NotFound("There is no such framework.")
    context = {
        "page": "evidence",
        "framework": framework,
        "frameworks": FRAMEWORKS,
        "controls": [(one, [BY_ID[report] for report in one.reports if report in BY_ID]) for one in framework.controls],
        "note": queries.mapping_note(),
    }
    return render(request, "assure/controls.html", context)


@needs(*READERS)
@require_GET
def control(request: HttpRequest, slug: str, control_id: str) -> HttpResponse:
    """Show one control over the last 90 days: its reports, its gaps, when each source was read. Nothing is counted."""
    framework = FRAMEWORKS.get(slug)
    found = framework.control(control_id) if framework else None
    if framework is None or found is None:
        raise NotFound("There is no such control.")
    last = timezone.localdate(now())
    first = last - DAYS
    question = queries.question_of(slug, first=first, last=last, zone=zone_of(request).key)
    gaps = [gap for gap in queries.gaps_of(question) if gap.code != "not_built"]
    sources = queries.sources_of(question)
    with_gap = {gap.application: gap.said for gap in gaps}
    context = {
        "page": "evidence",
        "framework": framework,
        "control": found,
        "reports": [BY_ID[report] for report in found.reports if report in BY_ID],
        "has_cover": COVER_ID in found.reports,
        "sources": [(source, with_gap.get(source.slug, "")) for source in sources],
        "sound": sum(source.slug not in with_gap for source in sources),
        "head": latest_checkpoint(),
        "period": {"from": first.isoformat(), "to": last.isoformat(), "zone": zone_of(request).key},
        "note": queries.mapping_note(),
    }
    return render(request, "assure/control.html", context)
