"""Findings: what the database shows and no action explains."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.doorway import DoorView
from governance.api.reading import PAGE_WORDS, ListView, StrictSerializer, choice, page_of
from governance.api.shapes import NothingIn
from governance.identity.models import RoleName
from governance.ledger import findings
from governance.ledger.models import Finding

_READERS = frozenset({RoleName.SECURITY_ADMIN, RoleName.AUDITOR})
_WRITERS = frozenset({RoleName.SECURITY_ADMIN})


class FindingShape(serializers.ModelSerializer[Finding]):
    """Something that no action explains. `closed_at` null: it is open."""

    class Meta:
        model = Finding
        fields = [
            "id",
            "kind",
            "table",
            "row",
            "rows",
            "columns",
            "operation",
            "database_role",
            "application",
            "entry_index",
            "first_seen_at",
            "last_seen_at",
            "owner_ref",
            "explanation",
            "fixed_by",
            "closed_at",
            "closed_by_ref",
        ]


class ExplanationIn(StrictSerializer):
    """What it was."""

    explanation = serializers.CharField(max_length=findings.MAX_EXPLANATION)
    fixed_by = serializers.CharField(max_length=findings.MAX_FIX, required=False, help_text="For instance a ticket")


class Findings(ListView):
    """Findings, newest first."""

    reads = _READERS
    filters = frozenset({"state"})
    ordering = "-id"
    shape = FindingShape

    @extend_schema(
        operation_id="findings_list",
        summary="What the database shows and no action explains",
        parameters=[OpenApiParameter("state", str, enum=["open", "closed"], description="Default: open"), *PAGE_WORDS],
        responses=page_of(FindingShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of findings."""
        is_closed = choice(request, "state", ["open", "closed"]) == "closed"
        return self.page(findings.closed_findings() if is_closed else findings.open_findings())


class OneFinding(DoorView):
    """One finding."""

    reads = _READERS

    @extend_schema(summary="One finding", responses=FindingShape)
    def get(self, request: Request, finding_id: int) -> Response:
        """Return it."""
        return Response(FindingShape(findings.finding(finding_id)).data)


class TakeFinding(DoorView):
    """Look into a finding."""

    needs = _WRITERS

    @extend_schema(summary="Look into a finding", request=NothingIn, responses=FindingShape)
    def post(self, request: Request, finding_id: int) -> Response:
        """Own it from now on."""
        NothingIn(data=request.data).is_valid(raise_exception=True)
        return Response(FindingShape(findings.take(finding_id, actor=self.actor)).data)


class ExplainFinding(DoorView):
    """Explain a finding."""

    needs = _WRITERS

    @extend_schema(summary="Say what a finding was", request=ExplanationIn, responses=FindingShape)
    def post(self, request: Request, finding_id: int) -> Response:
        """Write the explanation; who writes it owns the finding."""
        return Response(FindingShape(findings.explain(finding_id, **_said(request), actor=self.actor)).data)


class CloseFinding(DoorView):
    """Close a finding."""

    needs = _WRITERS

    @extend_schema(summary="Say what a finding was, and close it", request=ExplanationIn, responses=FindingShape)
    def post(self, request: Request, finding_id: int) -> Response:
        """Write the explanation and look no further."""
        return Response(FindingShape(findings.close(finding_id, **_said(request), actor=self.actor)).data)


def _said(request: Request) -> dict[str, Any]:
    said = ExplanationIn(data=request.data)
    said.is_valid(raise_exception=True)
    return dict(said.validated_data)
