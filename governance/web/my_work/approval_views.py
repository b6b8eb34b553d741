"""The page of those who decide: what waits, the facts, and the two answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from governance.access import deciding
from governance.access.models import AccessRequest, RequestState
from governance.access.queries import waiting_for
from governance.core import clock
from governance.core.errors import Refused
from governance.web import sessions
from governance.web.actor import actor_of, person_of
from governance.web.answers import is_htmx, page
from governance.web.my_work import approving, following
from governance.web.my_work.forms import DecisionForm
from governance.web.roles import employee_page, standing_of

Decide = Callable[[DecisionForm], AccessRequest]


@employee_page
@require_GET
def approvals(request: HttpRequest) -> HttpResponse:
    """Show what waits for the reader; `?item=R-2041` opens that one, also from a mail."""
    chosen = re.fullmatch(r"(?:R-)?(\d{1,12})", request.GET.get("item", ""))
    number = int(chosen[1]) if chosen else None
    found = approving.approvals(person_of(request), standing_of(request), clock.now(), number=number)
    shown = {"page": "approvals", "found": found, "facts": found.facts, "form": DecisionForm()}
    return page(request, "my_work/approvals.html", "opened", shown)


@employee_page
@require_POST
def approve(request: HttpRequest, number: int) -> HttpResponse:
    """Say yes, perhaps for shorter."""
    found = following.visible_request(person_of(request), standing_of(request), number)

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
    found = following.visible_request(person_of(request), standing_of(request), number)

    def say_no(form: DecisionForm) -> AccessRequest:
        reason = form.cleaned_data["reason"]
        return deciding.deny(found, approver=person_of(request), reason=reason, actor=actor_of(request))

    return _decide(request, found, say_no)


def _decide(request: HttpRequest, found: AccessRequest, decide: Decide) -> HttpResponse:
    if approving.is_powerful(found) and not sessions.is_fresh(request, clock.now()):
        return _ask_for_password(request, found)
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return _refused(request, found, form)
    try:
        decided = decide(form)
    except Refused as refusal:
        form.refuse(refusal.reasons)
        return _refused(request, found, form)
    return _decided(request, decided)


def _decided(request: HttpRequest, decided: AccessRequest) -> HttpResponse:
    said = _said(decided)
    if not is_htmx(request):
        messages.success(request, said)
        return redirect("approvals")
    found = approving.after(person_of(request), clock.now(), decided)
    shown = {"page": "approvals", "found": found, "facts": found.facts, "form": DecisionForm(), "said": said}
    return render(request, "my_work/approvals.html#decided", shown)


def _refused(request: HttpRequest, found: AccessRequest, form: DecisionForm) -> HttpResponse:
    at, queue = clock.now(), tuple(waiting_for(person_of(request)))
    facts = approving.facts(found, queue, at)
    whole = approving.Approvals(queue, facts, None)
    shown = {"page": "approvals", "found": whole, "facts": facts, "form": form}
    return page(request, "my_work/approvals.html", "detail", shown, status=422)


def _ask_for_password(request: HttpRequest, found: AccessRequest) -> HttpResponse:
    come_back = f"{reverse('approvals')}?item=R-{found.number}"
    address = f"{reverse('account_reauthenticate')}?{urlencode({'next': come_back})}"
    if is_htmx(request):
        return HttpResponse(status=204, headers={"HX-Redirect": address})
    return HttpResponseRedirect(address)


def _said(decided: AccessRequest) -> str:
    what = f"{decided.entitlement.name} in {decided.entitlement.application.name} for {decided.person.display_name}"
    if decided.state == RequestState.DENIED:
        return f"Declined: {what}."
    if decided.state == RequestState.APPROVED:
        return f"Approved: {what}."
    return f"Approved by you: {what}. One more decides."
