"""The page of one application: who has access, its roles, accounts, requests and history. A tab is an address."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from governance.access import asof, queries, retiring
from governance.access.asof import Asked
from governance.access.models import AccessRequest, Grant
from governance.catalog.models import AccessPolicyVersion, Application, DataClass, Entitlement
from governance.core.clock import now
from governance.identity.models import RoleName
from governance.ledger.queries import entries
from governance.ledger.recording import Subject
from governance.provisioning.models import Account, ConnectorKind
from governance.web.govern.drift_queries import seen_not_granted
from governance.web.govern.filters import AsOfForm
from governance.web.govern.lines import lines_of
from governance.web.govern.pages import Slice, show, sliced, whole_number
from governance.web.govern.reach import application_in_reach, reach_of
from governance.web.govern.rows import believed, rows_of, unexplained
from governance.web.roles import needs

READERS = (RoleName.OWNER, RoleName.SECURITY_ADMIN, RoleName.AUDITOR)
#: An account that was not used for so long is called dormant.
DORMANT_AFTER = timedelta(days=90)
#: So much access in an application is sorted by name as quickly as it is looked for among all names.
FEW = 3_000


@needs(*READERS)
@require_GET
def access(request: HttpRequest, slug: str) -> HttpResponse:
    """Show who has access now, or had at the end of a day."""
    found = application_in_reach(request, slug)
    form = AsOfForm(request.GET)
    at, is_past = form.moment()
    known_at, is_past_knowledge = form.knowledge()
    is_past = is_past or is_past_knowledge
    role = request.GET.get("role", "")
    if is_past_knowledge:
        roles, page = _as_known(found, role, at, known_at, request.GET)
    else:
        roles = _numbered_roles(found, at)
        page = sliced(_by_name(_granted(found, role, at), _total(roles, role)), "person__display_name", request.GET)
    context = shared(request, found, "access") | {
        "form": form,
        "at": at,
        "is_past": is_past,
        "known_at": known_at if is_past_knowledge else None,
        "rows": rows_of(page.rows, at),
        "slice": page,
        "total": _total(roles, role),
        "role": role,
        "roles": roles,
        "drift": [] if is_past or role or page.back else unexplained(list(_drift(found))),
    }
    return show(request, "govern/application.html", "access", context)


@needs(*READERS)
@require_GET
def roles(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the roles of an application, how many have each, and under which policy they are given."""
    found = application_in_reach(request, slug)
    at = now()
    covers = Q(grants__starts_at__lte=at, grants__ends_at__gt=at)
    every = (
        Entitlement.objects.filter(application=found)
        .select_related("policy")
        .annotate(people=Count("grants__person", filter=covers, distinct=True))
        .order_by("retired_at", "-risk", "name")
    )
    read = list(every)
    versions = policies_in_force({one.policy_id for one in read})
    context = shared(request, found, "roles") | {
        "roles": [(one, versions.get(one.policy_id)) for one in read],
        "data_words": dict(DataClass.choices),
    }
    return show(request, "govern/application.html", "roles", context)


@needs(*READERS)
@require_GET
def accounts(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the accounts that were seen: linked, without a person, not used for long, gone."""
    found = application_in_reach(request, slug)
    which = request.GET.get("show", "")
    every = Account.objects.filter(application=found)
    page: Slice[Account] = sliced(_accounts(every, which).select_related("person"), "user_name", request.GET)
    context = shared(request, found, "accounts") | {
        "accounts": page.rows,
        "slice": page,
        "show": which,
        "numbers": _account_numbers(every),
        "dormant_days": DORMANT_AFTER.days,
    }
    return show(request, "govern/application.html", "accounts", context)


@needs(*READERS)
@require_GET
def requests(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what was asked for in this application, the latest first."""
    found = application_in_reach(request, slug)
    asked = AccessRequest.objects.filter(entitlement__application=found).select_related(*queries.WITH_REQUEST)
    page = sliced(asked.prefetch_related("approvals__approver"), "created_at", request.GET, descending=True)
    return show(
        request,
        "govern/application.html",
        "requests",
        shared(request, found, "requests") | {"requests": page.rows, "slice": page},
    )


@needs(*READERS)
@require_GET
def history(request: HttpRequest, slug: str) -> HttpResponse:
    """Show everything the ledger says about this application."""
    found = application_in_reach(request, slug)
    before = whole_number(request.GET.get("before"), -1)
    page = entries(about=Subject("application", str(found.pk)), before=before if before >= 0 else None)
    context = shared(request, found, "history") | {"lines": lines_of(page.entries), "next": page.before}
    return show(request, "govern/application.html", "history", context)


def shared(request: HttpRequest, found: Application, tab: str) -> dict[str, Any]:
    """Return what the head of the page needs on every tab."""
    reach = reach_of(request)
    connector = getattr(found, "connector", None)
    is_read = connector is not None and connector.kind != ConnectorKind.MANUAL
    return {
        "page": "applications",
        "application": found,
        "ending": retiring.still_running(found) if found.retired_at else 0,
        "tab": tab,
        "owners": [one.person for one in found.ownerships.select_related("person").order_by("since", "id")],
        "may_change": found.retired_at is None and reach.may_change(found.pk),
        "is_security_admin": reach.is_security_admin,
        "sees_ledger": reach.applications is None,
        "connector": connector,
        "is_read": is_read,
        "data_words": dict(DataClass.choices),
    }


def policies_in_force(policy_ids: set[int]) -> dict[int, AccessPolicyVersion]:
    """Return the version in force of each policy. One statement."""
    versions = AccessPolicyVersion.objects.filter(policy_id__in=policy_ids, effective_at__lte=now())
    return {one.policy_id: one for one in versions.select_related("policy").order_by("policy_id", "number")}


def _numbered_roles(found: Application, at: datetime) -> list[tuple[str, str, int]]:
    """Return slug, name and number of grants of each role."""
    covers = Q(grants__starts_at__lte=at, grants__ends_at__gt=at)
    every = found.entitlements.annotate(number=Count("grants", filter=covers)).order_by("name")
    return list(every.values_list("slug", "name", "number"))


def _granted(found: Application, role: str, at: datetime) -> QuerySet[Grant]:
    grants = queries.grants_at(at).filter(application=found)
    return grants.filter(entitlement__slug=role) if role else grants


def _total(roles: list[tuple[str, str, int]], role: str) -> int:
    return sum(number for slug, _, number in roles if role in ("", slug))


def _by_name(grants: QuerySet[Grant], total: int) -> QuerySet[Grant]:
    """Return what is to be read by name: few are sorted, of many all names are gone through until a page is full."""
    return queries.few_grants(grants) if total <= FEW else grants


def _as_known(
    found: Application, slug: str, at: datetime, known_at: datetime, data: Mapping[str, str]
) -> tuple[list[tuple[str, str, int]], Slice[Grant]]:
    """Return roles with numbers, and a page of grants, as they were known at an instant. Four statements."""
    asked = Asked(at=at, known_at=known_at, application_id=found.pk)
    roles = asof.roles_then(asked)
    totals = asof.totals(asked, roles)
    numbers = {one.role.id: one for one in totals.by_role}
    shown = [role for role in roles if slug in ("", role.slug)]
    people = (
        max((numbers[role.id].people for role in shown if role.id in numbers), default=0) if slug else totals.people
    )
    after, before = (whole_number(data.get(name), -1) for name in ("after", "before"))
    page = asof.page(
        asked, shown, people=people, after=after if after >= 0 else None, before=before if before >= 0 else None
    )
    numbered = [(role.slug, role.name, numbers[role.id].reasons if role.id in numbers else 0) for role in roles]
    return sorted(numbered, key=lambda one: one[1]), Slice(believed(page.rows), page.back, page.next)


def _drift(found: Application) -> Any:
    return seen_not_granted(now()).filter(account__application=found)


def _accounts(every: Any, which: str) -> Any:
    present = every.filter(gone_at__isnull=True)
    return {
        "orphan": present.filter(person__isnull=True),
        "linked": present.filter(person__isnull=False),
        "dormant": present.filter(_dormant()),
        "gone": every.filter(gone_at__isnull=False),
    }.get(which, present)


def _account_numbers(every: Any) -> dict[str, int]:
    present = Q(gone_at__isnull=True)
    found: dict[str, int] = every.aggregate(
        present=Count("pk", filter=present),
        linked=Count("pk", filter=present & Q(person__isnull=False)),
        orphan=Count("pk", filter=present & Q(person__isnull=True)),
        dormant=Count("pk", filter=present & _dormant()),
        gone=Count("pk", filter=Q(gone_at__isnull=False)),
    )
    return found


def _dormant() -> Q:
    return Q(is_active=True, last_used_at__lt=now() - DORMANT_AFTER)
