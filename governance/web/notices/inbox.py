"""What somebody was told: the latest first, with what it leads to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from governance.notices import inbox
from governance.notices.models import Notice
from governance.notices.words import Said, said
from governance.web import counts
from governance.web.actor import person_of
from governance.web.answers import is_htmx, page
from governance.web.govern.pages import whole_number
from governance.web.roles import employee_page
from governance.web.zone import zone_of

PAGE = 30


@dataclass(frozen=True, slots=True)
class Line:
    """A notice with its words."""

    notice: Notice
    words: Said


@employee_page
@require_GET
def notices(request: HttpRequest) -> HttpResponse:
    """List what the reader was told."""
    return page(request, "notices/notices.html", "list", _context(request))


@employee_page
@require_POST
def read(request: HttpRequest, notice_id: int) -> HttpResponse:
    """Note that a notice was read."""
    inbox.mark_read(person_of(request), notice_id)
    return _answer(request, "Marked as read.")


@employee_page
@require_POST
def read_all(request: HttpRequest) -> HttpResponse:
    """Note that everything was read that the reader could see."""
    up_to = whole_number(request.POST.get("up_to"), 0)
    number = inbox.mark_all_read(person_of(request), up_to=up_to or None)
    return _answer(request, f"{number} marked as read.")


def _answer(request: HttpRequest, words: str) -> HttpResponse:
    if not is_htmx(request):
        messages.success(request, words)
        return redirect("notices")
    return render(request, "notices/notices.html#changed", _context(request) | {"said": words})


def _context(request: HttpRequest) -> dict[str, Any]:
    person, before = person_of(request), whole_number(request.GET.get("before"), 0)
    shows_unread = request.GET.get("show") == "unread"
    found = inbox.unread(person).order_by("-id") if shows_unread else inbox.of(person)
    if before:
        found = found.filter(pk__lt=before)
    rows = list(found[: PAGE + 1])
    zone = zone_of(request)
    return {
        "page": "notices",
        "lines": [Line(row, said(row, zone, leaves_the_house=False)) for row in rows[:PAGE]],
        "unread": counts.open_work(request)["notices"],
        "show": "unread" if shows_unread else "",
        "before": before,
        "next": rows[PAGE - 1].pk if len(rows) > PAGE else None,
        "latest": rows[0].pk if rows and not before else 0,
    }
