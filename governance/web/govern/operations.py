"""Orders that failed or still wait, by application: cause, next step, and what a person can do."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any

from django.contrib import messages
from django.db.models import Case, IntegerField, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from governance.core.clock import now
from governance.core.errors import NotAllowed, NotFound
from governance.identity.models import RoleName
from governance.provisioning import actions as provisioning
from governance.provisioning.models import Connector, ConnectorKind, Operation, OperationState
from governance.web.actor import actor_of
from governance.web.govern.pages import is_htmx, show, whole_number
from governance.web.govern.reach import reach_of, require_change
from governance.web.govern.reasons import order_words
from governance.web.roles import needs

PAGE = 50
OPEN = (OperationState.FAILED, OperationState.WAITING, OperationState.SENDING, OperationState.DELIVERED)


@needs(RoleName.OWNER, RoleName.SECURITY_ADMIN)
@require_GET
def operations(request: HttpRequest) -> HttpResponse:
    """List orders that are not done: failed ones first, then by application."""
    return show(request, "govern/operations.html", "list", _context(request))


@needs(RoleName.OWNER, RoleName.SECURITY_ADMIN)
@require_POST
def retry(request: HttpRequest, operation_id: int) -> HttpResponse:
    """Send a failed order again."""
    return _act(request, operation_id, provisioning.retry, "{} is tried again.")


@needs(RoleName.OWNER, RoleName.SECURITY_ADMIN)
@require_POST
def confirm(request: HttpRequest, operation_id: int) -> HttpResponse:
    """Tick off an order that somebody carried out by hand."""
    return _act(request, operation_id, provisioning.confirm_by_hand, "{} is ticked off. Thank you.")


def unfinished() -> QuerySet[Operation]:
    """Return the orders that are not done. One that a person ticked off is: nothing will read it back."""
    return Operation.objects.filter(state__in=OPEN, confirmed_by__isnull=True)


def _act(request: HttpRequest, operation_id: int, action: Callable[..., Any], words: str) -> HttpResponse:
    order = Operation.objects.select_related("application", "entitlement", "person").filter(pk=operation_id).first()
    if order is None:
        raise NotFound("There is no such order.")
    if not reach_of(request).sees(order.application_id):
        raise NotAllowed("This is somebody else's application.")
    require_change(request, order.application)
    action(order, actor=actor_of(request))
    said = words.format(f"{order.entitlement.name} for {order.person.display_name} in {order.application.name}")
    if not is_htmx(request):
        messages.success(request, said)
        return redirect("operations")
    return render(request, "govern/operations.html#list", _context(request) | {"said": said})


def _context(request: HttpRequest) -> dict[str, Any]:
    reach = reach_of(request)
    which = request.GET.get("show", "")
    start = max(whole_number(request.GET.get("from"), 0), 0)
    every = reach.within(unfinished())
    numbers = {"failed": every.filter(state=OperationState.FAILED).count(), "all": every.count()}
    chosen = every.filter(state=OperationState.FAILED) if which == "failed" else every
    stopped = Connector.objects.filter(circuit_opened_at__isnull=False)
    found = list(_ordered(chosen)[start : start + PAGE + 1])
    return {
        "page": "operations",
        "show": which,
        "numbers": numbers,
        "groups": _grouped(found[:PAGE]),
        "circuits": list(reach.within(stopped).select_related("application")),
        "start": start,
        "back": start - PAGE if start else None,
        "next": start + PAGE if len(found) > PAGE else None,
        "now": now(),
    }


def _ordered(rows: QuerySet[Operation]) -> QuerySet[Operation]:
    place = Case(When(state=OperationState.FAILED, then=Value(0)), default=Value(1), output_field=IntegerField())
    return rows.select_related("application__connector", "entitlement", "person").order_by(
        place, "application__name", "application_id", "ordered_at", "id"
    )


def _grouped(found: list[Operation]) -> list[tuple[Any, list[Operation]]]:
    for order in found:
        order.words = order_words(order)  # type: ignore[attr-defined]
        order.by_hand = _is_by_hand(order)  # type: ignore[attr-defined]
    groups = groupby(found, key=lambda order: (order.state == OperationState.FAILED, order.application))
    return [(application, list(orders)) for (_, application), orders in groups]


def _is_by_hand(order: Operation) -> bool:
    connector = getattr(order.application, "connector", None)
    return connector is None or connector.kind == ConnectorKind.MANUAL
