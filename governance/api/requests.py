"""Requests: ask, follow, answer, withdraw."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.db.models import Prefetch, Q, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access import deciding, requests
from governance.access.models import AccessRequest, Approval, Grant, RequestState
from governance.access.queries import WITH_GRANT, WITH_REQUEST
from governance.access.waiting_sql import waits_for
from governance.api.doorway import DoorView
from governance.api.reading import PAGE_WORDS, ListView, StrictSerializer, choice, page_of
from governance.api.shapes import AskIn, DecisionIn, NothingIn, OneRequestShape, RefusalIn, RequestShape
from governance.catalog.models import Entitlement
from governance.core.errors import Invalid, NotFound
from governance.identity.models import Person
from governance.policy.facts import Ask

SCOPES = ["mine", "waiting_for_me"]
REQUEST_PAGE = page_of(RequestShape)


def visible_requests(view: DoorView) -> QuerySet[AccessRequest]:
    """Return the requests somebody may read: their own, their reports', their applications', decided ones, or all."""
    rows = AccessRequest.objects.select_related(*WITH_REQUEST).prefetch_related(
        Prefetch("approvals", Approval.objects.select_related("approver", "on_behalf_of").order_by("stage")),
        Prefetch("grants", Grant.objects.select_related(*WITH_GRANT, "entitlement__application").order_by("id")),
    )
    if view.sees_everything:
        return rows
    me = view.person.pk
    decided = Approval.objects.filter(approver_id=me).values("request_id")
    allowed = Q(requester=me) | Q(person=me) | Q(person__manager=me) | Q(pk__in=decided)
    return rows.filter(allowed | Q(entitlement__application_id__in=view.owned))


class Requests(ListView):
    """Requests."""

    shape = RequestShape
    filters = frozenset({"state", "scope"})
    ordering = "-id"

    @extend_schema(
        operation_id="requests_list",
        summary="Requests, the latest first",
        parameters=[
            OpenApiParameter("state", str, enum=RequestState.values),
            OpenApiParameter("scope", str, enum=SCOPES, description="mine, or what waits for my answer"),
            *PAGE_WORDS,
        ],
        responses=REQUEST_PAGE,
    )
    def get(self, request: Request) -> Response:
        """Return one page of the requests who came in may read."""
        rows = visible_requests(self)
        scope = choice(request, "scope", SCOPES)
        if scope == "mine":
            rows = rows.filter(Q(requester=self.person) | Q(person=self.person))
        elif scope == "waiting_for_me":
            rows = rows.filter(waits_for(self.person))
        if state := choice(request, "state", RequestState.values):
            rows = rows.filter(state=state)
        return self.page(rows)

    @extend_schema(summary="Ask for access", request=AskIn, responses={201: RequestShape})
    def post(self, request: Request) -> Response:
        """Ask for a role for a time and a purpose; approved at once when the policy says so."""
        said = _read(AskIn, request)
        made = requests.submit(
            self.person,
            _entitlement(said),
            requests.with_ticket(
                Ask(
                    duration=_span(said.get("duration_seconds")),
                    purpose=said["purpose"],
                    reason=said["reason"],
                    ticket=said["ticket"],
                    starts_at=said.get("starts_at"),
                )
            ),
            person=_beneficiary(said.get("person")),
            extends=_extended(said.get("extends")),
            actor=self.actor,
        )
        return Response(RequestShape(_shown(made.number)).data, status=201)


class OneRequest(DoorView):
    """One request."""

    @extend_schema(summary="One request, with its answers and what came of it", responses=OneRequestShape)
    def get(self, request: Request, number: int) -> Response:
        """Return the request."""
        return Response(OneRequestShape(_readable(self, number)).data)


class Approve(DoorView):
    """Yes."""

    @extend_schema(summary="Say yes at the stage that waits", request=DecisionIn, responses=RequestShape)
    def post(self, request: Request, number: int) -> Response:
        """Say yes, optionally for shorter."""
        said = _read(DecisionIn, request)
        deciding.approve(
            _readable(self, number),
            approver=self.person,
            duration=_span(said.get("duration_seconds")),
            reason=said["reason"],
            actor=self.actor,
            is_fresh=False,  # A token never signs in.
        )
        return Response(RequestShape(_shown(number)).data)


class Deny(DoorView):
    """No."""

    @extend_schema(summary="Say no at the stage that waits", request=RefusalIn, responses=RequestShape)
    def post(self, request: Request, number: int) -> Response:
        """Say no, with a reason that who asked will read."""
        said = _read(RefusalIn, request)
        deciding.deny(_readable(self, number), approver=self.person, reason=said["reason"], actor=self.actor)
        return Response(RequestShape(_shown(number)).data)


class Withdraw(DoorView):
    """Never mind."""

    @extend_schema(summary="Take back one's own request", request=NothingIn, responses=RequestShape)
    def post(self, request: Request, number: int) -> Response:
        """Take the request back while it waits."""
        _read(NothingIn, request)
        requests.withdraw(_readable(self, number), person=self.person, actor=self.actor)
        return Response(RequestShape(_shown(number)).data)


def _readable(view: DoorView, number: int) -> AccessRequest:
    """Return a request who came in may read, or is asked about. Raises NotFound."""
    found = visible_requests(view).filter(number=number).first()
    if found is None:
        asked = AccessRequest.objects.select_related(*WITH_REQUEST).filter(number=number).first()
        found = asked if asked is not None and view.person in deciding.eligible_approvers(asked) else None
    if found is None:
        raise NotFound(f"There is no request R-{number}.")
    return found


def _shown(number: int) -> AccessRequest:
    return AccessRequest.objects.select_related(*WITH_REQUEST).get(number=number)


def _read(shape: type[StrictSerializer], request: Request) -> dict[str, Any]:
    said = shape(data=request.data)
    said.is_valid(raise_exception=True)
    found: dict[str, Any] = said.validated_data
    return found


def _span(seconds: int | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def _entitlement(said: dict[str, Any]) -> Entitlement:
    rows = Entitlement.objects.select_related("application", "policy")
    found = rows.filter(application__slug=said["application"], slug=said["entitlement"]).first()
    if found is None:
        raise Invalid({"entitlement": f"There is no {said['entitlement']} in {said['application']}."})
    return found


def _beneficiary(ref: uuid.UUID | None) -> Person | None:
    if ref is None:
        return None
    found = Person.objects.filter(ref=ref).first()
    if found is None:
        raise Invalid({"person": "There is no such person."})
    return found


def _extended(grant_id: int | None) -> Grant | None:
    if grant_id is None:
        return None
    found = Grant.objects.filter(pk=grant_id).first()
    if found is None:
        raise Invalid({"extends": "There is no such access."})
    return found
