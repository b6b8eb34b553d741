"""Who could reach what: as of an instant, as known at another."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access import asof
from governance.access.asof import Asked, Page, Totals
from governance.api.doorway import DoorView
from governance.api.reading import PAGE_WORDS, choice, instant
from governance.catalog.models import Application, DataClass, Entitlement
from governance.core.clock import now
from governance.core.errors import Invalid, NotAllowed
from governance.identity.models import Person


class ReachedRole(serializers.Serializer[Any]):
    """A role as it spoke of itself then."""

    application = serializers.CharField(source="application_slug")
    entitlement = serializers.CharField(source="slug")
    name = serializers.CharField()
    sentence = serializers.CharField()
    risk = serializers.IntegerField()
    data_classes = serializers.ListField(child=serializers.CharField())


class RoleTotalShape(serializers.Serializer[Any]):
    """How many reasons and people reach a role."""

    role = ReachedRole()
    reasons = serializers.IntegerField()
    people = serializers.IntegerField()


class ReasonShape(serializers.Serializer[Any]):
    """One reason; names are those of that time. `ends_at` null: no end was known."""

    grant = serializers.IntegerField(source="grant_id")
    person_ref = serializers.UUIDField()
    person = serializers.CharField()
    department = serializers.CharField()
    role = ReachedRole()
    kind = serializers.CharField()
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField(allow_null=True)
    request = serializers.IntegerField(allow_null=True)
    rule = serializers.CharField()
    rule_version = serializers.IntegerField(allow_null=True)
    revision = serializers.IntegerField()
    known_since = serializers.DateTimeField()


class ReachShape(serializers.Serializer[Any]):
    """An answer: what was asked, how many, and one page of reasons by name of the person."""

    as_of = serializers.DateTimeField()
    known_on = serializers.DateTimeField()
    reasons = serializers.IntegerField()
    people = serializers.IntegerField()
    by_role = RoleTotalShape(many=True)
    results = ReasonShape(many=True)
    next = serializers.URLField(allow_null=True, help_text="Null: there is none")
    previous = serializers.URLField(allow_null=True, help_text="Null: there is none")


class Reach(DoorView):
    """Who could reach what."""

    filters = frozenset({"data_class", "application", "entitlement", "person", "as_of", "known_on", "zone"})

    @extend_schema(
        operation_id="reach",
        summary="Who could reach a class of data, an application, a role: as of an instant, as known at another",
        parameters=[
            OpenApiParameter("data_class", str, enum=DataClass.values),
            OpenApiParameter("application", str, description="Slug of an application"),
            OpenApiParameter("entitlement", str, description="Slug of an entitlement; needs application"),
            OpenApiParameter("person", str, description="Reference of a person"),
            OpenApiParameter("as_of", str, description="RFC 3339 instant, or a day, which means its end; default: now"),
            OpenApiParameter("known_on", str, description="As it was known at this instant; default: as known now"),
            OpenApiParameter("zone", str, description="Time zone of days; default: UTC"),
            *PAGE_WORDS,
        ],
        responses=ReachShape,
    )
    def get(self, request: Request) -> Response:
        """Return how many there are and one page of reasons; for owners, security administrators and auditors."""
        if not (self.sees_everything or self.owned):
            raise NotAllowed("This is for owners of applications, security administrators and auditors.")
        asked, limit = self._asked(request), int(request.query_params.get("limit", asof.PAGE_SIZE))
        roles = asof.roles_then(asked)
        totals = asof.totals(asked, roles) if asked.person_id is None else Totals(0, 0, ())
        after, before = _edges(request)
        if asked.person_id is None:
            page = asof.page(asked, roles, people=totals.people, after=after, before=before, limit=limit)
        else:
            page = Page(tuple(asof.of_person(asked, roles)), None, None)
            totals = Totals(len(page.rows), min(1, len(page.rows)), ())
        answer = {
            "as_of": asked.at,
            "known_on": asked.known_at,
            "reasons": totals.reasons,
            "people": totals.people,
            "by_role": totals.by_role,
            "results": page.rows,
            "next": _link(request, "after", page.next),
            "previous": _link(request, "before", page.back),
        }
        return Response(ReachShape(answer).data)

    def _asked(self, request: Request) -> Asked:
        at = now()
        known_at = instant(request, "known_on", at)
        application, entitlement = self._role(request)
        asked = Asked(
            at=instant(request, "as_of", at) or at,
            known_at=known_at or at,
            is_known_now=known_at is None,
            applications=None if self.sees_everything else self.owned,
            data_class=choice(request, "data_class", DataClass.values) or "",
            application_id=application,
            entitlement_id=entitlement,
            person_id=_person(request),
        )
        if not (asked.data_class or asked.application_id or asked.person_id):
            raise Invalid({"data_class": "Name a class of data, an application or a person."})
        return asked

    def _role(self, request: Request) -> tuple[int | None, int | None]:
        said = request.query_params
        if "application" not in said:
            if "entitlement" in said:
                raise Invalid({"entitlement": "Name its application too."})
            return None, None
        known: QuerySet[Application] = Application.objects.all()
        known = known if self.sees_everything else known.filter(pk__in=self.owned)
        application = known.filter(slug=said["application"]).first()
        if application is None:
            raise Invalid({"application": "There is no such application, or it is not yours."})
        if "entitlement" not in said:
            return application.pk, None
        entitlement = Entitlement.objects.filter(application=application, slug=said["entitlement"]).first()
        if entitlement is None:
            raise Invalid({"entitlement": "This application has no such entitlement."})
        return application.pk, entitlement.pk


def _person(request: Request) -> int | None:
    if "person" not in request.query_params:
        return None
    try:
        found = Person.objects.filter(ref=uuid.UUID(request.query_params["person"])).first()
    except ValueError:
        found = None
    if found is None:
        raise Invalid({"person": "Write the reference of a person."})
    return found.pk


def _edges(request: Request) -> tuple[int | None, int | None]:
    """Return the grants that the page begins after, or ends before, as the links say."""
    side, _, key = request.query_params.get("cursor", "").partition(".")
    if not side:
        return None, None
    if side not in ("after", "before") or not (key.isascii() and key.isdigit() and len(key) < 19):
        raise Invalid({"cursor": "This cursor leads nowhere. Start again without one."})
    return (int(key), None) if side == "after" else (None, int(key))


def _link(request: Request, side: str, key: int | None) -> str | None:
    if key is None:
        return None
    said = {**request.query_params.dict(), "cursor": f"{side}.{key}"}
    return f"{request.build_absolute_uri(request.path)}?{urlencode(said)}"
