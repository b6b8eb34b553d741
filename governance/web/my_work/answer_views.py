"""Other answers than yes and no: a question back, a hand-over, a smaller role, and being away."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.access import absences, smaller, turns
from governance.access.models import Absence, AccessRequest, RequestState
from governance.core import clock
from governance.core.errors import NotFound, Refused
from governance.identity.queries import person_by_email
from governance.web import sessions
from governance.web.actor import actor_of, person_of
from governance.web.my_work import approving, following
from governance.web.my_work.approval_forms import (
    AskBackForm,
    AwayForm,
    HandOverForm,
    ReplyForm,
    SmallerForm,
    WaitingForm,
)
from governance.web.my_work.approval_views import ask_for_password
from governance.web.my_work.forms import Refusable
from governance.web.roles import employee_page, standing_of


@employee_page
@require_GET
def other_answers(request: HttpRequest, number: int) -> HttpResponse:
    """Show what else one can say to a request than yes and no."""
    return _others(request, _waiting(request, number))


@employee_page
@require_GET
def facts_shown(request: HttpRequest, number: int) -> HttpResponse:
    """Show the facts of each answer as they were shown, and whether the same comes of them today."""
    found = approving.readable_request(person_of(request), standing_of(request), number)
    shown = {"page": "approvals", "asked": found, "receipts": approving.receipts(found)}
    return render(request, "my_work/facts.html", shown)


@employee_page
@require_POST
def ask_back(request: HttpRequest, number: int) -> HttpResponse:
    """Ask who wants the access something first."""
    found, form = _waiting(request, number), AskBackForm(request.POST)

    def act() -> str:
        question = form.cleaned_data["question"]
        turns.ask_back(found, approver=person_of(request), question=question, actor=actor_of(request))
        return f"Asked {found.requester.display_name}. R-{found.number} waits for their answer."

    return _act(request, found, form, act, ask_form=form)


@employee_page
@require_POST
def hand_over(request: HttpRequest, number: int) -> HttpResponse:
    """Let somebody else decide this one."""
    found = _waiting(request, number)
    form = HandOverForm(turns.heirs(found, person_of(request)), request.POST)

    def act() -> str:
        reason = form.cleaned_data["reason"]
        turns.hand_over(found, approver=person_of(request), to=form.heir, reason=reason, actor=actor_of(request))
        return f"{form.heir.display_name} decides R-{found.number} now."

    return _act(request, found, form, act, hand_form=form)


@employee_page
@require_POST
def give_smaller(request: HttpRequest, number: int) -> HttpResponse:
    """Decline in favour of a smaller role."""
    found, at = _waiting(request, number), clock.now()
    form = SmallerForm(smaller.smaller_roles(found, at=at), request.POST)

    def act() -> str:
        reason = form.cleaned_data["reason"]
        made = smaller.approve_smaller(
            found, form.chosen, approver=person_of(request), reason=reason, actor=actor_of(request)
        )
        rest = "Approved" if made.state == RequestState.APPROVED else "Others decide it too"
        return f"Declined R-{found.number} in favour of {form.chosen.name}: R-{made.number}. {rest}."

    return _act(request, found, form, act, smaller_form=form)


@employee_page
@require_POST
def reply(request: HttpRequest, number: int) -> HttpResponse:
    """Answer what was asked back."""
    found = following.visible_request(person_of(request), standing_of(request), number)
    form = ReplyForm(request.POST)
    try:
        if form.is_valid():
            turns.reply(found, person=person_of(request), text=form.cleaned_data["reply"], actor=actor_of(request))
            messages.success(request, "Sent to those who decide.")
            return redirect("request", number=number)
    except Refused as refusal:
        form.refuse(refusal.reasons)
    return render(
        request, "my_work/reply.html", {"asked": found, "form": form, "turns": turns.conversation(found)}, status=422
    )


@employee_page
@require_http_methods(["GET", "HEAD", "POST"])
def away(request: HttpRequest) -> HttpResponse:
    """Show when the reader is away, and plan it."""
    form = AwayForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid() and _plan(request, form):
        return redirect("away")
    coming = absences.absences_of(person_of(request), at=clock.now())
    status = 422 if request.method == "POST" else 200
    return render(request, "my_work/away.html", {"page": "approvals", "form": form, "absences": coming}, status=status)


@employee_page
@require_POST
def back(request: HttpRequest, absence_id: int) -> HttpResponse:
    """Come back earlier, or never go."""
    found = Absence.objects.filter(pk=absence_id, person=person_of(request)).first()
    if found is None:
        raise NotFound("There is no such absence of yours.")
    absences.end_absence(found, person=person_of(request), actor=actor_of(request))
    messages.success(request, "You are asked yourself again.")
    return redirect("away")


def _plan(request: HttpRequest, form: AwayForm) -> bool:
    said = form.cleaned_data
    try:
        deputy = person_by_email(said["deputy"])
    except NotFound as problem:
        form.add_error("deputy", str(problem))
        return False
    try:
        absences.plan_absence(
            person_of(request),
            deputy=deputy,
            starts_at=said["starts_at"],
            ends_at=said["ends_at"],
            reason=said["reason"],
            actor=actor_of(request),
        )
    except Refused as refusal:
        form.refuse(refusal.reasons)
        return False
    messages.success(request, f"{deputy.display_name} decides what you are asked while you are away.")
    return True


def _waiting(request: HttpRequest, number: int) -> AccessRequest:
    return approving.readable_request(person_of(request), standing_of(request), number)


def _list(request: HttpRequest) -> str:
    """Return the query that leads back to the list somebody came from, with its question mark; empty for everything."""
    kept = WaitingForm(request.GET).kept
    return f"?{kept}" if kept else ""


def _act(
    request: HttpRequest, found: AccessRequest, form: Refusable, act: Callable[[], str], **forms: Refusable
) -> HttpResponse:
    if "smaller_form" in forms and approving.is_powerful(found) and not sessions.is_fresh(request, clock.now()):
        return ask_for_password(request, found)
    try:
        if form.is_valid():
            messages.success(request, act())
            return HttpResponseRedirect(f"{reverse('approvals')}{_list(request)}")
    except Refused as refusal:
        form.refuse(refusal.reasons)
    return _others(request, found, status=422, **forms)


def _others(request: HttpRequest, found: AccessRequest, *, status: int = 200, **forms: Refusable) -> HttpResponse:
    person = person_of(request)
    roles = smaller.smaller_roles(found, at=clock.now())
    shown = {
        "page": "approvals",
        "asked": found,
        "list": _list(request),
        "turns": turns.conversation(found),
        "ask_form": AskBackForm(),
        "hand_form": HandOverForm(turns.heirs(found, person)),
        "smaller_form": SmallerForm(roles),
        "roles": roles,
        "is_asked": approving.is_asked(found, person),
        **forms,
    }
    return render(request, "my_work/other_answers.html", shown, status=status)
