"""The pages of break-glass: taking access in an emergency, the list, one with its review; and answers at the end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.access import break_glass, end_questions, glass_queries, queries
from governance.access.models import BreakGlass
from governance.catalog.queries import applications_owned_by
from governance.core import clock
from governance.core.errors import Conflict, Invalid, NotFound, Refused
from governance.identity.models import RoleName
from governance.web import sessions
from governance.web.actor import actor_of, person_of
from governance.web.govern.pages import sliced
from governance.web.my_work import glass
from governance.web.my_work.forms import Refusable, _choose
from governance.web.roles import employee_page, needs, standing_of

STATES = {"": "All", "open": "Open now", "due": "To review", "overdue": "Overdue", "reviewed": "Reviewed"}
_SENTENCE = {"required": "Write one full sentence."}


class GlassForm(Refusable):
    """Which role, how long, and why now."""

    role = forms.ChoiceField(error_messages={"invalid_choice": "Choose one of these roles."})
    length = forms.ChoiceField(error_messages={"invalid_choice": "Choose one of these lengths."})
    reason = forms.CharField(
        label="What is happening, and what will you do?",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One full sentence. The owner, security and whoever reviews it read it.",
        error_messages=_SENTENCE,
    )

    def __init__(self, emergency: glass.Emergency, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _choose(self, "role", [(one.role.slug, one.role.name) for one in emergency.roles])
        _choose(self, "length", [(one.seconds, one.words) for one in emergency.lengths])


class GlassReviewForm(Refusable):
    """What somebody else found."""

    verdict = forms.ChoiceField(
        label="Was it justified?",
        choices=[("yes", "Yes, it was an emergency"), ("no", "No, it was not")],
        widget=forms.RadioSelect,
        error_messages={"required": "Say whether it was justified."},
    )
    done = forms.CharField(
        label="What was done with the access?",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One full sentence. It is kept for good.",
        error_messages=_SENTENCE,
    )
    follow_up = forms.CharField(label="What follows from it?", required=False, widget=forms.Textarea(attrs={"rows": 2}))


@employee_page
@require_http_methods(["GET", "HEAD", "POST"])
def break_the_glass(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what breaking the glass means, and do it after a fresh sign-in."""
    said = request.POST if request.method == "POST" else request.GET
    person, at = person_of(request), clock.now()
    emergency = glass.emergency(person, slug, at, role=said.get("role", ""), length=said.get("length", ""))
    is_fresh = sessions.is_fresh(request, at)
    form = GlassForm(emergency, request.POST if request.method == "POST" else None)
    if request.method == "POST" and not is_fresh:
        return HttpResponseRedirect(_sign_in_again(slug))
    if request.method == "POST" and form.is_valid() and (opened := _open(request, form, emergency)):
        messages.success(request, "You broke the glass. The owner and security are told now.")
        return redirect("break_glass", opened.pk)
    shown = {
        "page": "catalogue",
        "emergency": emergency,
        "form": form,
        "is_fresh": is_fresh,
        "sign_in_again": _sign_in_again(slug),
    }
    return render(request, "my_work/break_glass.html", shown, status=422 if form.errors else 200)


@needs(RoleName.OWNER, RoleName.SECURITY_ADMIN, RoleName.AUDITOR)
@require_GET
def break_glasses(request: HttpRequest) -> HttpResponse:
    """List the emergencies: those of the reader's applications, or all; overdue reviews are counted first."""
    at, standing = clock.now(), standing_of(request)
    sees_all = standing.is_security_admin or standing.is_auditor
    owned = None if sees_all else applications_owned_by(person_of(request).pk)
    state = request.GET.get("state", "") if request.GET.get("state", "") in STATES else ""
    found = sliced(
        glass_queries.break_glasses(at=at, state=state, application_ids=owned),
        "opened_at",
        request.GET,
        descending=True,
    )
    shown = {
        "page": "break_glass",
        "slice": found,
        "rows": [glass.Looked(one, at) for one in found.rows],
        "overdue": glass_queries.break_glasses(at=at, state="overdue", application_ids=owned).count(),
        "state": state,
        "states": STATES,
        "sees_all": sees_all,
    }
    return render(request, "my_work/break_glasses.html", shown)


@employee_page
@require_GET
def one_break_glass(request: HttpRequest, glass_id: int) -> HttpResponse:
    """Show one emergency, and the form of its review to whoever may write it."""
    return _one(request, visible_glass(request, glass_id), GlassReviewForm())


@employee_page
@require_POST
def review(request: HttpRequest, glass_id: int) -> HttpResponse:
    """Write the review, once and for good."""
    found = visible_glass(request, glass_id)
    form = GlassReviewForm(request.POST)
    if not form.is_valid():
        return _one(request, found, form)
    said, person = form.cleaned_data, person_of(request)
    try:
        break_glass.review(
            found.opened,
            reviewer=person,
            is_justified=said["verdict"] == "yes",
            done=said["done"],
            follow_up=said["follow_up"],
            actor=actor_of(request),
        )
    except Refused as refusal:
        form.refuse(refusal.reasons)
        return _one(request, found, form)
    messages.success(request, "The review is written.")
    return redirect("break_glass", glass_id)


@employee_page
@require_POST
def answer_end(request: HttpRequest, grant_id: int) -> HttpResponse:
    """Answer whether access whose time is up lasts longer."""
    grant = queries.grant(grant_id)
    person, actor, reason = person_of(request), actor_of(request), request.POST.get("reason", "")[:2000]
    if person not in end_questions.who_is_asked(grant):
        raise NotFound("There is nothing to answer here.")
    who = f"{grant.person.display_name}, {grant.entitlement.name} in {grant.application.name}"
    seconds = request.POST.get("lasts", "")
    try:
        if seconds.isascii() and seconds.isdecimal() and 0 < len(seconds) <= 9:
            lasts = timedelta(seconds=int(seconds))
            end_questions.keep(grant, lasts=lasts, reason=reason, answerer=person, actor=actor)
            messages.success(request, f"It lasts longer: {who}.")
        else:
            end_questions.end(grant, reason=reason, answerer=person, actor=actor)
            messages.success(request, f"It ends now: {who}. We take it away there.")
    except (Conflict, Invalid, Refused) as refusal:
        messages.error(request, str(refusal))
    return redirect("home")


def visible_glass(request: HttpRequest, glass_id: int) -> glass.Looked:
    """Return an emergency the reader may see. Raises NotFound."""
    found = glass.looked_at(glass_queries.break_glass(glass_id), clock.now())
    person, standing = person_of(request), standing_of(request)
    is_near = person.pk == found.opened.person_id or person in found.reviewers
    if is_near or standing.is_security_admin or standing.is_auditor:
        return found
    if found.opened.grant.application_id in applications_owned_by(person.pk):
        return found
    raise NotFound("There is no such emergency that you may see.")


def _one(request: HttpRequest, found: glass.Looked, form: GlassReviewForm) -> HttpResponse:
    shown = {
        "page": "break_glass",
        "one": found,
        "form": form,
        "may_review": found.review is None and person_of(request) in found.reviewers,
    }
    return render(request, "my_work/break_glass_one.html", shown, status=422 if form.errors else 200)


def _open(request: HttpRequest, form: GlassForm, emergency: glass.Emergency) -> BreakGlass | None:
    said = form.cleaned_data
    try:
        return break_glass.break_glass(
            person_of(request),
            emergency.chosen.role,
            duration=timedelta(seconds=int(said["length"])),
            reason=said["reason"],
            actor=actor_of(request),
        )
    except Refused as refusal:
        form.refuse(refusal.reasons)
        return None


def _sign_in_again(slug: str) -> str:
    return sessions.confirm_address(reverse("break_the_glass", args=[slug]))
