"""Packages: named bundles of roles that people ask for together."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from governance.catalog.models import Entitlement
from governance.catalog.packages import refuse_unless_keeper, retire_package, save_package
from governance.catalog.packages_queries import (
    PackageInForce,
    package_in_force,
    packages_in_force,
    versions_of_package,
)
from governance.catalog.queries import applications_owned_by
from governance.core.errors import Conflict, Invalid, NotAllowed
from governance.identity.models import RoleName
from governance.web.actor import actor_of, person_of
from governance.web.govern.pages import add_errors
from governance.web.govern.rules_forms import RoleChoice
from governance.web.roles import needs, standing_of

READERS = (RoleName.OWNER, RoleName.SECURITY_ADMIN, RoleName.AUDITOR)
KEEPERS = (RoleName.OWNER, RoleName.SECURITY_ADMIN)


class PackageForm(forms.Form):
    """What a package is called and holds."""

    name = forms.CharField(max_length=120, help_text="What people call it, for instance: New data engineer.")
    sentence = forms.CharField(max_length=300, label="For whom, and for what", help_text="One plain sentence.")
    roles = RoleChoice(
        Entitlement.objects.filter(retired_at__isnull=True, application__retired_at__isnull=True)
        .select_related("application")
        .order_by("application__name", "name"),
        help_text="Hold Ctrl or ⌘ to choose several.",
        error_messages={"required": "Choose at least one role."},
        widget=forms.SelectMultiple(attrs={"size": 12, "class": "input"}),
    )


@needs(*READERS)
@require_GET
def packages(request: HttpRequest) -> HttpResponse:
    """List the packages."""
    found = packages_in_force(with_retired=True)
    context = {
        "page": "packages",
        "packages": [one for one in found if one.package.retired_at is None],
        "retired": [one for one in found if one.package.retired_at is not None],
        "may_change": standing_of(request).has_any(frozenset(KEEPERS)),
    }
    return render(request, "govern/packages.html", context)


@needs(*READERS)
@require_GET
def package(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a package: what it holds and held."""
    found = package_in_force(slug, even_retired=True)
    context = {
        "page": "packages",
        "found": found,
        "versions": versions_of_package(slug),
        "may_change": found.package.retired_at is None and _may_keep(request, found),
    }
    return render(request, "govern/package.html", context)


@needs(*KEEPERS)
def new(request: HttpRequest) -> HttpResponse:
    """Make a package."""
    return _write(request, PackageForm(request.POST if request.method == "POST" else None), None)


@needs(*KEEPERS)
def change(request: HttpRequest, slug: str) -> HttpResponse:
    """Write the next version of a package."""
    found = package_in_force(slug)
    _refuse_others(request, found.roles)
    version = found.version
    initial = {"name": version.name, "sentence": version.sentence, "roles": [one.pk for one in found.roles]}
    return _write(request, PackageForm(request.POST if request.method == "POST" else None, initial=initial), found)


@needs(*KEEPERS)
@require_POST
def retire(request: HttpRequest, slug: str) -> HttpResponse:
    """Let nobody ask for a package any more."""
    found = package_in_force(slug)
    _refuse_others(request, found.roles)
    retire_package(slug, actor=actor_of(request))
    messages.success(request, f"{found.version.name} is retired. What it gave stays.")
    return redirect("packages")


def _write(request: HttpRequest, form: PackageForm, found: PackageInForce | None) -> HttpResponse:
    if request.method == "POST" and form.is_valid() and (slug := _save(request, form, found)):
        return redirect("package", slug)
    context = {"page": "packages", "form": form, "found": found}
    return render(request, "govern/package_form.html", context, status=422 if form.errors else 200)


def _save(request: HttpRequest, form: PackageForm, found: PackageInForce | None) -> str | None:
    said: dict[str, Any] = form.cleaned_data
    roles = list(said["roles"])
    try:
        _refuse_others(request, roles)
        slug = found.package.slug if found else ""
        version = save_package(said["name"], said["sentence"], roles, slug=slug, actor=actor_of(request))
    except Invalid as error:
        add_errors(form, error)
        return None
    except NotAllowed as refusal:
        form.add_error("roles", str(refusal))
        return None
    except Conflict as conflict:
        form.add_error("name", str(conflict))
        return None
    messages.success(request, f"Version {version.number} of {version.name} is in force from now on.")
    return version.package.slug


def _refuse_others(request: HttpRequest, roles: Any) -> None:
    is_security = standing_of(request).is_security_admin
    refuse_unless_keeper(roles, owned_ids=applications_owned_by(person_of(request).pk), is_security=is_security)


def _may_keep(request: HttpRequest, found: PackageInForce) -> bool:
    try:
        _refuse_others(request, found.roles)
    except NotAllowed:
        return False
    return standing_of(request).has_any(frozenset(KEEPERS))
