"""Grants: who has what, at any instant, as known at any instant; and how one ends early."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db.models import OuterRef, Q, QuerySet, Subquery
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access import grants
from governance.access.models import Grant, GrantRevision
from governance.access.queries import WITH_GRANT, covering
from governance.api.doorway import DoorView
from governance.api.reading import PAGE_WORDS, ListView, instant, page_of
from governance.api.shapes import GrantShape, NothingIn
from governance.core.clock import now
from governance.core.errors import Invalid, NotAllowed, NotFound


def visible_grants(view: DoorView) -> QuerySet[Grant]:
    """Return the grants somebody may read: their own, their reports', those in their applications, or all."""
    rows = Grant.objects.select_related(*WITH_GRANT, "entitlement__application")
    if view.sees_everything:
        return rows
    me = view.person.pk
    return rows.filter(Q(person=me) | Q(person__manager=me) | Q(application_id__in=view.owned))


class Grants(ListView):
    """Grants."""

    shape = GrantShape
    filters = frozenset({"person", "application", "entitlement", "as_of", "known_on", "zone"})

    @extend_schema(
        operation_id="grants_list",
        summary="Who has what: now, or at an instant, as known at an instant",
        parameters=[
            OpenApiParameter("person", str, description="Reference of a person"),
            OpenApiParameter("application", str, description="Slug of an application"),
            OpenApiParameter("entitlement", str, description="Slug of an entitlement; needs application"),
            OpenApiParameter("as_of", str, description="RFC 3339 instant, or a day, which means its end; default: now"),
            OpenApiParameter("known_on", str, description="As it was known at this instant; default: as known now"),
            OpenApiParameter("zone", str, description="Time zone of days; default: UTC"),
            *PAGE_WORDS,
        ],
        responses=page_of(GrantShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of the grants that cover an instant."""
        at = now()
        as_of = instant(request, "as_of", at) or at
        known_on = instant(request, "known_on", at)
        rows = _narrowed(visible_grants(self), request)
        return self.page(_as_known(rows, as_of, known_on) if known_on else rows.filter(covering(as_of)))


class OneGrant(DoorView):
    """One grant."""

    @extend_schema(summary="One grant, with how its start and end went", responses=GrantShape)
    def get(self, request: Request, grant_id: int) -> Response:
        """Return the grant."""
        return Response(GrantShape(_visible(self, grant_id)).data)


class Revoke(DoorView):
    """Take a grant away."""

    @extend_schema(summary="Take access away now", request=NothingIn, responses=GrantShape)
    def post(self, request: Request, grant_id: int) -> Response:
        """End the grant and order the removal; for owners of the application and security administrators."""
        NothingIn(data=request.data).is_valid(raise_exception=True)
        grant = _visible(self, grant_id)
        if not (self.is_security_admin or grant.application_id in self.owned):
            raise NotAllowed("Only the owner of the application or a security administrator takes access away.")
        grants.revoke(grant, actor=self.actor)
        return Response(GrantShape(_visible(self, grant_id)).data)


class GiveBack(DoorView):
    """Give a grant back."""

    @extend_schema(summary="Give one's own access back", request=NothingIn, responses=GrantShape)
    def post(self, request: Request, grant_id: int) -> Response:
        """End one's own grant and order the removal."""
        NothingIn(data=request.data).is_valid(raise_exception=True)
        grants.give_back(_visible(self, grant_id), person=self.person, actor=self.actor)
        return Response(GrantShape(_visible(self, grant_id)).data)


def _visible(view: DoorView, grant_id: int) -> Grant:
    found = visible_grants(view).filter(pk=grant_id).first()
    if found is None:
        raise NotFound("There is no such access.")
    return found


def _narrowed(rows: QuerySet[Grant], request: Request) -> QuerySet[Grant]:
    said = request.query_params
    if "person" in said:
        try:
            rows = rows.filter(person__ref=uuid.UUID(said["person"]))
        except ValueError as error:
            raise Invalid({"person": "Write the reference of a person."}) from error
    if "entitlement" in said and "application" not in said:
        raise Invalid({"entitlement": "Name its application too."})
    if "application" in said:
        rows = rows.filter(application__slug=said["application"])
    return rows.filter(entitlement__slug=said["entitlement"]) if "entitlement" in said else rows


def _as_known(rows: QuerySet[Grant], as_of: datetime, known_on: datetime) -> QuerySet[Grant]:
    """Return the grants that covered an instant as far as was known at another: by their revisions then."""
    then = GrantRevision.objects.filter(grant=OuterRef("pk"), recorded_at__lte=known_on).order_by("-number")
    return rows.annotate(
        known_starts_at=Subquery(then.values("starts_at")[:1]), known_ends_at=Subquery(then.values("ends_at")[:1])
    ).filter(known_starts_at__lte=as_of, known_ends_at__gt=as_of)
