"""The pages of asking for several roles, of what was asked for together, and of everything somebody asked for."""

from __future__ import annotations

from datetime import datetime

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.access import queries, requests
from governance.access.models import AccessRequest, RequestSet, RequestState
from governance.access.queries import WITH_REQUEST
from governance.access.requests import Wanted
from governance.access.waiting_sql import waits_for
from governance.core import clock
from governance.core.errors import Conflict, Invalid, NotFound, Refused
from governance.policy.facts import Ask
from governance.web.actor import actor_of, person_of
from governance.web.govern.pages import add_errors, sliced
from governance.web.my_work import following
from governance.web.my_work.several import Said, Several
from governance.web.my_work.several import several as page_of
from governance.web.my_work.several_forms import SeveralForm
from governance.web.roles import employee_page, standing_of

#: What the buttons are called that choose and send nothing: `carry` brings what was typed for one application.
CHOOSING = {"carry", "choose", "without"}
WHOSE = {"": "For anybody", "mine": "For me", "others": "For others"}
STATES = {"": "Open and past", "open": "Open", "past": "Past"}


@employee_page
@require_http_methods(["GET", "HEAD", "POST"])
def several(request: HttpRequest) -> HttpResponse:
    """Choose several roles and ask for them together. What only chooses sends nothing, and keeps what is written."""
    at = clock.now()
    said = Said.read(request.POST if request.method == "POST" else request.GET)
    if request.method == "POST" and CHOOSING & request.POST.keys():
        return _choose(request, said, at)
    found = page_of(person_of(request), standing_of(request), said, at)
    form = SeveralForm(found, at, request.POST if request.method == "POST" else None)
    if request.method == "POST" and found.chosen and form.is_valid():
        sent = _send(request, found, form)
        if sent is not None:
            return redirect("request", number=sent)
    shown = {"page": "catalogue", "several": found, "form": form}
    status = 422 if request.method == "POST" else 200
    return render(request, "my_work/several.html", shown, status=status)


def _choose(request: HttpRequest, said: Said, at: datetime) -> HttpResponse:
    typed = {name: request.POST[name] for name in SeveralForm.base_fields if request.POST.get(name)}
    if not typed.keys() & {"reason", "ticket", "purpose", "starts_at", "ends_at"}:
        return redirect(f"{resolve_url('several')}{said.address}")
    found = page_of(person_of(request), standing_of(request), said, at)
    form = SeveralForm(found, at, initial=typed)
    return render(request, "my_work/several.html", {"page": "catalogue", "several": found, "form": form})


@employee_page
@require_GET
def my_requests(request: HttpRequest) -> HttpResponse:
    """List everything the reader asked for or is to get, for ever."""
    person = person_of(request)
    whose = request.GET.get("whose", "") if request.GET.get("whose", "") in WHOSE else ""
    state = request.GET.get("state", "") if request.GET.get("state", "") in STATES else ""
    conditions = {
        "mine": Q(person=person),
        "others": Q(requester=person) & ~Q(person=person),
        "": Q(person=person) | Q(requester=person),
    }
    rows = AccessRequest.objects.filter(conditions[whose]).select_related(*WITH_REQUEST)
    if state:
        pending = Q(state=RequestState.PENDING)
        rows = rows.filter(pending if state == "open" else ~pending)
    shown = {
        "page": "mine",
        "slice": sliced(rows, "id", request.GET, descending=True),
        "whose": whose,
        "state": state,
        "all_whose": WHOSE,
        "all_states": STATES,
        "me": person,
    }
    return render(request, "my_work/requests.html", shown)


@employee_page
@require_POST
def remind(request: HttpRequest, number: int) -> HttpResponse:
    """Have those who decide told again."""
    person = person_of(request)
    found = following.visible_request(person, standing_of(request), number)
    try:
        requests.remind(found, person=person, actor=actor_of(request))
    except (Conflict, Refused) as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, f"Those who decide R-{number} are told again.")
    return redirect("request", number=number)


@employee_page
@require_POST
def again(request: HttpRequest, number: int) -> HttpResponse:
    """Ask for the same again, with the same words; what is refused now is said, with the form to mend it."""
    person = person_of(request)
    old = following.visible_request(person, standing_of(request), number)
    if person.pk not in (old.person_id, old.requester_id):
        raise NotFound(f"R-{number} is not yours to ask for again.")
    ask = requests.with_ticket(Ask(old.duration, old.purpose, old.reason, old.ticket))
    try:
        sent = requests.submit(person, old.entitlement, ask, person=old.person, actor=actor_of(request))
    except Refused as refusal:
        for reason in refusal.reasons:
            messages.error(request, reason.sentence)
        return redirect(
            f"{resolve_url('request_access', old.entitlement.application.slug)}?role={old.entitlement.slug}"
        )
    messages.success(request, f"Request R-{sent.number} is sent.")
    return redirect("request", number=sent.number)


@employee_page
@require_POST
def withdraw_together(request: HttpRequest, number: int) -> HttpResponse:
    """Take back everything of a set that still waits."""
    person = person_of(request)
    found = visible_set(request, number)
    waiting = [one for one in found[1] if one.state == RequestState.PENDING]
    for one in waiting:
        requests.withdraw(one, person=person, actor=actor_of(request))
    messages.success(request, f"You took back what still waited of R-{number}.")
    return redirect("request", number=number)


def set_page(request: HttpRequest, number: int) -> HttpResponse:
    """Show what was asked for together and where each of it stands. Raises NotFound."""
    found, members = visible_set(request, number)
    at = clock.now()
    shown = {
        "page": "mine",
        "set": found,
        "members": [following.member(one, at) for one in members],
        "is_mine": person_of(request).pk in (found.person_id, found.requester_id),
        "waits": any(one.state == RequestState.PENDING for one in members),
    }
    return render(request, "my_work/request_set.html", shown)


def visible_set(request: HttpRequest, number: int) -> tuple[RequestSet, list[AccessRequest]]:
    """Return a set and the requests in it that the reader may see or decides. Raises NotFound when there is none."""
    found, person = queries.request_set(number), person_of(request)
    seen = following.visible_requests(person, standing_of(request)).filter(request_set=found)
    members = list(
        AccessRequest.objects.filter(Q(pk__in=seen.values("pk")) | Q(waits_for(person)), request_set=found)
        .select_related(*WITH_REQUEST)
        .prefetch_related("approvals__approver", "grants__give_operation", "grants__take_operation")
        .order_by("id")
    )
    if not members:
        raise NotFound(f"There is no request R-{number} that you may see.")
    return found, members


def _send(request: HttpRequest, found: Several, form: SeveralForm) -> int | None:
    """Return the number of what was sent, or none after putting the reasons of the refusal into the form."""
    ask = requests.with_ticket(form.ask)
    wanted = [Wanted(one.offer.role, ask) for one in found.chosen]
    person, actor = person_of(request), actor_of(request)
    try:
        if len(wanted) == 1:
            return requests.submit(person, wanted[0].entitlement, ask, person=found.person, actor=actor).number
        return requests.submit_together(person, wanted, person=found.person, actor=actor).number
    except Refused as refusal:
        form.refuse(refusal.reasons)
    except Invalid as problem:
        add_errors(form, problem)
    return None
