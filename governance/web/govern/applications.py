"""The list of applications, and adding one from the shipped catalogue: search, pick."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Count, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from governance.access.models import Grant
from governance.access.queries import covering
from governance.catalog import actions, shipped
from governance.catalog.models import Application, DataClass, Risk
from governance.core.clock import now
from governance.core.errors import Conflict
from governance.identity.models import RoleName
from governance.provisioning.models import Account
from governance.web.actor import actor_of
from governance.web.govern.pages import show, sliced
from governance.web.govern.reach import reach_of, read_to_the_end
from governance.web.roles import needs


class ApplicationsForm(forms.Form):
    """The filters of the list."""

    q = forms.CharField(required=False, max_length=100)
    risk = forms.TypedChoiceField(required=False, coerce=int, empty_value=None, choices=[("", ""), *Risk.choices])
    data = forms.ChoiceField(required=False, choices=[("", ""), *DataClass.choices])  # type: ignore[assignment]  # a form keeps its fields apart


@needs(RoleName.OWNER, RoleName.SECURITY_ADMIN, RoleName.AUDITOR)
@require_GET
def applications(request: HttpRequest) -> HttpResponse:
    """List the applications within reach by name."""
    form = ApplicationsForm(request.GET)
    form.full_clean()
    wanted = getattr(form, "cleaned_data", {})
    found = _narrowed(reach_of(request).within(Application.objects.filter(retired_at__isnull=True), "pk"), wanted)
    page = sliced(_with_numbers(found), "name", request.GET)
    context = {
        "page": "applications",
        "applications": page.rows,
        "slice": page,
        "total": found.count(),
        "filters": wanted,
        "risks": Risk.choices,
        "data_classes": DataClass.choices,
        "data_words": dict(DataClass.choices),
    }
    return show(request, "govern/applications.html", "list", context)


@needs(RoleName.SECURITY_ADMIN)
@require_GET
def catalogue(request: HttpRequest) -> HttpResponse:
    """Search the shipped catalogue."""
    return show(request, "govern/catalogue.html", "list", _catalogue(request))


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def add(request: HttpRequest, catalogue_id: str) -> HttpResponse:
    """Add one application of the catalogue; choose its owners next."""
    try:
        added = actions.add_from_catalogue(catalogue_id, actor=actor_of(request))
    except Conflict as conflict:
        return render(request, "govern/catalogue.html", _catalogue(request) | {"said": str(conflict)}, status=409)
    messages.success(request, f"{added.name} was added. Now say who answers for it.")
    return redirect("application_owners", added.slug)


def _catalogue(request: HttpRequest) -> dict[str, Any]:
    text = request.GET.get("q", "")[:100]
    hits = shipped.search(text)
    there = dict(
        Application.objects.filter(catalogue_id__in=[one.id for one in hits], retired_at=None).values_list(
            "catalogue_id", "slug"
        )
    )
    return {
        "page": "applications",
        "q": text,
        "hits": [(one, there.get(one.id)) for one in hits],
        "size": len(shipped.applications()),
        "data_words": dict(DataClass.choices),
    }


def _narrowed(found: QuerySet[Application], wanted: dict[str, Any]) -> QuerySet[Application]:
    if text := (wanted.get("q") or "").strip():
        found = found.filter(Q(name__icontains=text) | Q(category__icontains=text) | Q(description__icontains=text))
    if risk := wanted.get("risk"):
        found = found.filter(risk=risk)
    if data := wanted.get("data"):
        found = found.filter(data_classes__contains=[data])
    return found


def _with_numbers(found: QuerySet[Application]) -> QuerySet[Application]:
    """Add the number of people with access and of orphan accounts, and when it was last read completely."""
    people = Grant.objects.filter(covering(now()), application=OuterRef("pk"))
    orphans = Account.objects.filter(application=OuterRef("pk"), person=None, gone_at=None, is_active=True)
    return (
        found.select_related("connector")
        .prefetch_related("ownerships__person")
        .annotate(
            people=_counted(people, "person"),
            orphans=_counted(orphans, "pk"),
            read_at=read_to_the_end(),
        )
    )


def _counted(rows: QuerySet[Any], what: str) -> Coalesce:
    grouped = rows.order_by().values("application").annotate(number=Count(what, distinct=True)).values("number")
    return Coalesce(Subquery(grouped, output_field=IntegerField()), 0)
