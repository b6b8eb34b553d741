"""The page of those who decide: what waits, the facts, and the two answers."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.access import deciding
from governance.access.models import AccessRequest, RequestState
from governance.access.queries import waiting_among
from governance.core import clock
from governance.core.errors import DomainError, Refused
from governance.web import counts, sessions
from governance.web.actor import actor_of, person_of
from governance.web.answers import is_htmx, page
from governance.web.clock_words import moment
from governance.web.my_work import approving
from governance.web.my_work.approval_forms import WaitingForm
from governance.web.my_work.forms import DecisionForm
from governance.web.my_work.waiting_list import WaitingList, waiting_list
from governance.web.roles import employee_page, standing_of

Decide = Callable[[DecisionForm], AccessRequest]


@employee_page
@require_GET
def approvals(request: HttpRequest) -> HttpResponse:
    """Show what waits for the reader; `?item=R-2041` opens that one, also from a mail. The other words narrow."""
    chosen = re.fullmatch(r"(?:R-)?(\d{1,12})", request.GET.get("item", ""))
    number = int(chosen[1]) if chosen else None
    person, at = person_of(request), clock.now()
    found = approving.approvals(person, standing_of(request), at, waiting=_waiting(request), number=number)
    shown = {"page": "approvals", "found": found, "facts": found.facts, "form": DecisionForm()}
    return page(request, "my_work/approvals.html", "opened", shown)


@employee_page
@require_GET
def decided(request: HttpRequest) -> HttpResponse:
    """Show what the reader answered lately."""
    text = request.GET.get("before", "")
    found = approving.decided_by(person_of(request), before=int(text) if re.fullmatch(r"\d{1,18}", text) else None)
    shown, rest = found[: approving.DECIDED_LISTED], found[approving.DECIDED_LISTED :]
    return render(
        request,
        "my_work/decided.html",
        {"page": "approvals", "answers": shown, "next": shown[-1].pk if rest else None, "is_first": not text},
    )


@employee_page
@require_http_methods(["GET", "HEAD", "POST"])
def several(request: HttpRequest) -> HttpResponse:
    """Show everything that waits with a tick beside it, and decide what is ticked, each on its own.

    With `?set=` only what of a set waits for the reader, all of it ticked.
    """
    outcomes, said = [], ""
    if request.method == "POST":
        numbers = [int(text) for text in request.POST.getlist("number") if re.fullmatch(r"\d{1,12}", text)]
        approves, reason = request.POST.get("verdict") == "approve", request.POST.get("reason", "")
        outcomes = [_one_of_several(request, number, approves=approves, reason=reason) for number in numbers]
        said = "" if numbers else "Tick at least one."
    text = request.GET.get("set", "")
    set_number = int(text) if re.fullmatch(r"\d{1,12}", text) else None
    waiting = _waiting(request)
    shown = {
        "page": "approvals",
        "waiting": waiting,
        "queue": waiting.rows if set_number is None else _of_set(request, set_number),
        "total": waiting.total,
        "outcomes": outcomes,
        "said": said,
        "set_number": set_number,
    }
    return render(request, "my_work/decide_several.html", shown, status=422 if said else 200)


def _one_of_several(request: HttpRequest, number: int, *, approves: bool, reason: str) -> approving.Outcome:
    """Decide one of several; what is in the way of it is said, and stops none of the others."""
    person, actor = person_of(request), actor_of(request)
    try:
        found = approving.readable_request(person, standing_of(request), number)
        if approves:
            fresh = sessions.is_fresh(request, clock.now())
            decided = deciding.approve(found, approver=person, reason=reason, actor=actor, is_fresh=fresh)
        else:
            decided = deciding.deny(found, approver=person, reason=reason, actor=actor)
    except DomainError as problem:
        return approving.Outcome(number, str(problem), is_done=False)
    return approving.Outcome(number, _said(decided), is_done=True)


@employee_page
@require_POST
def approve(request: HttpRequest, number: int) -> HttpResponse:
    """Say yes, perhaps for shorter."""
    found = approving.readable_request(person_of(request), standing_of(request), number)
    if approving.is_powerful(found) and not sessions.is_fresh(request, clock.now()):
        return ask_for_password(request, found)

    def say_yes(form: DecisionForm) -> AccessRequest:
        return deciding.approve(
            found,
            approver=person_of(request),
            duration=form.span,
            reason=form.cleaned_data["reason"],
            actor=actor_of(request),
        )

    return _decide(request, found, say_yes)


@employee_page
@require_POST
def decline(request: HttpRequest, number: int) -> HttpResponse:
    """Say no, with a sentence."""
    found = approving.readable_request(person_of(request), standing_of(request), number)

    def say_no(form: DecisionForm) -> AccessRequest:
        reason = form.cleaned_data["reason"]
        return deciding.deny(found, approver=person_of(request), reason=reason, actor=actor_of(request))

    return _decide(request, found, say_no)


def _decide(request: HttpRequest, found: AccessRequest, decide: Decide) -> HttpResponse:
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return _refused(request, found, form)
    try:
        decided = decide(form)
    except Refused as refusal:
        form.refuse(refusal.reasons)
        return _refused(request, found, form)
    return _decided(request, decided)


def _waiting(request: HttpRequest) -> WaitingList:
    waiting = counts.waiting_for_reader(request)
    return waiting_list(person_of(request), request.GET, clock.now(), waiting=waiting)


def _of_set(request: HttpRequest, number: int) -> QuerySet[AccessRequest]:
    return waiting_among(counts.waiting_for_reader(request)).filter(request_set__number=number)


def _decided(request: HttpRequest, decided: AccessRequest) -> HttpResponse:
    said = _said(decided)
    if not is_htmx(request):
        messages.success(request, said)
        return HttpResponseRedirect(f"{reverse('approvals')}{_waiting(request).asking}")
    found = approving.after(person_of(request), clock.now(), decided, _waiting(request))
    shown = {"page": "approvals", "found": found, "facts": found.facts, "form": DecisionForm(), "said": said}
    return render(request, "my_work/approvals.html#decided", shown)


def _refused(request: HttpRequest, found: AccessRequest, form: DecisionForm) -> HttpResponse:
    whole = approving.showing(found, person_of(request), clock.now(), _waiting(request))
    shown = {"page": "approvals", "found": whole, "facts": whole.facts, "form": form}
    return page(request, "my_work/approvals.html", "detail", shown, status=422)


def ask_for_password(request: HttpRequest, found: AccessRequest) -> HttpResponse:
    """Have the password given again, and come back to exactly this request."""
    kept = WaitingForm(request.GET).kept
    come_back = f"{reverse('approvals')}?item=R-{found.number}{f'&{kept}' if kept else ''}"
    address = sessions.confirm_address(come_back)
    if is_htmx(request):
        return HttpResponse(status=204, headers={"HX-Redirect": address})
    return HttpResponseRedirect(address)


def _said(decided: AccessRequest) -> str:
    what = f"{decided.entitlement.name} in {decided.entitlement.application.name} for {decided.person.display_name}"
    if decided.state == RequestState.DENIED:
        return f"Declined: {what}."
    if decided.state == RequestState.APPROVED:
        leaves_at = deciding.ends_by_leaving(decided, at=decided.closed_at or clock.now())
        ends = (
            f" It ends {moment(leaves_at, clock.now())}, when {decided.person.display_name} leaves."
            if leaves_at
            else ""
        )
        return f"Approved: {what}.{ends}"
    return f"Approved by you: {what}. One more decides."
