"""A file of people on a page: look at what it would do, then apply it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from governance.core.errors import Conflict
from governance.identity.models import RoleName
from governance.lifecycle import people_drafts
from governance.lifecycle.models import PeopleFile
from governance.lifecycle.people_file import Outcome, Unreadable
from governance.lifecycle.people_file_reading import COLUMNS, LARGEST_BYTES
from governance.web.actor import actor_of, person_of
from governance.web.roles import needs

#: So many names of each kind, and so many problems, are shown.
NAMED = 100


class FileForm(forms.Form):
    """A file, and how to read it."""

    file = forms.FileField(label="CSV file", help_text="UTF-8, its first line the names of the columns.")
    is_full = forms.BooleanField(
        required=False, label="It lists everybody: who has an employee number and is missing has left"
    )


@needs(RoleName.SECURITY_ADMIN)
def people_file(request: HttpRequest) -> HttpResponse:
    """Take a file and show what it would do."""
    if request.method != "POST":
        return _page(request, FileForm())
    form = FileForm(request.POST, request.FILES)
    if not form.is_valid():
        return _page(request, form, status=422)
    file = form.cleaned_data["file"]
    if file.size > LARGEST_BYTES:
        form.add_error("file", f"At most {LARGEST_BYTES // 1_000_000} MB.")
        return _page(request, form, status=422)
    try:
        draft, outcome = people_drafts.keep(
            file.read(),
            name=file.name,
            is_full=form.cleaned_data["is_full"],
            by=person_of(request),
            actor=actor_of(request),
        )
    except Unreadable as error:
        return _page(request, form, problems=error.problems, status=422)
    return _page(request, form, draft=draft, lists=_lists(outcome), outcome=outcome)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def apply(request: HttpRequest) -> HttpResponse:
    """Apply the file that was looked at."""
    try:
        ref = UUID(request.POST.get("draft", ""))
    except ValueError as error:
        raise Conflict("Upload a file first.") from error
    try:
        outcome = people_drafts.apply(ref, by=person_of(request), actor=actor_of(request))
    except Unreadable as error:
        return _page(request, FileForm(), problems=error.problems, status=422)
    messages.success(request, _said(outcome))
    return redirect("holds" if outcome.held else "leavers")


def _said(outcome: Outcome) -> str:
    parts = [(outcome.joined, "joined"), (outcome.changed, "changed"), (outcome.left, "left")]
    parts += [(outcome.planned, "got a leave date"), (outcome.held, "held for a second person")]
    told = ", ".join(f"{len(names):,} {word}" for names, word in parts if names)
    return f"The file is applied: {told or 'nothing changed'}."


def _lists(outcome: Outcome) -> list[tuple[str, str, list[str], int]]:
    """Return what happens to whom: a heading, an icon, the first names and how many more there are."""
    every = [
        ("Held: too many at once, a second person decides", "hand", outcome.held),
        ("Leave now", "user-x", outcome.left),
        ("Get a leave date", "calendar", outcome.planned),
        ("Stay after all: the leave date is called off", "undo-2", outcome.called_off),
        ("Join", "user-plus", outcome.joined),
        ("Change", "pencil", outcome.changed),
        ("Kept as their directory says", "webhook", outcome.kept),
    ]
    return [(title, icon, names[:NAMED], len(names)) for title, icon, names in every if names]


def _page(request: HttpRequest, form: FileForm, *, status: int = 200, **more: Any) -> HttpResponse:
    problems = more.pop("problems", ())
    context = {
        "page": "leavers",
        "form": form,
        "columns": COLUMNS,
        "company_zone": settings.ENVIRONMENT.company_zone,
        "problems": problems[:NAMED],
        "more_problems": max(0, len(problems) - NAMED),
        "latest": list(PeopleFile.objects.order_by("-pk")[:10]),
        **more,
    }
    return render(request, "govern/people_file.html", context, status=status)
