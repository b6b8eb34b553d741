"""The page of one person: what they have and why, what they asked for, and what happened to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET, require_POST

from governance.access import asof, queries
from governance.access.asof import Asked
from governance.access.models import EndCause, Grant
from governance.catalog.models import Application
from governance.core.clock import now
from governance.core.errors import Conflict
from governance.identity.models import Person, PersonRevision, RoleName, Status
from governance.identity.queries import person as person_by_ref
from governance.ledger.queries import entries
from governance.ledger.recording import Subject
from governance.lifecycle import actions as lifecycle
from governance.provisioning.models import Account, Operation, OperationState
from governance.web.actor import actor_of
from governance.web.govern import duties_shown
from governance.web.govern.drift_queries import seen_not_granted
from governance.web.govern.filters import AsOfForm
from governance.web.govern.lines import lines_of
from governance.web.govern.pages import go, show, sliced, whole_number
from governance.web.govern.reach import Reach, reach_of, require_sight
from governance.web.govern.rows import believed, rows_of, unexplained
from governance.web.roles import needs, standing_of

READERS = (RoleName.OWNER, RoleName.SECURITY_ADMIN, RoleName.AUDITOR)


@dataclass(slots=True)
class Removal:
    """How far a leaver's removal from one application is. `late` runs from leaving to the last read-back or now."""

    application: Application
    ordered: int = 0
    sent: int = 0
    verified: int = 0
    failed: int = 0
    late: timedelta | None = None

    @property
    def state(self) -> str:
        """Return the state of the whole: as far as the slowest order."""
        if self.failed:
            return "failed"
        if self.verified == self.ordered:
            return "verified"
        return "delivered" if self.sent == self.ordered else "ordered"


@needs(*READERS)
@require_GET
def person(request: HttpRequest, ref: str) -> HttpResponse:
    """Show what a person has now, or had at the end of a day."""
    found = _person(request, ref)
    form = AsOfForm(request.GET)
    at, is_past = form.moment()
    known_at, is_past_knowledge = form.knowledge()
    is_past = is_past or is_past_knowledge
    reach = reach_of(request)
    grants, upcoming = _believed(found, reach, at, known_at) if is_past_knowledge else _grants(found, reach, at)
    context = _shared(request, found, "access") | {
        "form": form,
        "at": at,
        "is_past": is_past,
        "known_at": known_at if is_past_knowledge else None,
        "rows": rows_of(grants, at),
        "drift": [] if is_past else _drift(found, reach),
        "accounts": _accounts(found, reach),
        "removals": _removals(found, reach) if found.status == Status.LEFT else [],
        "upcoming": [] if is_past else upcoming,
        "duties": [] if is_past else duties_shown.conflicts_of(found, at, reach),
    }
    return show(request, "govern/person.html", "access", context)


@needs(*READERS)
@require_GET
def requests(request: HttpRequest, ref: str) -> HttpResponse:
    """Show what a person asked for, and what was decided."""
    found = _person(request, ref)
    asked = reach_of(request).within(queries.requests_of(found), "entitlement__application_id")
    page = sliced(asked.prefetch_related("approvals__approver"), "created_at", request.GET, descending=True)
    context = _shared(request, found, "requests") | {"requests": page.rows, "slice": page}
    return show(request, "govern/person.html", "requests", context)


@needs(*READERS)
@require_GET
def history(request: HttpRequest, ref: str) -> HttpResponse:
    """Show the revisions of a person's profile and everything the ledger says about them."""
    found = _person(request, ref)
    reach = reach_of(request)
    before = whole_number(request.GET.get("before"), -1)
    context = _shared(request, found, "history") | {"revisions": _revisions(found)}
    if reach.applications is None:
        page = entries(about=Subject("person", str(found.ref)), before=before if before >= 0 else None)
        context |= {"lines": lines_of(page.entries), "next": page.before}
    return show(request, "govern/person.html", "history", context)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def leave(request: HttpRequest, ref: str) -> HttpResponse:
    """End everything a person has, because they left."""
    with transaction.atomic():
        found = Person.objects.select_for_update(no_key=True).get(pk=person_by_ref(ref).pk)
        if found.status == Status.LEFT:
            raise Conflict(f"{found.display_name} left already, on {found.left_at:%d %B %Y}.")
        lifecycle.leave(found, actor=actor_of(request))
    if found.is_active:
        messages.warning(request, "Too many people left by pages today. This one waits for a second person.")
        return go(request, "holds")
    messages.success(request, f"{found.display_name} left. Every removal is ordered.")
    return go(request, "leaver", found.ref)


def _person(request: HttpRequest, ref: str) -> Person:
    found = person_by_ref(ref)
    require_sight(request, found)
    return found


def _shared(request: HttpRequest, found: Person, tab: str) -> dict[str, Any]:
    return {
        "page": "people",
        "person": found,
        "tab": tab,
        "may_end": standing_of(request).is_security_admin and found.is_active,
        "sees_history": reach_of(request).applications is None,
    }


def _drift(found: Person, reach: Reach) -> list[Any]:
    seen = seen_not_granted(now()).filter(account__person=found)
    return unexplained(list(reach.within(seen, "account__application_id")))


def _grants(found: Person, reach: Reach, at: datetime) -> tuple[list[Grant], list[Grant]]:
    """Return the grants that cover an instant, the riskiest first, and those that begin later. One statement."""
    known = Grant.objects.filter(person=found, ends_at__gt=at).filter(ends_at__gt=F("starts_at"))
    ordered = reach.within(known.select_related(*queries.WITH_GRANT)).order_by(
        "-entitlement__risk", "application__name", "entitlement__name", "id"
    )
    running = [grant for grant in ordered if grant.starts_at <= at]
    later = sorted((grant for grant in ordered if grant.starts_at > at), key=lambda one: (one.starts_at, one.pk))
    return running, later


def _believed(found: Person, reach: Reach, at: datetime, known_at: datetime) -> tuple[list[Grant], list[Grant]]:
    """Return the grants that were believed to cover an instant, and none that begin later. Four statements."""
    asked = Asked(at=at, known_at=known_at, applications=reach.applications, person_id=found.pk)
    return believed(asof.of_person(asked, asof.roles_then(asked))), []


def _accounts(found: Person, reach: Reach) -> list[Account]:
    accounts = Account.objects.filter(person=found).select_related("application", "person")
    return list(reach.within(accounts).order_by("-is_active", "application__name", "id"))


def _removals(found: Person, reach: Reach) -> list[Removal]:
    """Return how far the removals of a leaver are, by application: what is not done comes first."""
    ended = Grant.objects.filter(person=found, end_cause=EndCause.LEFT, take_operation__isnull=False)
    late_too = Q(ends_at__gte=found.left_at) if found.left_at else Q()
    grants = reach.within(ended.filter(late_too)).select_related("application", "take_operation")
    by_application: dict[int, Removal] = {}
    for grant in grants.order_by("application__name", "id"):
        removal = by_application.setdefault(grant.application_id, Removal(grant.application))
        if grant.take_operation is not None:
            _count(removal, grant.take_operation, due=grant.ends_at)
    return sorted(by_application.values(), key=lambda one: (one.state == "verified", one.application.name))


def _count(removal: Removal, order: Operation, *, due: datetime) -> None:
    removal.ordered += 1
    removal.sent += order.delivered_at is not None
    removal.verified += order.state == OperationState.VERIFIED
    removal.failed += order.state == OperationState.FAILED
    took = (order.verified_at or now()) - due
    removal.late = max(removal.late or took, took)


def _revisions(found: Person) -> list[PersonRevision]:
    return list(found.revisions.select_related("manager").order_by("-number")[:100])
