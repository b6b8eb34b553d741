"""Definitions: what bundles hold, made and changed version by version."""

from __future__ import annotations

import uuid

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.evidence import EvidenceView
from governance.api.reading import StrictSerializer, checked
from governance.api.shapes import NothingIn
from governance.evidence import definitions, queries
from governance.evidence.models import DefinitionVersion
from governance.evidence.reports.registry import REPORTS


class DefinitionIn(StrictSerializer):
    """What a definition is called and chooses. Each report: `report`, and as wanted `columns` (null: all),
    `filters` (column to values), `exceptions_only`."""

    name = serializers.CharField(max_length=200)
    framework = serializers.CharField(max_length=20)
    reports = serializers.ListField(child=serializers.DictField(child=serializers.JSONField()), max_length=len(REPORTS))
    applications = serializers.ListField(child=serializers.CharField(max_length=120), required=False, max_length=1000)
    reason = serializers.CharField(max_length=2000, required=False, allow_blank=True)


class VersionIn(StrictSerializer):
    """The next version of a definition, and the one it was made from."""

    after = serializers.IntegerField(min_value=1, help_text="The number of the version it was made from")
    name = serializers.CharField(max_length=200)
    reports = DefinitionIn().fields["reports"]
    applications = DefinitionIn().fields["applications"]
    reason = DefinitionIn().fields["reason"]


class DefinitionShape(serializers.ModelSerializer[DefinitionVersion]):
    """A definition as one of its versions has it."""

    ref = serializers.UUIDField(source="definition.ref")
    framework = serializers.CharField(source="definition.framework")
    version = serializers.IntegerField(source="number")
    retired_at = serializers.DateTimeField(source="definition.retired_at", allow_null=True)

    class Meta:
        model = DefinitionVersion
        fields = [
            "ref",
            "name",
            "framework",
            "version",
            "applications",
            "reports",
            "reason",
            "sha256",
            "made_at",
            "retired_at",
        ]


class Definitions(EvidenceView):
    """Definitions."""

    filters = frozenset({"framework"})

    @extend_schema(
        operation_id="definitions_list",
        summary="Definitions in use, each by its last version",
        parameters=[OpenApiParameter("framework", str)],
        responses=DefinitionShape(many=True),
    )
    def get(self, request: Request) -> Response:
        """Return them all; there are few."""
        found = queries.definitions(framework=request.query_params.get("framework", ""))
        return Response(DefinitionShape(found, many=True).data)

    @extend_schema(summary="Make a definition", request=DefinitionIn, responses={201: DefinitionShape})
    def post(self, request: Request) -> Response:
        """Make its first version."""
        made = definitions.make(**checked(DefinitionIn, request), actor=self.actor)
        return Response(DefinitionShape(made).data, status=201)


class OneDefinition(EvidenceView):
    """One definition."""

    @extend_schema(summary="All versions of a definition, the last first", responses=DefinitionShape(many=True))
    def get(self, request: Request, ref: uuid.UUID) -> Response:
        """Return the versions."""
        return Response(DefinitionShape(queries.versions_of(queries.definition(ref)), many=True).data)

    @extend_schema(summary="Write the next version of a definition", request=VersionIn, responses=DefinitionShape)
    def put(self, request: Request, ref: uuid.UUID) -> Response:
        """Say what it chooses from now on. 409 when another version was made meanwhile."""
        made = definitions.change(queries.definition(ref), **checked(VersionIn, request), actor=self.actor)
        return Response(DefinitionShape(made).data)


class RetireDefinition(EvidenceView):
    """No longer."""

    @extend_schema(
        summary="Ask nothing new by a definition",
        request=NothingIn,
        responses={204: None},
    )
    def post(self, request: Request, ref: uuid.UUID) -> Response:
        """Retire it; what was built by it can be built again."""
        checked(NothingIn, request)
        definitions.retire(queries.definition(ref), actor=self.actor)
        return Response(status=204)
