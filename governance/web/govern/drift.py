"""The two lists of drift: what is seen and not granted, what is granted and not seen."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from governance.core.clock import now
from governance.identity.models import RoleName
from governance.web.govern.completeness import completeness
from governance.web.govern.drift_queries import granted_not_seen, seen_not_granted
from governance.web.govern.pages import show, whole_number
from governance.web.govern.reach import reach_of
from governance.web.govern.rows import rows_of, unexplained, with_removals
from governance.web.roles import needs

PAGE = 50


@needs(RoleName.OWNER, RoleName.SECURITY_ADMIN, RoleName.AUDITOR)
@require_GET
def drift(request: HttpRequest) -> HttpResponse:
    """Show what is seen and not granted, or (`?show=missing`) what is granted and not seen."""
    reach, at = reach_of(request), now()
    shows_missing = request.GET.get("show") == "missing"
    seen = reach.within(seen_not_granted(at), "account__application_id")
    missing = reach.within(granted_not_seen(at))
    numbers = {"seen": seen.count(), "missing": missing.count()}
    start = max(whole_number(request.GET.get("from"), 0), 0)
    chosen = "missing" if shows_missing else "seen"
    context = {
        "page": "drift",
        "show": chosen,
        "numbers": numbers,
        "seen": [] if shows_missing else with_removals(unexplained(list(seen[start : start + PAGE]))),
        "missing": rows_of(list(missing[start : start + PAGE]), at) if shows_missing else [],
        "start": start,
        "back": start - PAGE if start else None,
        "next": start + PAGE if numbers[chosen] > start + PAGE else None,
        "completeness": completeness(reach.applications, at),
    }
    return show(request, "govern/drift.html", "list", context)
