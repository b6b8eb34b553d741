"""What was said between a provider and us: the last exchanges of a connection, and one of them in plain words."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from governance.core.clock import now
from governance.identity.connections import queries
from governance.identity.models import RoleName
from governance.web.govern.connections_words import body_text, section_url, states_of
from governance.web.govern.pages import show, whole_number
from governance.web.roles import needs


@needs(RoleName.SECURITY_ADMIN)
@require_GET
def exchanges(request: HttpRequest, ref: UUID) -> HttpResponse:
    """List the last exchanges, the latest first; `?show=rejected` only those that were refused."""
    line = queries.connection_line(ref)
    shows_rejected = request.GET.get("show") == "rejected"
    before = whole_number(request.GET.get("before"), 0) or None
    found = queries.exchanges_of(ref, only_errors=shows_rejected, before=before, limit=queries.PAGE_SIZE + 1)
    shown = found[: queries.PAGE_SIZE]
    context = {
        "page": "connections",
        "tab": "exchanges",
        "line": line,
        "states": states_of(line, now()),
        "exchanges": shown,
        "shows_rejected": shows_rejected,
        "before": before,
        "earlier": shown[-1].id if len(found) > queries.PAGE_SIZE else None,
    }
    return show(request, "govern/connection_exchanges.html", "list", context)


@needs(RoleName.SECURITY_ADMIN)
@require_GET
def exchange(request: HttpRequest, ref: UUID, exchange_id: int) -> HttpResponse:
    """Show one exchange: what we understood, why it was refused if it was, and both bodies, masked."""
    found = queries.exchange(ref, exchange_id)
    context = {
        "page": "connections",
        "exchange": found,
        "changed_something": found.line.status < 400 and found.line.method != "GET",
        "section_url": section_url(found.section),
        "request_text": body_text(found.request_body),
        "response_text": body_text(found.response_body),
    }
    return render(request, "govern/connection_exchange.html", context)
