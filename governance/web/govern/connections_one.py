"""One connection: what it is and did, how it is set up, its settings, its conflicts, and its end."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from governance.core.clock import now
from governance.core.errors import Invalid
from governance.identity.connections import actions, ownership, queries
from governance.identity.models import RoleName
from governance.web import charts
from governance.web.actor import actor_of
from governance.web.govern.connections_forms import RevokeForm, TermsForm
from governance.web.govern.connections_steps import base_url, is_reachable_from_outside, set_up_of
from governance.web.govern.connections_words import chart_label, states_of
from governance.web.govern.pages import add_errors, go, is_htmx, whole_number
from governance.web.roles import needs

#: The page looks for the first request every two seconds, for about ten minutes. Then it leaves that to the reader.
MOST_LOOKS = 300


@needs(RoleName.SECURITY_ADMIN)
@require_GET
def connection(request: HttpRequest, ref: UUID) -> HttpResponse:
    """Show what a connection is, what it did in the last day, and what it asked for in vain."""
    detail = queries.connection_detail(ref)
    hours = [(hour.requests, hour.errors) for hour in detail.line.hours]
    context = _shared(detail.line, "overview") | {
        "detail": detail,
        "chart": charts.requests(hours, chart_label(detail.line), width=960, height=96),
        "marks": [*(hour.hour for hour in detail.line.hours[::6]), now()],
        "busiest": max(requests for requests, _ in hours),
        "open_conflicts": [one for one in detail.conflicts if not one.resolution],
        "decided_conflicts": [one for one in detail.conflicts if one.resolution],
        "back_to": str(ref),
    }
    return render(request, "govern/connection.html", context)


@needs(RoleName.SECURITY_ADMIN)
@require_GET
def steps(request: HttpRequest, ref: UUID) -> HttpResponse:
    """Show what to do at the provider, and whether it has asked for something yet."""
    line = queries.connection_line(ref)
    context = _shared(line, "steps") | {
        "set_up": set_up_of(line.dialect),
        "base_url": base_url(),
        "is_reachable": is_reachable_from_outside(),
        "contact": queries.first_contact(ref),
        "next_look": 1,
    }
    return render(request, "govern/connection_steps.html", context)


@needs(RoleName.SECURITY_ADMIN)
@require_GET
def first_request(request: HttpRequest, ref: UUID) -> HttpResponse:
    """Say whether the first request has come. The part asks again by itself until it has, or `look` is too high."""
    if not is_htmx(request):
        return redirect("connection_steps", ref)
    look = whole_number(request.GET.get("look"), 1)
    context = {
        "line": queries.connection_line(ref),
        "contact": queries.first_contact(ref),
        "next_look": look + 1 if look < MOST_LOOKS else None,
    }
    return render(request, "govern/parts/connection_first.html", context)


@needs(RoleName.SECURITY_ADMIN)
def settings(request: HttpRequest, ref: UUID) -> HttpResponse:
    """Show and change the terms of a connection; here is also its end."""
    detail = queries.connection_detail(ref)
    form = TermsForm(request.POST if request.method == "POST" else None, initial=TermsForm.initial_of(detail))
    if request.method == "POST" and form.is_valid():
        try:
            actions.change(ref, form.terms(), actor=actor_of(request))
        except Invalid as error:
            add_errors(form, error)
        else:
            messages.success(request, f"The settings of {detail.line.name} are saved.")
            return redirect("connection_settings", ref)
    return _settings(request, detail, form, RevokeForm(name=detail.line.name))


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def revoke(request: HttpRequest, ref: UUID) -> HttpResponse:
    """End a connection with everything that opens it, once its name was typed."""
    detail = queries.connection_detail(ref)
    form = RevokeForm(request.POST, name=detail.line.name)
    if not form.is_valid():
        return _settings(request, detail, TermsForm(initial=TermsForm.initial_of(detail)), form)
    actions.revoke_connection(ref, actor=actor_of(request))
    messages.success(request, f"{detail.line.name} is revoked. Its people and groups are as they were.")
    return redirect("connection", ref)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def hand_over(request: HttpRequest, conflict_id: int) -> HttpResponse:
    """Give what is asked for to the connection that asks."""
    conflict = queries.conflict(conflict_id)
    ownership.hand_over(conflict_id, actor=actor_of(request))
    messages.success(request, f"{conflict.subject_name} belongs to {conflict.connection_name} from now on.")
    return _back(request)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def leave(request: HttpRequest, conflict_id: int) -> HttpResponse:
    """Leave what is asked for with the connection that has it."""
    conflict = queries.conflict(conflict_id)
    ownership.dismiss(conflict_id, actor=actor_of(request))
    messages.success(request, f"{conflict.subject_name} stays with {conflict.holder_name}.")
    return _back(request)


def _settings(
    request: HttpRequest, detail: queries.ConnectionDetail, form: TermsForm, revoke_form: RevokeForm
) -> HttpResponse:
    context = _shared(detail.line, "settings") | {"detail": detail, "form": form, "revoke_form": revoke_form}
    has_errors = form.errors or revoke_form.errors
    return render(request, "govern/connection_settings.html", context, status=422 if has_errors else 200)


def _shared(line: queries.ConnectionLine, tab: str) -> dict[str, Any]:
    return {"page": "connections", "tab": tab, "line": line, "states": states_of(line, now())}


def _back(request: HttpRequest) -> HttpResponse:
    """Return to the page with the conflict: that of a connection when `back` names one, else the list."""
    try:
        return go(request, "connection", UUID(request.POST.get("back", "")))
    except ValueError:
        return go(request, "connections")
