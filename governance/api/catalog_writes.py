"""Changing applications, who answers for them, and their roles. The actions are those of the pages."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access import catalog_changes, retiring
from governance.api.catalog import Entitlements, OneApplication, OneEntitlement, own_application, own_role
from governance.api.catalog import visible_applications as visible
from governance.api.doorway import DoorView
from governance.api.reading import StrictSerializer
from governance.api.shapes import ApplicationShape, EntitlementShape
from governance.catalog import actions as catalog
from governance.catalog.models import AccessPolicy, Application, DataClass, Entitlement, EntitlementKind, Risk
from governance.core.errors import Conflict, Invalid
from governance.identity.models import Person, RoleName


class ApplicationChangeIn(StrictSerializer):
    """What changes of an application."""

    name = serializers.CharField(max_length=120, required=False)
    description = serializers.CharField(max_length=300, required=False, allow_blank=True)
    risk = serializers.ChoiceField(Risk.choices, required=False)
    data_classes = serializers.ListField(child=serializers.ChoiceField(DataClass.choices), required=False)
    session_hours = serializers.IntegerField(
        required=False, allow_null=True, help_text="How long at most an open session outlives its access; null: unknown"
    )


class OwnersIn(StrictSerializer):
    """Everybody who answers for an application from now on."""

    owners = serializers.ListField(child=serializers.UUIDField(), max_length=50)


class RoleWords(StrictSerializer):
    """What can be said and changed of a role. `policy` null or left out when it is made: the standard one."""

    name = serializers.CharField(max_length=120)
    sentence = serializers.CharField(max_length=300)
    risk = serializers.ChoiceField(Risk.choices)
    data_classes = serializers.ListField(child=serializers.ChoiceField(DataClass.choices))
    is_privileged = serializers.BooleanField()
    is_requestable = serializers.BooleanField()
    policy = serializers.SlugField(allow_null=True)


class EntitlementIn(RoleWords):
    """A new role."""

    application = serializers.SlugField()
    kind = serializers.ChoiceField(EntitlementKind.choices, default=EntitlementKind.GROUP)
    target_ref = serializers.CharField(max_length=320)
    data_classes = serializers.ListField(child=serializers.ChoiceField(DataClass.choices), default=list)
    is_privileged = serializers.BooleanField(default=False)
    is_requestable = serializers.BooleanField(default=True)
    policy = serializers.SlugField(allow_null=True, default=None)


class ChangeableApplication(OneApplication):
    """One application, for its owners and security administrators to change."""

    @extend_schema(summary="Change an application", request=ApplicationChangeIn, responses=ApplicationShape)
    def patch(self, request: Request, slug: str) -> Response:
        """Keep what changes."""
        found = own_application(self, slug)
        said = ApplicationChangeIn(data=request.data)
        said.is_valid(raise_exception=True)
        fields = ("name", "description", "risk", "data_classes", "session_hours")
        wanted: dict[str, Any] = {**{name: getattr(found, name) for name in fields}, **said.validated_data}
        catalog.change_application(found, **wanted, actor=self.actor)
        return Response(ApplicationShape(visible(self).get(pk=found.pk)).data)


class Owners(DoorView):
    """Who answers for an application."""

    needs = frozenset({RoleName.SECURITY_ADMIN.value})

    @extend_schema(summary="Say who answers for an application", request=OwnersIn, responses=ApplicationShape)
    def put(self, request: Request, slug: str) -> Response:
        """Make exactly these people its owners."""
        found = own_application(self, slug)
        said = OwnersIn(data=request.data)
        said.is_valid(raise_exception=True)
        refs = said.validated_data["owners"]
        people = list(Person.objects.filter(ref__in=refs))
        if len(people) != len(set(refs)):
            raise Invalid({"owners": "One of these people does not exist."})
        catalog_changes.set_owners(found, people, actor=self.actor)
        return Response(ApplicationShape(visible(self).get(pk=found.pk)).data)


class WritableEntitlements(Entitlements):
    """Roles, with a way to add one."""

    @extend_schema(summary="Add a role", request=EntitlementIn, responses={201: EntitlementShape})
    def post(self, request: Request) -> Response:
        """Add a role that people can have in an application."""
        said = EntitlementIn(data=request.data)
        said.is_valid(raise_exception=True)
        wanted = dict(said.validated_data)
        found = _in_use(own_application(self, wanted.pop("application")))
        wanted["policy"] = _policy(wanted["policy"])
        made = retiring.add_role(found, **wanted, actor=self.actor)
        return Response(EntitlementShape(_whole(made)).data, status=201)


class ChangeableEntitlement(OneEntitlement):
    """One role, for the owners of its application and security administrators to change."""

    @extend_schema(summary="Change a role", request=RoleWords(partial=True), responses=EntitlementShape)
    def patch(self, request: Request, application: str, slug: str) -> Response:
        """Keep what changes; what it is in the application stays."""
        found = own_role(self, application, slug)
        _in_use(found.application)
        if found.retired_at is not None:
            raise Conflict(f"{found.name} is retired; it stays as it was.")
        said = RoleWords(data=request.data, partial=True)
        said.is_valid(raise_exception=True)
        wanted: dict[str, Any] = {name: getattr(found, name) for name in map(str, RoleWords().fields)}
        wanted |= said.validated_data
        if "policy" in said.validated_data:
            wanted["policy"] = _policy(said.validated_data["policy"])
        catalog_changes.change_role(found, **wanted, actor=self.actor)
        return Response(EntitlementShape(_whole(found)).data)


def _in_use(application: Application) -> Application:
    if application.retired_at is not None:
        raise Conflict(f"{application.name} is retired; its roles stay as they were.")
    return application


def _policy(slug: str | None) -> AccessPolicy | None:
    if slug is None:
        return None
    found = AccessPolicy.objects.filter(slug=slug).first()
    if found is None:
        raise Invalid({"policy": f"There is no policy called {slug}."})
    return found


def _whole(role: Entitlement) -> Entitlement:
    return Entitlement.objects.select_related("application", "policy").get(pk=role.pk)
