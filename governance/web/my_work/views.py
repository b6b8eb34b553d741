"""The pages of everybody: home, catalogue, asking, one request, my access."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.access import glass_queries, grants, queries, requests
from governance.access.models import AccessRequest, Grant, RequestState
from governance.access.queries import waiting_among
from governance.core import clock
from governance.core.errors import NotFound, Refused
from governance.identity.models import Person
from governance.lifecycle.holds_queries import waiting_holds
from governance.policy.facts import Ask
from governance.web import counts
from governance.web.actor import actor_of, person_of
from governance.web.answers import is_htmx, page
from governance.web.govern.pages import whole_number
from governance.web.my_work import asking as drawers
from governance.web.my_work import catalogue as catalogues
from governance.web.my_work import following, glass, holding, offers
from governance.web.my_work.forms import AskForm, ExtendForm
from governance.web.my_work.several_views import set_page
from governance.web.roles import employee_page, signed_in_page, standing_of


@signed_in_page
@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """Show what waits for the reader; who only asks gets the catalogue, who only audits goes to the evidence."""
    person, standing, at = person_of(request), standing_of(request), clock.now()
    if standing.is_guest:
        return redirect("engagements")
    if standing.is_auditor and not standing.is_security_admin:
        return redirect("evidence")
    open_work = counts.open_work(request)
    to_answer = _to_answer(person, at, open_work)
    if not (standing.is_owner or standing.is_security_admin or open_work["approvals"] or any(to_answer.values())):
        return _catalogue(request, "home", at)
    now, waiting = catalogues.yours(person, at)
    queue = waiting_among(counts.waiting_for_reader(request))[:10]
    found: dict[str, Any] = {"page": "home", "now": now, "waiting": waiting, "queue": queue, "open_work": open_work}
    # An auditor decides nothing about them and has a home of their own.
    found["held"] = waiting_holds() if standing.is_security_admin and open_work.get("holds") else []
    return render(request, "my_work/home.html", found | to_answer)


@employee_page
@require_GET
def catalogue(request: HttpRequest) -> HttpResponse:
    """Show what the reader may ask for."""
    return _catalogue(request, "catalogue", clock.now())


@employee_page
@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the drawer for one application, and send the request."""
    said = request.POST if request.method == "POST" else request.GET
    changes = _to_change(request, said.get("change", ""))
    drawer = _drawer_for(request, slug, said, changes)
    if isinstance(drawer, drawers.NothingToAsk):
        return page(request, "my_work/ask.html", "nothing", {"page": "catalogue", "nothing": drawer})
    if request.method != "POST":
        form = AskForm(drawer, initial=_said_before(changes) if changes else None)
        return page(request, "my_work/ask.html", "form", _drawer(drawer, form, changes))
    form = AskForm(drawer, request.POST)
    sent = _send(request, form, drawer, changes) if form.is_valid() else None
    if sent is None:
        return page(request, "my_work/ask.html", "form", _drawer(drawer, form, changes), status=422)
    return _sent(request, sent)


@employee_page
@require_GET
def limits(request: HttpRequest, slug: str) -> HttpResponse:
    """Show how long the chosen role may last and who decides about it."""
    changes = _to_change(request, request.GET.get("change", ""))
    drawer = _drawer_for(request, slug, request.GET, changes)
    if isinstance(drawer, drawers.NothingToAsk):
        raise NotFound("There is nothing to ask for here any more.")
    return render(request, "my_work/ask.html#limits", _drawer(drawer, AskForm(drawer), changes))


@employee_page
@require_GET
def request_page(request: HttpRequest, number: int) -> HttpResponse:
    """Show where a request stands, or all that was asked for together; it asks again by itself until it is settled."""
    try:
        return page(request, "my_work/request.html", "steps", _follow(request, number))
    except NotFound:
        return set_page(request, number)


@employee_page
@require_POST
def withdraw(request: HttpRequest, number: int) -> HttpResponse:
    """Take back one's own request while it waits."""
    person = person_of(request)
    found = following.visible_request(person, standing_of(request), number)
    requests.withdraw(found, person=person, actor=actor_of(request))
    said = f"You took back R-{number}. Nobody is asked any more."
    if not is_htmx(request):
        messages.success(request, said)
        return redirect("request", number=number)
    return render(request, "my_work/request.html#changed", _follow(request, number) | {"said": said})


@employee_page
@require_GET
def my_access(request: HttpRequest) -> HttpResponse:
    """Show what the reader has, will have and had."""
    found = holding.my_access(person_of(request), clock.now())
    return page(request, "my_work/my_access.html", "mine", {"page": "mine", "mine": found})


@employee_page
@require_http_methods(["GET", "HEAD", "POST"])
def extend(request: HttpRequest, grant_id: int) -> HttpResponse:
    """Ask for more time, under the same rules as the first time."""
    person, at = person_of(request), clock.now()
    grant = _my_grant(person, grant_id)
    version = offers.policies_in_force([grant.entitlement.policy_id], at)[grant.entitlement.policy_id]
    chosen = request.POST.get("length", "")
    lengths = drawers.lengths_up_to(version.max_duration, chosen=chosen, usual=version.default_duration)
    form = ExtendForm(lengths, request.POST or None, needs_ticket=version.requires_ticket)
    found = {"page": "mine", "grant": grant, "lengths": lengths, "form": form, "version": version}
    if request.method != "POST":
        return page(request, "my_work/extend.html", "form", found)
    sent = _send_extension(request, form, grant) if form.is_valid() else None
    if sent is None:
        return page(request, "my_work/extend.html", "form", found, status=422)
    return _sent(request, sent)


@employee_page
@require_POST
def give_back(request: HttpRequest, grant_id: int) -> HttpResponse:
    """End one's own access before its time."""
    person = person_of(request)
    grant = _my_grant(person, grant_id)
    grants.give_back(grant, person=person, actor=actor_of(request))
    said = f"Given back: {grant.entitlement.name} in {grant.application.name}. We take it away there now."
    if not is_htmx(request):
        messages.success(request, said)
        return redirect("my_access")
    found = {"page": "mine", "mine": holding.my_access(person, clock.now()), "said": said}
    return render(request, "my_work/my_access.html#returned", found)


def _catalogue(request: HttpRequest, name: str, at: datetime) -> HttpResponse:
    question, category = request.GET.get("q", "")[:100], request.GET.get("category", "")[:60]
    found = catalogues.catalogue(person_of(request), at, question=question, category=category)
    shown = {"page": name, "catalogue": found, "q": question, "category": category}
    return page(request, "my_work/catalogue.html", "list", shown)


def _to_answer(person: Person, at: datetime, open_work: dict[str, int]) -> dict[str, list[Any]]:
    """Return what waits for the reader beside requests: emergencies to review, and access whose time is up."""
    reviews = glass_queries.reviews_for(person) if open_work["unreviewed"] else []
    questions = queries.open_end_questions(person) if open_work["asked_at_end"] else []
    return {"glass_to_review": [glass.Looked(one, at) for one in reviews], "end_questions": questions}


def _to_change(request: HttpRequest, said: str) -> AccessRequest | None:
    """Return the request of the reader that is to be changed, while it waits. Raises NotFound."""
    number = whole_number(said.removeprefix("R-"), 0)
    if not number:
        return None
    person = person_of(request)
    found = following.visible_request(person, standing_of(request), number)
    if found.state != RequestState.PENDING or person.pk not in (found.person_id, found.requester_id):
        raise NotFound(f"R-{number} cannot be changed any more.")
    return found


def _said_before(changes: AccessRequest) -> dict[str, object]:
    return {"purpose": changes.purpose, "reason": changes.reason, "ticket": changes.ticket}


def _drawer_for(
    request: HttpRequest, slug: str, said: QueryDict, changes: AccessRequest | None
) -> drawers.Asking | drawers.NothingToAsk:
    person = changes.person if changes else person_of(request)
    role, length = said.get("role", ""), said.get("length", "")
    if changes:
        role, length = role or changes.entitlement.slug, length or drawers.seconds_of(changes.duration)
    return drawers.asking(person, slug, clock.now(), role=role, length=length, changes=changes)


def _drawer(drawer: drawers.Asking, form: AskForm, changes: AccessRequest | None) -> dict[str, object]:
    return {"page": "catalogue", "drawer": drawer, "form": form, "changes": changes}


def _send(
    request: HttpRequest, form: AskForm, drawer: drawers.Asking, changes: AccessRequest | None
) -> AccessRequest | None:
    """Return the request that was sent, or none after putting the reasons of the refusal into the form."""
    said = form.cleaned_data
    wanted = requests.with_ticket(Ask(form.span, said.get("purpose", ""), said["reason"], said["ticket"]))
    person, actor = person_of(request), actor_of(request)
    try:
        if changes is not None:
            return requests.change(changes, drawer.offer.role, wanted, requester=person, actor=actor)
        return requests.submit(person, drawer.offer.role, wanted, actor=actor)
    except Refused as refusal:
        form.refuse(refusal.reasons)
        return None


def _send_extension(request: HttpRequest, form: ExtendForm, grant: Grant) -> AccessRequest | None:
    said = form.cleaned_data
    purpose = grant.request.purpose if grant.request else ""
    wanted = requests.with_ticket(Ask(form.span, purpose, said["reason"], said["ticket"]))
    try:
        return requests.submit(person_of(request), grant.entitlement, wanted, extends=grant, actor=actor_of(request))
    except Refused as refusal:
        form.refuse(refusal.reasons)
        return None


def _sent(request: HttpRequest, sent: AccessRequest) -> HttpResponse:
    said = f"Request R-{sent.number} is sent."
    if not is_htmx(request):
        messages.success(request, said)
        return redirect("request", number=sent.number)
    shown = _follow(request, sent.number) | {"said": said} | _page_behind(request, sent)
    return render(request, "my_work/ask.html#sent", shown)


def _page_behind(request: HttpRequest, sent: AccessRequest) -> dict[str, object]:
    """Return what changes on the page behind the drawer, as far as it shows anything of it."""
    behind, person, at = urlsplit(request.headers.get("HX-Current-URL", "")).path, person_of(request), clock.now()
    if behind == reverse("my_access"):
        return {"mine": holding.my_access(person, at)}
    if behind in (reverse("catalogue"), reverse("home")):
        return {"catalogue": catalogues.catalogue(person, at, question=sent.entitlement.application.name)}
    return {}


def _follow(request: HttpRequest, number: int) -> dict[str, object]:
    person, standing, at = person_of(request), standing_of(request), clock.now()
    return {"page": "catalogue", "follow": following.followed(person, standing, number, at)}


def _my_grant(person: Person, grant_id: int) -> Grant:
    found = queries.grant(grant_id)
    if found.person_id != person.pk:
        raise NotFound("There is no such access of yours.")
    return found
