"""Birthright rules, each with its versions: what comes with being somebody."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from governance.access import birthright
from governance.catalog.models import BirthrightRule
from governance.catalog.rules import save_birthright_rule
from governance.core.clock import now
from governance.core.errors import Invalid, NotAllowed, NotFound
from governance.identity.models import Person, RoleName, Status
from governance.identity.queries import names_by_ref
from governance.identity.selection import selected
from governance.web.actor import actor_of
from governance.web.govern.pages import add_errors
from governance.web.govern.rules_forms import RuleForm
from governance.web.roles import needs, standing_of

READERS = (RoleName.OWNER, RoleName.SECURITY_ADMIN, RoleName.AUDITOR)


@needs(*READERS)
def rule(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the versions of a birthright rule, and let a security administrator write the next one."""
    found = BirthrightRule.objects.filter(slug=slug).first()
    if found is None:
        raise NotFound(f"There is no rule called {slug}.")
    versions = list(found.versions.prefetch_related("entitlements__application").order_by("-number"))
    form = RuleForm(_posted(request), initial=RuleForm.initial_of(found.name, versions[0] if versions else None))
    if request.method == "POST" and _save_rule(request, form, found.slug):
        return redirect("rule", found.slug)
    context = {
        "page": "policies",
        "rule": found,
        "versions": versions,
        "authors": names_by_ref({one.created_by_ref for one in versions}),
        "selects": selected(versions[0].condition).count() if versions else 0,
        "form": form,
        "may_change": standing_of(request).is_security_admin,
    }
    return render(request, "govern/rule.html", context, status=422 if form.errors else 200)


@needs(RoleName.SECURITY_ADMIN)
def new(request: HttpRequest) -> HttpResponse:
    """Write the first version of a new birthright rule."""
    form = RuleForm(_posted(request))
    if request.method == "POST" and _save_rule(request, form, ""):
        return redirect("policies")
    context = {"page": "policies", "form": form, "title": "New rule", "button": "Save and give"}
    return render(request, "govern/policy_new.html", context, status=422 if form.errors else 200)


def _save_rule(request: HttpRequest, form: RuleForm, slug: str) -> bool:
    _require_admin(request)
    if not form.is_valid():
        return False
    wanted = form.cleaned_data
    actor = actor_of(request)
    try:
        with transaction.atomic():
            version = save_birthright_rule(
                wanted["name"], wanted["condition"], list(wanted["entitlements"]), slug=slug, actor=actor
            )
            everybody = Person.objects.filter(status=Status.ACTIVE).order_by("pk").values_list("pk", flat=True)
            birthright.apply(list(everybody), at=now(), actor=actor)
    except Invalid as error:
        add_errors(form, error)
        return False
    messages.success(request, f"Version {version.number} of {version.rule.name} is in force, for everybody it selects.")
    return True


def _require_admin(request: HttpRequest) -> None:
    if not standing_of(request).is_security_admin:
        raise NotAllowed("Only security administrators write rules.")


def _posted(request: HttpRequest) -> Any:
    return request.POST if request.method == "POST" else None
