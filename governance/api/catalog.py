"""Applications and what can be had in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access import retiring
from governance.access.retiring import Look
from governance.api.doorway import DoorView
from governance.api.reading import PAGE_WORDS, ListView, StrictSerializer, page_of
from governance.api.shapes import ApplicationIn, ApplicationShape, EntitlementShape
from governance.catalog.actions import add_from_catalogue
from governance.catalog.models import Application, Entitlement
from governance.core.errors import Invalid, NotAllowed, NotFound
from governance.identity.models import Person, RoleName


class HolderShape(serializers.Serializer[Any]):
    """Somebody who loses access, and by which roles."""

    ref = serializers.UUIDField()
    display_name = serializers.CharField(source="name")
    department = serializers.CharField()
    roles = serializers.ListField(child=serializers.CharField())


class MentionShape(serializers.Serializer[Any]):
    """Something that names what is retired, and how many other roles in use it names."""

    kind = serializers.ChoiceField(choices=["rule", "package", "duty", "policy"])
    slug = serializers.CharField()
    name = serializers.CharField()
    others = serializers.IntegerField()


class RetiringShape(serializers.Serializer[Any]):
    """What retiring would do now. `digest` stays the same while it would do the same to the same people."""

    people = serializers.IntegerField()
    running = serializers.IntegerField(help_text="Grants that end")
    booked = serializers.IntegerField(help_text="Grants that do not begin")
    removals = serializers.IntegerField(help_text="Orders to take a role from a person")
    accounts = serializers.IntegerField(help_text="People who have nothing else in the application")
    named = HolderShape(many=True, help_text="The first twenty by name")
    requests = serializers.ListField(child=serializers.IntegerField(), help_text="Requests that are closed")
    mentions = MentionShape(many=True)
    digest = serializers.CharField()


class RetireIn(StrictSerializer):
    """To retire for good. With the `digest` of a look it is refused when it would do something else by now."""

    digest = serializers.CharField(max_length=120, required=False, allow_null=True, default=None)


def visible_applications(view: DoorView) -> QuerySet[Application]:
    """Return the applications somebody may read about: those in use, and their own or all of the retired ones."""
    applications = Application.objects.prefetch_related("ownerships__person")
    if view.sees_everything:
        return applications
    return applications.filter(Q(retired_at__isnull=True) | Q(pk__in=view.owned))


class Applications(ListView):
    """Applications."""

    shape = ApplicationShape
    needs = frozenset({RoleName.SECURITY_ADMIN})

    @extend_schema(
        operation_id="applications_list",
        summary="Applications",
        parameters=[*PAGE_WORDS],
        responses=page_of(ApplicationShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of applications."""
        return self.page(visible_applications(self))

    @extend_schema(
        summary="Add an application of the shipped catalogue", request=ApplicationIn, responses={201: ApplicationShape}
    )
    def post(self, request: Request) -> Response:
        """Add the application, with a first role to ask for."""
        said = ApplicationIn(data=request.data)
        said.is_valid(raise_exception=True)
        refs = said.validated_data["owners"]
        owners = list(Person.objects.filter(ref__in=refs))
        if len(owners) != len(set(refs)):
            raise Invalid({"owners": "One of these people does not exist."})
        try:
            added = add_from_catalogue(said.validated_data["catalogue_id"], owners=owners, actor=self.actor)
        except NotFound as error:
            raise Invalid({"catalogue_id": str(error)}) from error
        return Response(ApplicationShape(added).data, status=201)


class OneApplication(DoorView):
    """One application."""

    @extend_schema(summary="One application", responses=ApplicationShape)
    def get(self, request: Request, slug: str) -> Response:
        """Return the application."""
        found = visible_applications(self).filter(slug=slug).first()
        if found is None:
            raise NotFound(f"There is no application called {slug}.")
        return Response(ApplicationShape(found).data)


class RetireApplication(DoorView):
    """Take an application out of use."""

    @extend_schema(summary="What retiring an application would do now", responses=RetiringShape)
    def get(self, request: Request, slug: str) -> Response:
        """Return the look; nothing is changed."""
        return Response(_look_document(retiring.look_at_application(own_application(self, slug))))

    @extend_schema(summary="Retire an application with its roles", request=RetireIn, responses=ApplicationShape)
    def post(self, request: Request, slug: str) -> Response:
        """Retire it for good; every access there is ended by the workers."""
        found = own_application(self, slug)
        retiring.retire_application(found, seen=_seen(request), actor=self.actor)
        return Response(ApplicationShape(visible_applications(self).get(pk=found.pk)).data)


class Entitlements(ListView):
    """Entitlements."""

    shape = EntitlementShape
    filters = frozenset({"application"})

    @extend_schema(
        operation_id="entitlements_list",
        summary="Roles, groups, licences and permissions",
        parameters=[OpenApiParameter("application", str, description="Slug of an application"), *PAGE_WORDS],
        responses=page_of(EntitlementShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of entitlements."""
        return self.page(_narrowed(_visible(self), request))


class OneEntitlement(DoorView):
    """One entitlement."""

    @extend_schema(summary="One role, group, licence or permission", responses=EntitlementShape)
    def get(self, request: Request, application: str, slug: str) -> Response:
        """Return the entitlement."""
        found = _visible(self).filter(application__slug=application, slug=slug).first()
        if found is None:
            raise NotFound(f"There is no {slug} in {application}.")
        return Response(EntitlementShape(found).data)


class RetireEntitlement(DoorView):
    """Take an entitlement out of use."""

    @extend_schema(summary="What retiring a role would do now", responses=RetiringShape)
    def get(self, request: Request, application: str, slug: str) -> Response:
        """Return the look; nothing is changed."""
        return Response(_look_document(retiring.look_at_role(own_role(self, application, slug))))

    @extend_schema(summary="Retire a role", request=RetireIn, responses=EntitlementShape)
    def post(self, request: Request, application: str, slug: str) -> Response:
        """Retire it for good; every access by it is ended by the workers."""
        found = own_role(self, application, slug)
        retiring.retire_role(found, seen=_seen(request), actor=self.actor)
        return Response(EntitlementShape(_visible(self).get(pk=found.pk)).data)


def own_application(view: DoorView, slug: str) -> Application:
    """Return an application that whoever came in may change. Raises NotFound and NotAllowed."""
    found = visible_applications(view).filter(slug=slug).first()
    if found is None:
        raise NotFound(f"There is no application called {slug}.")
    if not view.is_security_admin and found.pk not in view.owned:
        raise NotAllowed(f"Only the owners of {found.name} and security administrators can do this.")
    return found


def own_role(view: DoorView, application: str, slug: str) -> Entitlement:
    """Return a role that whoever came in may change. Raises NotFound and NotAllowed."""
    owner_of = own_application(view, application)
    found = owner_of.entitlements.select_related("application", "policy").filter(slug=slug).first()
    if found is None:
        raise NotFound(f"There is no {slug} in {application}.")
    return found


def _seen(request: Request) -> str | None:
    said = RetireIn(data=request.data)
    said.is_valid(raise_exception=True)
    seen: str | None = said.validated_data["digest"]
    return seen


def _look_document(look: Look) -> Mapping[str, Any]:
    return RetiringShape(look).data


def _visible(view: DoorView) -> QuerySet[Entitlement]:
    applications = visible_applications(view).prefetch_related(None).values("pk")
    return Entitlement.objects.filter(application__in=applications).select_related("application", "policy")


def _narrowed(rows: QuerySet[Entitlement], request: Request) -> QuerySet[Entitlement]:
    slug = request.query_params.get("application")
    return rows.filter(application__slug=slug) if slug is not None else rows
