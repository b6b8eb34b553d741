"""Policies and birthright rules, each with its versions: who may ask, who decides, what comes with a role."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from governance.catalog import policies as catalog_policies
from governance.catalog.models import AccessPolicy, AccessPolicyVersion, BirthrightRule, BirthrightRuleVersion
from governance.core.clock import now
from governance.core.errors import Invalid, NotAllowed, NotFound
from governance.identity.models import RoleName
from governance.identity.queries import names_by_ref
from governance.web.actor import actor_of
from governance.web.govern.pages import add_errors
from governance.web.govern.policy_forms import PolicyForm
from governance.web.roles import needs, standing_of

READERS = (RoleName.OWNER, RoleName.SECURITY_ADMIN, RoleName.AUDITOR)


@needs(*READERS)
@require_GET
def policies(request: HttpRequest) -> HttpResponse:
    """List policies and birthright rules with the version in force."""
    at = now()
    held = Q(entitlements__retired_at__isnull=True)
    known = AccessPolicy.objects.annotate(roles=Count("entitlements", filter=held, distinct=True)).order_by(
        "name", "id"
    )
    in_force = _latest(AccessPolicyVersion.objects.filter(effective_at__lte=at), "policy_id")
    rules = BirthrightRule.objects.annotate(
        people=Count("versions__grants__person", filter=_holding(at), distinct=True)
    )
    versions = BirthrightRuleVersion.objects.filter(effective_at__lte=at).prefetch_related("entitlements__application")
    rule_versions = _latest(versions, "rule_id")
    context = {
        "page": "policies",
        "policies": [(one, in_force.get(one.pk)) for one in known],
        "rules": [(one, rule_versions.get(one.pk)) for one in rules.order_by("retired_at", "name", "id")],
        "may_change": standing_of(request).is_security_admin,
    }
    return render(request, "govern/policies.html", context)


@needs(*READERS)
def policy(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the versions of a policy, and let a security administrator write the next one."""
    found = AccessPolicy.objects.filter(slug=slug).first()
    if found is None:
        raise NotFound(f"There is no policy called {slug}.")
    versions = list(found.versions.order_by("-number"))
    form = PolicyForm(_posted(request), initial=PolicyForm.initial_of(found.name, versions[0] if versions else None))
    if request.method == "POST" and _save_policy(request, form, found.slug):
        return redirect("policy", found.slug)
    context = {
        "page": "policies",
        "policy": found,
        "versions": versions,
        "authors": names_by_ref({one.created_by_ref for one in versions}),
        "roles": found.entitlements.filter(retired_at=None).select_related("application").order_by("application__name"),
        "form": form,
        "may_change": standing_of(request).is_security_admin,
    }
    return render(request, "govern/policy.html", context, status=422 if form.errors else 200)


@needs(RoleName.SECURITY_ADMIN)
def new_policy(request: HttpRequest) -> HttpResponse:
    """Write the first version of a new policy."""
    form = PolicyForm(_posted(request), initial=PolicyForm.initial_of("", None))
    if request.method == "POST" and _save_policy(request, form, ""):
        return redirect("policies")
    context = {"page": "policies", "form": form, "title": "New policy", "button": "Save policy"}
    return render(request, "govern/policy_new.html", context, status=422 if form.errors else 200)


def _save_policy(request: HttpRequest, form: PolicyForm, slug: str) -> bool:
    _require_admin(request)
    if not form.is_valid():
        return False
    try:
        name, terms = form.cleaned_data["name"], form.terms()
        version = catalog_policies.save_policy(name, terms, slug=slug, actor=actor_of(request))
    except Invalid as error:
        add_errors(form, error)
        return False
    messages.success(request, f"Version {version.number} of {version.policy.name} is in force from now on.")
    return True


def _require_admin(request: HttpRequest) -> None:
    if not standing_of(request).is_security_admin:
        raise NotAllowed("Only security administrators write policies.")


def _posted(request: HttpRequest) -> Any:
    return request.POST if request.method == "POST" else None


def _latest(versions: Any, key: str) -> dict[int, Any]:
    return {getattr(one, key): one for one in versions.order_by(key, "number")}


def _holding(at: Any) -> Q:
    return Q(versions__grants__starts_at__lte=at, versions__grants__ends_at__gt=at)
