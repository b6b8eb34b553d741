"""The kit page: every component once, for those who build pages. Its data is made up."""

from __future__ import annotations

from types import SimpleNamespace

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from governance.identity.models import RoleName
from governance.web import charts
from governance.web.answers import page
from governance.web.kinds import KINDS
from governance.web.roles import needs

_USE = (5, 9, 4, 0, 3, 6, 6, 8, 2, 0, 0, 7, 5)
_HOURS = [(hour * 9 % 84 if hour < 19 else 0, 4 if hour in (9, 10) else 0) for hour in range(24)]
_STEPS = 4


@needs(RoleName.SECURITY_ADMIN)
@require_safe
def kit(request: HttpRequest) -> HttpResponse:
    """Show the kit."""
    return render(request, "kit.html", _sample())


@needs(RoleName.SECURITY_ADMIN)
def job(request: HttpRequest) -> HttpResponse:
    """Show long work: the answer carries its own poll, and the last answer leaves it out.

    The step that comes next stands in the address, so that nothing is kept and nothing written.
    """
    step = 1 if request.method == "POST" else min(max(int(request.GET.get("step", 0)), 0), _STEPS)
    found = _sample() | {"step": step, "next_step": step + 1, "done": step >= _STEPS, "percent": step * 100 // _STEPS}
    return page(request, "kit.html", "job", found)


def _sample() -> dict[str, object]:
    cells = [
        charts.Cell("#", "GitHub", "standing", "Admin", "Admin", is_privileged=True),
        charts.Cell("#", "Postgres", "temporary", "Read", "2 h 12", share=0.55),
        charts.Cell("#", "Snowflake", "temporary", "Analyst", "18 min", is_ending=True, share=0.15),
        charts.Cell("#", "Okta", "breakglass", "Admin", "52 min", is_privileged=True, share=0.8),
        charts.Cell("#", "Figma", "pending", "Editor", "Editor"),
        charts.Cell("#", "Stripe", "drift", "Owner", "Owner", is_privileged=True, more=2),
        charts.Cell("#", "HubSpot", "orphan", "API", "API"),
        charts.Cell("#", "Notion", "birthright", "Member", "Member"),
        None,
    ]
    return {
        "page": "kit",
        "kinds": list(KINDS),
        "levels": [1, 2, 3, 4],
        "github": SimpleNamespace(name="GitHub", icon="github"),
        "netsuite": SimpleNamespace(name="NetSuite", icon=""),
        "use": charts.bars(_USE, "Use per week over the last 13 weeks"),
        "hours": charts.requests(_HOURS, "783 requests in the last 24 hours, 8 refused", width=220, height=36),
        "peers": charts.dots(3, 6),
        "progress": charts.stacked([("keep", 5), ("revoke", 4)], 50, "9 of 50 decided"),
        "cells": cells,
    }
