"""People: who they are, and that they left."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.queries import covering
from governance.api.doorway import READ, DoorView
from governance.api.reading import PAGE_WORDS, ListView, choice, page_of
from governance.api.shapes import MeShape, NothingIn, PersonShape
from governance.core.clock import now
from governance.core.errors import Invalid, NotFound
from governance.identity.models import Person, RoleName, Status
from governance.identity.queries import person as person_by_ref
from governance.identity.selection import check_condition, selected
from governance.lifecycle.actions import leave


def visible_people(view: DoorView) -> QuerySet[Person]:
    """Return whom somebody may read about: themselves, their reports, who has access in their applications, or all."""
    people = Person.objects.select_related("manager")
    if view.sees_everything:
        return people
    allowed = Q(pk=view.person.pk) | Q(manager_id=view.person.pk)
    if view.owned:
        holders = Person.objects.filter(grants__in=_grants_now(view.owned)).values("pk")
        allowed |= Q(pk__in=holders)
    return people.filter(allowed)


def _grants_now(application_ids: list[int]) -> QuerySet[Any]:
    field = Person._meta.get_field("grants")
    grants = field.related_model._default_manager  # type: ignore[union-attr]
    return grants.filter(covering(now()), application_id__in=application_ids)


class Me(DoorView):
    """Who came in."""

    guests = READ

    @extend_schema(responses=MeShape, summary="Who I am, with my roles")
    def get(self, request: Request) -> Response:
        """Return the person and their roles."""
        return Response(MeShape(self.person).data)


class People(ListView):
    """People."""

    shape = PersonShape
    filters = frozenset({"filter", "status"})

    @extend_schema(
        operation_id="people_list",
        summary="People",
        parameters=[
            OpenApiParameter("filter", str, description="SCIM filter expression over active people"),
            OpenApiParameter("status", str, enum=Status.values),
            *PAGE_WORDS,
        ],
        responses=page_of(PersonShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of the people who came in may read about."""
        people = visible_people(self)
        condition = request.query_params.get("filter", "")
        check_condition(condition, field="filter")
        if condition:
            people = people.filter(pk__in=selected(condition).values("pk"))
        if status := choice(request, "status", Status.values):
            people = people.filter(status=status)
        return self.page(people)


class OnePerson(DoorView):
    """One person."""

    @extend_schema(summary="One person", responses=PersonShape)
    def get(self, request: Request, ref: uuid.UUID) -> Response:
        """Return the person."""
        return Response(PersonShape(_visible(self, ref)).data)


class Leave(DoorView):
    """Somebody left."""

    needs = frozenset({RoleName.SECURITY_ADMIN})

    @extend_schema(summary="Somebody left: end everything they have", request=NothingIn, responses=PersonShape)
    def post(self, request: Request, ref: uuid.UUID) -> Response:
        """End every session, grant and request of a person and order every removal."""
        NothingIn(data=request.data).is_valid(raise_exception=True)
        person = person_by_ref(ref)
        if person.pk == self.person.pk:
            raise Invalid({"ref": "Somebody else has to say that you left."})
        with transaction.atomic():
            locked = Person.objects.select_for_update(no_key=True).get(pk=person.pk)
            leave(locked, actor=self.actor)
        return Response(PersonShape(person_by_ref(ref)).data)


def _visible(view: DoorView, ref: uuid.UUID) -> Person:
    found = visible_people(view).filter(ref=ref).first()
    if found is None:
        raise NotFound("There is no such person.")
    return found
