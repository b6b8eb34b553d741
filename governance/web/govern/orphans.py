"""Accounts without a person: the most powerful and the oldest first, each with the person it may belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.postgres.aggregates import BoolOr
from django.db.models import Max, Q, QuerySet
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from governance.core.clock import now
from governance.core.errors import Conflict, Invalid, NotAllowed, NotFound
from governance.identity.models import Person, RoleName, Status
from governance.identity.queries import person as person_by_ref
from governance.provisioning import actions as provisioning
from governance.provisioning.models import Account, AccountKind
from governance.web.actor import actor_of
from governance.web.govern.completeness import completeness
from governance.web.govern.matching import Match, matches_for
from governance.web.govern.orphan_queries import unowned
from governance.web.govern.pages import is_htmx, show, whole_number
from governance.web.govern.reach import reach_of, require_change
from governance.web.roles import needs

PAGE = 50


@dataclass(frozen=True, slots=True)
class OrphanRow:
    """One account, the roles seen on it, and who it may belong to."""

    account: Account
    roles: list[str]
    is_powerful: bool
    risk: int
    match: Match | None


@needs(RoleName.OWNER, RoleName.SECURITY_ADMIN, RoleName.AUDITOR)
@require_GET
def orphans(request: HttpRequest) -> HttpResponse:
    """List accounts without a person."""
    reach = reach_of(request)
    text = request.GET.get("q", "")[:100].strip()
    start = max(whole_number(request.GET.get("from"), 0), 0)
    every = _narrowed(reach.within(unowned()), text)
    found = list(_ordered(every)[start : start + PAGE + 1])
    accounts = found[:PAGE]
    context = {
        "page": "orphans",
        "rows": _rows(accounts),
        "q": text,
        "total": every.count(),
        "start": start,
        "back": start - PAGE if start else None,
        "next": start + PAGE if len(found) > PAGE else None,
        "completeness": completeness(reach.applications, now()),
    }
    return show(request, "govern/orphans.html", "list", context)


@needs(RoleName.OWNER, RoleName.SECURITY_ADMIN, RoleName.AUDITOR)
@require_GET
def orphan(request: HttpRequest, account_id: int) -> HttpResponse:
    """Show one account and whom it can be linked to."""
    return show(request, "govern/orphan.html", "panel", _context(request, _account(request, account_id)))


@needs(RoleName.OWNER, RoleName.SECURITY_ADMIN)
@require_POST
def link(request: HttpRequest, account_id: int) -> HttpResponse:
    """Link an account to a person."""
    account = _account(request, account_id)
    require_change(request, account.application)
    ref = request.POST.get("person", "")
    if not ref:
        said = {"error": "Choose whose account this is."}
        return render(request, _part(request), _context(request, account) | said, status=422)
    person = person_by_ref(ref)
    try:
        provisioning.link_account(account, person, actor=actor_of(request))
    except (Invalid, Conflict) as error:
        if isinstance(error, Conflict):
            raise
        return render(request, _part(request), _context(request, account) | {"error": str(error)}, status=422)
    if not is_htmx(request):
        messages.success(request, f"{account.user_name} belongs to {person.display_name} now.")
        return redirect("orphans")
    response = render(request, "govern/orphan.html#linked", {"account": account, "person": person})
    response["HX-Trigger"] = "access-changed"
    return response


def _part(request: HttpRequest) -> str:
    return "govern/orphan.html#panel" if is_htmx(request) else "govern/orphan.html"


def _account(request: HttpRequest, account_id: int) -> Account:
    account = Account.objects.select_related("application", "person").filter(pk=account_id).first()
    if account is None:
        raise NotFound("There is no such account.")
    if not reach_of(request).sees(account.application_id):
        raise NotAllowed(f"This page is for the owners of {account.application.name} and security administrators.")
    return account


def _context(request: HttpRequest, account: Account) -> dict[str, Any]:
    text = request.GET.get("q", "")[:100].strip()
    holdings = (
        account.holdings.filter(gone_at__isnull=True).select_related("entitlement").order_by("-entitlement__risk")
    )
    return {
        "page": "orphans",
        "account": account,
        "application": account.application,
        "holdings": list(holdings),
        "match": matches_for([account]).get(account.pk),
        "q": text,
        "hits": _people(text),
        "may_change": reach_of(request).may_change(account.application_id) and account.person_id is None,
        "is_service": account.kind != AccountKind.HUMAN,
    }


def _people(text: str) -> list[Person]:
    if not text:
        return []
    named = Q(display_name__icontains=text) | Q(email__istartswith=text) | Q(user_name_key__startswith=text.lower())
    return list(Person.objects.filter(named, status=Status.ACTIVE).order_by("display_name", "id")[:8])


def _narrowed(every: QuerySet[Account], text: str) -> QuerySet[Account]:
    if not text:
        return every
    named = Q(user_name__icontains=text) | Q(display_name__icontains=text) | Q(application__name__icontains=text)
    return every.filter(named | Q(person__display_name__icontains=text))


def _ordered(every: QuerySet[Account]) -> QuerySet[Account]:
    present = Q(holdings__gone_at__isnull=True)
    return (
        every.select_related("application", "person")
        .prefetch_related("holdings__entitlement")
        .annotate(
            is_powerful=Coalesce(BoolOr("holdings__entitlement__is_privileged", filter=present), False),
            most=Coalesce(Max("holdings__entitlement__risk", filter=present), 0),
        )
        .order_by("-is_powerful", "-most", "first_seen_at", "pk")
    )


def _rows(accounts: list[Account]) -> list[OrphanRow]:
    matches = matches_for(accounts)
    return [_row(account, matches.get(account.pk)) for account in accounts]


def _row(account: Account, match: Match | None) -> OrphanRow:
    seen = [one.entitlement for one in account.holdings.all() if one.gone_at is None]
    return OrphanRow(
        account,
        sorted(role.name for role in seen),
        any(role.is_privileged for role in seen),
        max((role.risk for role in seen), default=0),
        match,
    )
