"""The list of people."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from governance.access.models import Grant
from governance.access.queries import covering
from governance.core.clock import now
from governance.identity.models import Person, RoleName, Status
from governance.provisioning.models import Account
from governance.web.govern.filters import NO_DEPARTMENT
from governance.web.govern.pages import show, sliced
from governance.web.govern.reach import Reach, reach_of
from governance.web.roles import needs

STATES = [("", "Active"), ("left", "Left"), ("all", "Everybody")]


class PeopleForm(forms.Form):
    """The filters of the list."""

    q = forms.CharField(required=False, max_length=100)
    dept = forms.CharField(required=False, max_length=200)
    status = forms.ChoiceField(required=False, choices=STATES)
    type = forms.CharField(required=False, max_length=80)


@needs(RoleName.OWNER, RoleName.SECURITY_ADMIN, RoleName.AUDITOR)
@require_GET
def people(request: HttpRequest) -> HttpResponse:
    """List people by name."""
    form = PeopleForm(request.GET)
    form.full_clean()
    wanted = getattr(form, "cleaned_data", {})
    reach = _within_reach(request)
    found = _narrowed(reach, wanted)
    page = sliced(found.select_related("manager"), "display_name", request.GET)
    held = _held([person.pk for person in page.rows], reach_of(request))
    context = {
        "page": "people",
        "people": [(person, held.get(person.pk, 0)) for person in page.rows],
        "slice": page,
        "total": found.count(),
        "filters": wanted,
        "departments": [name for name in _known(reach, "department") if name],
        "types": [name for name in _known(reach, "person_type") if name],
        "states": STATES,
        "no_department": NO_DEPARTMENT,
    }
    return show(request, "govern/people.html", "list", context)


def _within_reach(request: HttpRequest) -> QuerySet[Person]:
    reach = reach_of(request)
    if reach.applications is None:
        return Person.objects.all()
    having = Grant.objects.filter(covering(now()), application_id__in=reach.applications).values("person_id")
    seen = Account.objects.filter(gone_at__isnull=True, application_id__in=reach.applications).values("person_id")
    return Person.objects.filter(Q(pk__in=having) | Q(pk__in=seen))


def _narrowed(found: QuerySet[Person], wanted: dict[str, Any]) -> QuerySet[Person]:
    if text := (wanted.get("q") or "").strip():
        found = found.filter(
            Q(display_name__icontains=text) | Q(email__istartswith=text) | Q(user_name_key__startswith=text.lower())
        )
    if department := wanted.get("dept"):
        found = found.filter(department="" if department == NO_DEPARTMENT else department)
    if person_type := wanted.get("type"):
        found = found.filter(person_type=person_type)
    status = wanted.get("status") or ""
    return found if status == "all" else found.filter(status=Status.LEFT if status == "left" else Status.ACTIVE)


def _held(person_ids: list[int], reach: Reach) -> dict[int, int]:
    """Return how many roles within reach each of these people has now."""
    covers = reach.within(Grant.objects.filter(covering(now()), person_id__in=person_ids))
    grants = covers.order_by().values("person_id")
    return dict(grants.annotate(held=Count("entitlement", distinct=True)).values_list("person_id", "held"))


def _known(found: QuerySet[Person], name: str) -> list[str]:
    return list(found.order_by(name).values_list(name, flat=True).distinct())
