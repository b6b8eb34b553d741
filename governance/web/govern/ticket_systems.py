"""Ticket systems: where the tickets named in requests are looked up, and a look at one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from governance.core.errors import Conflict, Invalid, NotFound
from governance.identity.models import RoleName
from governance.provisioning.models import TicketSystem, WhenSilent
from governance.provisioning.ticket_systems import TicketTerms, retire_ticket_system, save_ticket_system
from governance.provisioning.tickets import TicketState, ask
from governance.web.actor import actor_of
from governance.web.govern.pages import add_errors
from governance.web.roles import needs


class TicketSystemForm(forms.Form):
    """How tickets of one form are looked up."""

    name = forms.CharField(max_length=120, help_text="What people call it, for instance: Jira.")
    pattern = forms.CharField(
        max_length=200,
        label="Tickets it keeps",
        help_text="A regular expression that the whole number has to match, for instance OPS-[0-9]+.",
    )
    url_template = forms.CharField(
        max_length=500,
        label="Where a ticket is read",
        help_text="Its address as JSON, with {ticket} where the number stands.",
    )
    header_name = forms.CharField(
        max_length=80, required=False, label="Header of the secret", help_text="For instance Authorization."
    )
    secret = forms.CharField(
        max_length=4000,
        required=False,
        label="Secret",
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="The whole value of the header. Kept encrypted and never shown again; empty keeps the present one.",
    )
    json_path = forms.CharField(
        max_length=200,
        required=False,
        label="Where its state stands",
        help_text="Names with dots, for instance fields.status.name. Empty: that it exists is enough.",
    )
    good_values = forms.CharField(
        required=False, label="Good states", help_text="Separated by commas, for instance: Open, In progress."
    )
    when_silent = forms.ChoiceField(
        choices=WhenSilent.choices, label="When it does not answer", widget=forms.RadioSelect, initial=WhenSilent.REFUSE
    )
    timeout_seconds = forms.IntegerField(label="Seconds to wait", min_value=1, max_value=20, initial=5)

    @staticmethod
    def initial_of(system: TicketSystem) -> dict[str, Any]:
        """Return what the form starts with; never the secret."""
        names = ("name", "pattern", "url_template", "header_name", "json_path", "when_silent", "timeout_seconds")
        return {name: getattr(system, name) for name in names} | {"good_values": ", ".join(system.good_values)}

    def terms(self) -> TicketTerms:
        """Return what was written."""
        said = self.cleaned_data
        values = tuple(one.strip() for one in said["good_values"].split(",") if one.strip())
        known = {name: value for name, value in said.items() if name not in ("secret", "good_values")}
        return TicketTerms(**known, good_values=values)


@needs(RoleName.SECURITY_ADMIN)
@require_GET
def ticket_systems(request: HttpRequest) -> HttpResponse:
    """List them, those in use first."""
    found = TicketSystem.objects.order_by("-retired_at", "name", "pk")
    context = {"page": "ticket_systems", "systems": [one for one in found if one.retired_at is None]}
    context["retired"] = [one for one in found if one.retired_at is not None]
    return render(request, "govern/ticket_systems.html", context)


@needs(RoleName.SECURITY_ADMIN)
def new(request: HttpRequest) -> HttpResponse:
    """Add one."""
    return _write(request, TicketSystemForm(_posted(request)), None)


@needs(RoleName.SECURITY_ADMIN)
def change(request: HttpRequest, slug: str) -> HttpResponse:
    """Change one."""
    found = in_use(slug)
    return _write(request, TicketSystemForm(_posted(request), initial=TicketSystemForm.initial_of(found)), found)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def retire(request: HttpRequest, slug: str) -> HttpResponse:
    """Look no ticket up there any more."""
    found = retire_ticket_system(slug, actor=actor_of(request))
    messages.success(request, f"{found.name} is not asked any more.")
    return redirect("ticket_systems")


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def look(request: HttpRequest, slug: str) -> HttpResponse:
    """Look one ticket up now, and say what came back."""
    found = in_use(slug)
    answer = ask(found, request.POST.get("ticket", "").strip()[:120] or "1")
    show = messages.success if answer.state == TicketState.GOOD else messages.error
    show(request, answer.sentence)
    return redirect("ticket_system_change", slug)


def in_use(slug: str) -> TicketSystem:
    """Return a ticket system that is asked. Raises NotFound."""
    found = TicketSystem.objects.filter(slug=slug, retired_at__isnull=True).first()
    if found is None:
        raise NotFound(f"There is no ticket system called {slug}.")
    return found


def _write(request: HttpRequest, form: TicketSystemForm, found: TicketSystem | None) -> HttpResponse:
    if request.method == "POST" and form.is_valid() and _save(request, form, found):
        return redirect("ticket_systems")
    context = {"page": "ticket_systems", "form": form, "found": found}
    return render(request, "govern/ticket_system_form.html", context, status=422 if form.errors else 200)


def _save(request: HttpRequest, form: TicketSystemForm, found: TicketSystem | None) -> bool:
    slug, secret = found.slug if found else "", form.cleaned_data["secret"] or None
    try:
        saved = save_ticket_system(form.terms(), slug=slug, secret=secret, actor=actor_of(request))
    except Invalid as error:
        add_errors(form, error)
        return False
    except Conflict as conflict:
        form.add_error("name", str(conflict))
        return False
    messages.success(request, f"{saved.name} is asked about tickets from now on.")
    return True


def _posted(request: HttpRequest) -> Any:
    return request.POST if request.method == "POST" else None
