"""How an application is reached: settings, a test, the readings and what they proved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from governance.catalog.models import Application
from governance.core.errors import Conflict, Invalid, NotAllowed
from governance.identity.models import RoleName
from governance.provisioning import connecting
from governance.provisioning.connectors.base import Permanent, Transient
from governance.provisioning.models import Connector, ConnectorKind, Operation, OperationState, SyncRun
from governance.web.actor import actor_of
from governance.web.govern.application import shared
from governance.web.govern.pages import add_errors, show
from governance.web.govern.reach import application_in_reach
from governance.web.roles import needs, standing_of

_READINGS = 12


class ConnectorForm(forms.Form):
    """The settings of a connector. The token goes in and never comes out."""

    kind = forms.ChoiceField(choices=ConnectorKind.choices, label="How it is reached")
    base_url = forms.CharField(
        max_length=500, required=False, label="SCIM address", help_text="For instance https://scim.example.com/v2"
    )
    secret = forms.CharField(
        max_length=4000,
        required=False,
        label="Token",
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Kept encrypted and never shown again. Leave empty to keep the present one.",
    )


@needs(RoleName.OWNER, RoleName.SECURITY_ADMIN, RoleName.AUDITOR)
def connector(request: HttpRequest, slug: str) -> HttpResponse:
    """Show how the application is reached and what the last readings proved; save new settings."""
    found = application_in_reach(request, slug)
    if request.method != "POST":
        return show(request, "govern/connector.html", "connector", _context(request, found, _form(found)))
    _require_admin(request)
    form = ConnectorForm(request.POST)
    if form.is_valid() and _save(request, found, form):
        messages.success(request, f"The connector of {found.name} is saved.")
        return redirect("application_connector", found.slug)
    return render(request, "govern/connector.html", _context(request, found, form), status=422)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def test(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask the application whether it answers, and say what it said."""
    found = application_in_reach(request, slug)
    problem = connecting.test_connector(found)
    context = _context(request, found, _form(found)) | {"outcome": _outcome(found, problem)}
    return show(request, "govern/connector.html", "connector", context)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def read(request: HttpRequest, slug: str) -> HttpResponse:
    """Have the application read soon."""
    found = application_in_reach(request, slug)
    connecting.request_reading(found, actor=actor_of(request))
    messages.success(request, f"{found.name} is read now. This page shows what comes of it.")
    return redirect("application_connector", found.slug)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a test of the connection said."""

    ok: bool
    sentence: str


def _outcome(found: Application, problem: Transient | Permanent | None) -> Outcome:
    if problem is None:
        return Outcome(True, f"{found.name} answers.")
    return Outcome(False, f"{problem.cause.rstrip('.')}. {problem.next_step}".strip())


def _save(request: HttpRequest, found: Application, form: ConnectorForm) -> bool:
    said = form.cleaned_data
    known = getattr(found, "connector", None)
    try:
        connecting.save_connector(
            found,
            kind=said["kind"],
            base_url=said["base_url"],
            secret=said["secret"] or None,
            options=known.options if known else {},
            actor=actor_of(request),
        )
    except Invalid as error:
        add_errors(form, error)
    except Conflict as conflict:
        form.add_error(None, str(conflict))
    return not form.errors


def _form(found: Application) -> ConnectorForm:
    known: Connector | None = getattr(found, "connector", None)
    if known is None:
        return ConnectorForm(initial={"kind": ConnectorKind.SCIM2})
    return ConnectorForm(initial={"kind": known.kind, "base_url": known.base_url})


def _context(request: HttpRequest, found: Application, form: ConnectorForm) -> dict[str, Any]:
    runs = SyncRun.objects.filter(application=found).order_by("-started_at")[:_READINGS]
    waiting = Operation.objects.filter(application=found, state=OperationState.FAILED)
    return shared(request, found, "connector") | {
        "form": form,
        "runs": list(runs),
        "failed": waiting.count(),
        "may_connect": standing_of(request).is_security_admin,
    }


def _require_admin(request: HttpRequest) -> None:
    if not standing_of(request).is_security_admin:
        raise NotAllowed("Only security administrators change how an application is reached.")
