"""Separation of duties: the rules, who breaks them now and since when, what they held back, and the exceptions."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from governance.core.clock import now
from governance.core.errors import NotAllowed
from governance.identity.models import RoleName
from governance.web.govern import duties_shown
from governance.web.govern.duties_shown import RuleShown
from governance.web.govern.pages import whole_number
from governance.web.govern.reach import reach_of
from governance.web.roles import needs, standing_of

READERS = (RoleName.OWNER, RoleName.SECURITY_ADMIN, RoleName.AUDITOR)


@needs(*READERS)
@require_GET
def duties(request: HttpRequest) -> HttpResponse:
    """List the rules, those that somebody breaks first."""
    reach = reach_of(request)
    context = {
        "page": "duties",
        "rules": duties_shown.rules(now(), reach),
        "retired": duties_shown.retired_rules() if reach.applications is None else [],
        "may_change": standing_of(request).is_security_admin,
        "sees_all": reach.applications is None,
    }
    return render(request, "govern/duties.html", context)


@needs(*READERS)
@require_GET
def rule(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a rule: what it says and said, who breaks it, what it held back, and who is excepted."""
    at, reach = now(), reach_of(request)
    versions = _visible_versions(request, slug)
    found = versions[0].version.rule
    after, before = (whole_number(request.GET.get(name), 0) or None for name in ("after", "before"))
    page = duties_shown.page_of(versions[0].policy, at=at, after=after, before=before, reach=reach)
    context = {
        "page": "duties",
        "rule": found,
        "said": versions[0],
        "versions": versions,
        "breakers": [] if found.retired_at else duties_shown.breakers(page.conflicts, at=at),
        "slice": page,
        "withheld": duties_shown.withheld_by(found.pk, reach),
        "exceptions": [
            (one, duties_shown.runs(one, at))
            for one in duties_shown.exceptions_from(found.pk)
            if reach.applications is None
        ],
        "may_change": standing_of(request).is_security_admin and found.retired_at is None,
        "sees_all": reach.applications is None,
    }
    return render(request, "govern/duty_rule.html", context)


def _visible_versions(request: HttpRequest, slug: str) -> list[RuleShown]:
    """Return the versions of a rule, the latest first. Raises NotAllowed for a rule beyond the reader's reach."""
    versions = duties_shown.versions_of(slug)
    if not versions[0].touches(reach_of(request)):
        raise NotAllowed(f"{versions[0].version.name} speaks of no role in your applications.")
    return versions
