"""Retiring a role or an application: a look at what would happen by name and number, then for good."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from governance.access import retiring
from governance.access.retiring import Look
from governance.catalog.models import Application
from governance.core.errors import Conflict
from governance.identity.models import RoleName
from governance.web.actor import actor_of
from governance.web.govern.application import shared
from governance.web.govern.reach import application_in_reach, require_change
from governance.web.roles import needs

CHANGERS = (RoleName.OWNER, RoleName.SECURITY_ADMIN)


@dataclass(frozen=True, slots=True)
class _Retires:
    """What is retired: its name, the look at it, the act, and where to go afterwards."""

    name: str
    look: Callable[[], Look]
    act: Callable[[str], object]
    then: str


@needs(*CHANGERS)
def role(request: HttpRequest, slug: str, role: str) -> HttpResponse:
    """Look at what retiring a role does to whom, then take it out of use for good."""
    application = _changeable(request, slug)
    found = get_object_or_404(application.entitlements.select_related("application"), slug=role)
    if found.retired_at is not None:
        raise Conflict(f"{found.name} was retired before.")
    what = _Retires(
        found.name,
        lambda: retiring.look_at_role(found),
        lambda seen: retiring.retire_role(found, seen=seen, actor=actor_of(request)),
        "application_roles",
    )
    return _retire(request, application, what, f"{application.slug}&role={found.slug}", role=found.slug)


@needs(*CHANGERS)
def application(request: HttpRequest, slug: str) -> HttpResponse:
    """Look at what retiring an application does to whom, then take it out of use for good."""
    found = _changeable(request, slug)
    what = _Retires(
        found.name,
        lambda: retiring.look_at_application(found),
        lambda seen: retiring.retire_application(found, seen=seen, actor=actor_of(request)),
        "application",
    )
    return _retire(request, found, what, found.slug)


def _retire(
    request: HttpRequest, application: Application, what: _Retires, reach_words: str, *, role: str = ""
) -> HttpResponse:
    again = False
    if request.method == "POST":
        try:
            what.act(request.POST.get("seen", ""))
        except Conflict:
            again = True
        else:
            messages.success(request, f"{what.name} is retired. Access by it is being taken away.")
            return redirect(what.then, application.slug)
    context = shared(request, application, "roles" if role else "access") | {
        "name": what.name,
        "role": role,
        "look": what.look(),
        "again": again,
        "reach_words": reach_words,
    }
    return render(request, "govern/retire.html", context, status=409 if again else 200)


def _changeable(request: HttpRequest, slug: str) -> Application:
    found = application_in_reach(request, slug)
    require_change(request, found)
    if found.retired_at is not None:
        raise Conflict(f"{found.name} was retired before.")
    return found
