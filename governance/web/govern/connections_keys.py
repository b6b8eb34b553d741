"""The keys of a connection: tokens and OAuth 2.0 clients. A secret is in one answer to one POST and nowhere else.

It is not in an address, a session, a cookie, a cache or a log. Reloading the answer sends the form again, and the
form names the newest key its reader saw, so the second one is refused instead of making another. Making one asks for
a fresh sign-in, as a powerful approval does: whoever finds a browser open gets nothing that outlives it. Revoking does
not: it takes away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from governance.core.clock import now
from governance.core.errors import Invalid
from governance.identity.connections import actions, queries
from governance.identity.models import RoleName
from governance.web import sessions
from governance.web.actor import actor_of
from governance.web.govern.connections_forms import ClientForm, RotateForm, TokenForm
from governance.web.govern.connections_steps import base_url, is_reachable_from_outside, set_up_of, token_url
from governance.web.govern.connections_words import states_of, still_carried
from governance.web.govern.pages import add_errors, go
from governance.web.roles import needs


@dataclass(frozen=True, slots=True)
class Made:
    """A key that was just made. `why` is what the reader asked for: connection, token, rotation or client."""

    ref: UUID
    why: str
    token: str = ""
    ends_at: datetime | None = None
    client_id: str = ""
    client_secret: str = ""
    overlap_hours: int = 0


def shown_once(request: HttpRequest, made: Made) -> HttpResponse:
    """Return the page with the secret. It is the answer to the POST itself: there is no address to come back to."""
    line = queries.connection_line(made.ref)
    context = {
        "page": "connections",
        "line": line,
        "made": made,
        "set_up": set_up_of(line.dialect),
        "base_url": base_url(),
        "token_url": token_url(),
        "is_reachable": is_reachable_from_outside(),
        "contact": queries.first_contact(made.ref) if made.why == "connection" else None,
        "next_look": 1,
    }
    return render(request, "govern/connection_key.html", context)


@needs(RoleName.SECURITY_ADMIN)
@require_GET
def keys(request: HttpRequest, ref: UUID) -> HttpResponse:
    """Show the tokens and clients of a connection, and the forms for new ones."""
    return _page(request, ref)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def new_token(request: HttpRequest, ref: UUID) -> HttpResponse:
    """Make a token beside the others, and show it once."""

    def make(form: Form) -> Made:
        token = actions.give_token(ref, **form.cleaned_data, actor=actor_of(request))
        return Made(ref, "token", token=token.token, ends_at=token.expires_at)

    return _made(request, ref, "token_form", TokenForm(request.POST), make)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def rotate(request: HttpRequest, ref: UUID) -> HttpResponse:
    """Make a token in place of the others, which end after the overlap, and show it once."""

    def make(form: Form) -> Made:
        token = actions.rotate_tokens(ref, **form.cleaned_data, actor=actor_of(request))
        overlap: int = form.cleaned_data["overlap_hours"]
        return Made(ref, "rotation", token=token.token, ends_at=token.expires_at, overlap_hours=overlap)

    return _made(request, ref, "rotate_form", RotateForm(request.POST, prefix="rotate"), make)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def new_client(request: HttpRequest, ref: UUID) -> HttpResponse:
    """Make client credentials, and show the secret once."""

    def make(form: Form) -> Made:
        client = actions.give_client(ref, **form.cleaned_data, actor=actor_of(request))
        return Made(ref, "client", client_id=client.client_id, client_secret=client.client_secret)

    return _made(request, ref, "client_form", ClientForm(request.POST), make)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def revoke_token(request: HttpRequest, ref: UUID, token_id: int) -> HttpResponse:
    """End one token now."""
    actions.revoke_one_token(ref, token_id, actor=actor_of(request))
    messages.success(request, "The token opens nothing any more.")
    return go(request, "connection_keys", ref)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def revoke_client(request: HttpRequest, ref: UUID, client_pk: int) -> HttpResponse:
    """End client credentials now, with every access token they got."""
    actions.revoke_client(ref, client_pk, actor=actor_of(request))
    messages.success(request, "The client opens nothing any more.")
    return go(request, "connection_keys", ref)


def _made(request: HttpRequest, ref: UUID, name: str, form: Form, make: Callable[[Form], Made]) -> HttpResponse:
    if not sessions.is_fresh(request, now()):
        return HttpResponseRedirect(sessions.confirm_address(reverse("connection_keys", args=[ref])))
    if form.is_valid():
        try:
            return shown_once(request, make(form))
        except Invalid as error:
            add_errors(form, error)
    return _page(request, ref, **{name: form})


def _page(request: HttpRequest, ref: UUID, **forms: Form) -> HttpResponse:
    detail, at = queries.connection_detail(ref), now()
    seen = {"newest": detail.newest_token_id or 0}
    context: dict[str, Any] = {
        "page": "connections",
        "tab": "keys",
        "line": detail.line,
        "states": states_of(detail.line, at),
        "detail": detail,
        "still_carried": still_carried(detail, at),
        "base_url": base_url(),
        "token_url": token_url(),
        "is_fresh": sessions.is_fresh(request, at),
        "confirm_address": sessions.confirm_address(reverse("connection_keys", args=[ref])),
        "token_form": TokenForm(initial=seen),
        "rotate_form": RotateForm(initial=seen, prefix="rotate"),
        "client_form": ClientForm(initial={"newest": detail.newest_client_pk or 0}),
    }
    return render(request, "govern/connection_keys.html", context | forms, status=422 if forms else 200)
