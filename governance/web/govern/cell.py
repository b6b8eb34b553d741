"""One cell of the matrix in full: why, since when, until when, how the orders went; and taking a grant away."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from governance.access import grants, queries
from governance.catalog.models import Application
from governance.core.errors import Conflict, NotAllowed, Refused
from governance.identity.models import Person, RoleName
from governance.identity.queries import person as person_by_ref
from governance.provisioning.models import Account, ConnectorKind, Operation, OperationKind, OperationState
from governance.web.actor import actor_of
from governance.web.govern import reasons
from governance.web.govern.filters import AsOfForm
from governance.web.govern.pages import is_htmx, show
from governance.web.govern.reach import application_in_reach, reach_of, require_change
from governance.web.roles import needs

#: Removals that are shown with what somebody has now.
_LATEST = 5
_READ = 40


@needs(RoleName.OWNER, RoleName.SECURITY_ADMIN, RoleName.AUDITOR)
@require_GET
def cell(request: HttpRequest, ref: str, slug: str) -> HttpResponse:
    """Show what one person has in one application."""
    application = application_in_reach(request, slug)
    return show(request, "govern/cell.html", "panel", _context(request, person_by_ref(ref), application))


@needs(RoleName.OWNER, RoleName.SECURITY_ADMIN)
@require_POST
def revoke(request: HttpRequest, grant_id: int) -> HttpResponse:
    """Take a grant away now; the removal is ordered in the same transaction."""
    grant = queries.grant(grant_id)
    if not reach_of(request).sees(grant.application_id):
        raise NotAllowed("This is somebody else's application.")
    require_change(request, grant.application)
    try:
        grants.revoke(grant, actor=actor_of(request))
    except Refused as refusal:
        said = [reason.sentence for reason in refusal.reasons]
        return _answer(request, grant.person, grant.application, said, tone="t-bad", status=422)
    except Conflict as conflict:
        return _answer(request, grant.person, grant.application, [str(conflict)], tone="t-bad", status=409)
    said = [f"{grant.entitlement.name} ends now. The removal is ordered at {grant.application.name}."]
    return _answer(request, grant.person, grant.application, said, tone="t-good", status=200)


def _answer(
    request: HttpRequest, person: Person, application: Application, said: list[str], *, tone: str, status: int
) -> HttpResponse:
    if is_htmx(request) and status != 409:
        context = _context(request, person, application) | {"said": said, "said_tone": tone}
        response = render(request, "govern/cell.html#panel", context, status=status)
        response["HX-Trigger"] = "access-changed"
        return response
    if status == 409:
        raise Conflict(said[0])
    if status == 422:
        context = _context(request, person, application) | {"said": said, "said_tone": tone}
        return render(request, "govern/cell.html", context, status=status)
    return redirect("matrix_cell", person.ref, application.slug)


def _context(request: HttpRequest, person: Person, application: Application) -> dict[str, Any]:
    at, is_past = AsOfForm(request.GET).moment()
    connector = getattr(application, "connector", None)
    removals = _removals(person, application)
    ended = {one.entitlement_id: one for one in reversed(removals) if one.state != OperationState.VERIFIED}
    roles = reasons.parts(person, application, at=at)
    return {
        "page": "matrix",
        "person": person,
        "application": application,
        "at": at,
        "is_past": is_past,
        "roles": [(part, ended.get(part.role.pk)) for part in roles],
        "removals": removals[:_LATEST],
        "accounts": list(
            Account.objects.filter(person=person, application=application, gone_at__isnull=True).order_by("user_name")
        ),
        "is_read": connector is not None and connector.kind != ConnectorKind.MANUAL,
        "may_change": reach_of(request).may_change(application.pk),
    }


def _removals(person: Person, application: Application) -> list[Operation]:
    found = (
        Operation.objects.filter(person=person, application=application, kind=OperationKind.TAKE)
        .select_related("entitlement")
        .order_by("-id")[:_READ]
    )
    for one in found:
        one.words = reasons.order_words(one)  # type: ignore[attr-defined]
    return list(found)
