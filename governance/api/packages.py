"""Packages: named bundles of entitlements."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.doorway import DoorView
from governance.api.reading import StrictSerializer
from governance.api.requests import _entitlement, _read
from governance.api.shapes import EntitlementBrief, NothingIn
from governance.catalog.packages import MOST_ROLES, refuse_unless_keeper, retire_package, save_package
from governance.catalog.packages_queries import PackageInForce, package_in_force, packages_in_force
from governance.identity.models import RoleName


class PackageRoleIn(StrictSerializer):
    """A role of an application."""

    application = serializers.SlugField(max_length=80)
    entitlement = serializers.SlugField(max_length=80)


class PackageIn(StrictSerializer):
    """What a package is called and holds."""

    name = serializers.CharField(max_length=120)
    sentence = serializers.CharField(max_length=300)
    roles = PackageRoleIn(many=True, min_length=1, max_length=MOST_ROLES)  # type: ignore[call-arg]


class PackageShape(serializers.Serializer[Any]):
    """A package as it is in force."""

    slug = serializers.SlugField(source="package.slug")
    name = serializers.CharField(source="version.name")
    sentence = serializers.CharField(source="version.sentence")
    version = serializers.IntegerField(source="version.number")
    roles = EntitlementBrief(many=True)
    retired_at = serializers.DateTimeField(source="package.retired_at", allow_null=True)


class Packages(DoorView):
    """Packages."""

    needs = frozenset({RoleName.OWNER.value, RoleName.SECURITY_ADMIN.value})

    @extend_schema(summary="Packages that can be asked for, by name", responses=PackageShape(many=True))
    def get(self, request: Request) -> Response:
        """Return them all; there are few."""
        return Response(PackageShape(packages_in_force(), many=True).data)

    @extend_schema(summary="Make a package", request=PackageIn, responses={201: PackageShape})
    def post(self, request: Request) -> Response:
        """Make a package of these roles; owners of roles in their applications only."""
        return Response(PackageShape(_saved(self, request, "")).data, status=201)


class OnePackage(DoorView):
    """One package."""

    needs = Packages.needs

    @extend_schema(summary="One package", responses=PackageShape)
    def get(self, request: Request, slug: str) -> Response:
        """Return the package."""
        return Response(PackageShape(package_in_force(slug, even_retired=True)).data)

    @extend_schema(summary="Write the next version of a package", request=PackageIn, responses=PackageShape)
    def put(self, request: Request, slug: str) -> Response:
        """Say what it holds from now on."""
        _refuse_others(self, package_in_force(slug).roles)
        return Response(PackageShape(_saved(self, request, slug)).data)


class RetirePackage(DoorView):
    """No longer."""

    needs = Packages.needs

    @extend_schema(summary="Let nobody ask for a package any more", request=NothingIn, responses=PackageShape)
    def post(self, request: Request, slug: str) -> Response:
        """Retire the package; what it gave stays."""
        _read(NothingIn, request)
        _refuse_others(self, package_in_force(slug).roles)
        retire_package(slug, actor=self.actor)
        return Response(PackageShape(package_in_force(slug, even_retired=True)).data)


def _saved(view: DoorView, request: Request, slug: str) -> PackageInForce:
    said = _read(PackageIn, request)
    roles = [_entitlement(dict(role)) for role in said["roles"]]
    _refuse_others(view, roles)
    version = save_package(said["name"], said["sentence"], roles, slug=slug, actor=view.actor)
    return package_in_force(version.package.slug)


def _refuse_others(view: DoorView, roles: Any) -> None:
    refuse_unless_keeper(roles, owned_ids=view.owned, is_security=view.is_security_admin)
