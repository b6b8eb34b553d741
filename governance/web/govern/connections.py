"""The list of connections, and a new one: identity providers that push people and groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET

from governance.core.clock import now
from governance.core.errors import Conflict, Invalid
from governance.identity.connections import actions, queries
from governance.identity.connections.dialects import DIALECTS
from governance.identity.models import RoleName
from governance.web import charts, sessions
from governance.web.actor import actor_of
from governance.web.govern.connections_forms import OpenForm
from governance.web.govern.connections_keys import Made, shown_once
from governance.web.govern.connections_words import State, chart_label, has_errors, place_of, states_of
from governance.web.govern.pages import add_errors
from governance.web.roles import needs


@dataclass(frozen=True, slots=True)
class Row:
    """A connection in the list."""

    line: queries.ConnectionLine
    states: list[State]
    has_errors: bool
    chart: SafeString


@needs(RoleName.SECURITY_ADMIN)
@require_GET
def connections(request: HttpRequest) -> HttpResponse:
    """List the connections, those that need somebody first, below the conflicts that nobody decided."""
    at = now()
    lines = sorted(queries.every_connection(), key=lambda line: place_of(line, at))
    context = {
        "page": "connections",
        "rows": [Row(line, states_of(line, at), has_errors(line), _small_chart(line)) for line in lines],
        "conflicts": queries.open_conflicts(),
        "back_to": "",
    }
    return render(request, "govern/connections.html", context)


@needs(RoleName.SECURITY_ADMIN)
def new(request: HttpRequest) -> HttpResponse:
    """Connect a directory: the answer to the form shows the token, once. A fresh sign-in loses nothing typed."""
    form = OpenForm(request.POST if request.method == "POST" else None, initial=_typed(request.GET))
    if request.method == "POST" and not sessions.is_fresh(request, now()):
        come_back = f"{reverse('connection_add')}?{urlencode(_typed(request.POST))}"
        return HttpResponseRedirect(sessions.confirm_address(come_back))
    if request.method == "POST" and form.is_valid() and (made := _open(request, form)):
        return shown_once(request, made)
    sentences = {each.name: each.sentence for each in DIALECTS.values()}
    context = {"page": "connections", "form": form, "sentences": sentences}
    return render(request, "govern/connection_new.html", context, status=422 if form.errors else 200)


def _typed(said: QueryDict) -> dict[str, Any]:
    return {name: value for name, value in said.items() if value and name in OpenForm.base_fields}


def _open(request: HttpRequest, form: OpenForm) -> Made | None:
    said, actor = form.cleaned_data, actor_of(request)
    try:
        with transaction.atomic():
            connection = actions.open_connection(said["name"], actions.Terms(dialect=said["dialect"]), actor=actor)
            token = actions.give_token(connection.ref, days=said["days"], actor=actor)
    except Invalid as error:
        add_errors(form, error)
    except Conflict as conflict:
        form.add_error("name", str(conflict))
    else:
        return Made(connection.ref, "connection", token=token.token, ends_at=token.expires_at)
    return None


def _small_chart(line: queries.ConnectionLine) -> SafeString:
    return charts.requests([(hour.requests, hour.errors) for hour in line.hours], chart_label(line))
