"""Evidence: see what a bundle would hold, have it built, and take it."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.doorway import DoorView
from governance.api.reading import PAGE_WORDS, ListView, page_of
from governance.api.shapes import BundleIn, BundleShape, NothingIn
from governance.core.errors import Invalid
from governance.evidence import actions, looking, narrowing, queries
from governance.evidence.models import EvidenceBundle
from governance.evidence.reports.registry import REPORTS, UNBUILT
from governance.identity.models import RoleName

READERS = frozenset({RoleName.AUDITOR, RoleName.SECURITY_ADMIN})
#: How evidence names what was asked, and how this door does.
_NAMES = {"from": "first_day", "to": "last_day"}


class EvidenceView(DoorView):
    """A view for auditors and security administrators."""

    needs = reads = READERS


class Preview(EvidenceView):
    """What a bundle would hold."""

    filters = frozenset({"framework", "first_day", "last_day", "zone", "definition", "definition_version"})

    @extend_schema(
        summary="What a bundle would hold: rows and exceptions of each report",
        parameters=[
            OpenApiParameter(name, str, required=name != "zone")
            for name in ("framework", "first_day", "last_day", "zone")
        ]
        + [OpenApiParameter("definition", OpenApiTypes.UUID), OpenApiParameter("definition_version", int)],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        """Count, without building anything."""
        words = request.query_params
        said = _said(words) | _defined(words.get("definition"), _number(words, "definition_version", 0))
        try:
            shown = queries.preview_of(queries.question_of(**said))
        except Invalid as error:
            raise renamed(error) from error
        reports = [
            {
                "id": one.report.id,
                "title": one.report.title,
                "rows": one.rows,
                "exceptions": one.exceptions,
                **({"of": one.whole_rows} if one.report.only else {}),
            }
            for one in shown.reports
        ]
        left_out = [report.id for report in shown.left_out]
        told = {"framework": said["framework"], "reports": reports, "left_out": left_out}
        return Response({**told, "note": queries.mapping_note()})


class Reports(EvidenceView):
    """The reports there are."""

    @extend_schema(
        operation_id="evidence_reports",
        summary="Every report with its data dictionary, and what cannot be given",
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        """Return the dictionaries."""
        reports = [{**report.dictionary(), "filters": list(narrowing.filters_of(report))} for report in REPORTS]
        unbuilt = [{"report": one.id, "title": one.title, "why": one.why} for one in UNBUILT]
        return Response({"reports": reports, "not_built": unbuilt})


class OneReport(EvidenceView):
    """The rows of a report as of now: narrowed, paged by their ordinal, or a sample."""

    @extend_schema(
        operation_id="evidence_report",
        summary="The rows of a report over a period as of now; with `seed` and `n` a sample anybody can take again",
        parameters=[
            *(OpenApiParameter(name, str, required=True) for name in ("first_day", "last_day")),
            OpenApiParameter("zone", str),
            OpenApiParameter("seed", str),
            OpenApiParameter("n", int, description="rows of the sample; 25"),
            OpenApiParameter("after", int, description="the ordinal (row_no) to go on behind"),
            OpenApiParameter("exceptions", str, enum=["only"]),
            *(OpenApiParameter(name, str) for name in narrowing.FILTERS),
        ],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request, report_id: str) -> Response:
        """Return up to fifty rows, or the sample."""
        report, said = looking.report_named(report_id.upper()), request.query_params
        try:
            question = queries.question_of(**{**_said(said), "framework": "soc2"})
        except Invalid as error:
            raise renamed(error) from error
        sample = looking.Sample(said["seed"], _number(said, "n", 25)) if said.get("seed") else None
        filters = {name: said[name] for name in said if name not in _WORDS and said[name]}
        by = looking.Narrowed(filters, said.get("exceptions") == "only", sample)
        seen = looking.look(report, question, by, after=_number(said, "after", 0))
        known = {"known_at": question.known_at, "ledger_size": question.ledger_size, "version": report.version}
        counted = {"total": seen.total, "exceptions": seen.exceptions, "rows": list(seen.rows)}
        return Response({"report": report.id, **known, **counted})


#: One shape for both lists of bundles: the schema has each name once.
BUNDLE_PAGE = page_of(BundleShape)


class Bundles(ListView):
    """Bundles."""

    shape = BundleShape
    needs = reads = READERS
    ordering = "-id"

    @extend_schema(
        operation_id="evidence_bundles_list",
        summary="Bundles, the latest first",
        parameters=[*PAGE_WORDS],
        responses=BUNDLE_PAGE,
    )
    def get(self, request: Request) -> Response:
        """Return one page of bundles."""
        return self.page(EvidenceBundle.objects.select_related("definition__definition"))

    @extend_schema(summary="Have a bundle built", request=BundleIn, responses={202: BundleShape})
    def post(self, request: Request) -> Response:
        """Ask for a bundle; it is built soon after."""
        said = BundleIn(data=request.data)
        said.is_valid(raise_exception=True)
        try:
            asked = said.validated_data
            made = actions.request_bundle(
                **_said(asked),
                **_defined(asked.get("definition"), asked.get("definition_version", 0)),
                applications=asked.get("applications", ()),
                actor=self.actor,
            )
        except Invalid as error:
            raise renamed(error) from error
        return Response(BundleShape(made).data, status=202)


class OneBundle(EvidenceView):
    """One bundle."""

    @extend_schema(summary="How far a bundle is", responses=BundleShape)
    def get(self, request: Request, ref: uuid.UUID) -> Response:
        """Return the bundle."""
        return Response(BundleShape(queries.bundle(ref)).data)


class LateFacts(EvidenceView):
    """What became known since a bundle."""

    @extend_schema(
        summary="Have the same bundle built by what is known now, with what became known since",
        request=NothingIn,
        responses={202: BundleShape},
    )
    def post(self, request: Request, ref: uuid.UUID) -> Response:
        """Ask for it; it is built soon after, and its summary has the counts by report as `late_facts`."""
        NothingIn(data=request.data).is_valid(raise_exception=True)
        made = actions.ask_what_came_since(queries.bundle(ref), actor=self.actor)
        return Response(BundleShape(made).data, status=202)


class Download(EvidenceView):
    """The file of a bundle. By POST, because it is recorded that it left the house."""

    @extend_schema(
        summary="Take the file of a bundle",
        request=NothingIn,
        responses={(200, "application/zip"): OpenApiTypes.BINARY},
    )
    def post(self, request: Request, ref: uuid.UUID) -> FileResponse:
        """Hand the file out."""
        NothingIn(data=request.data).is_valid(raise_exception=True)
        made = queries.bundle(ref)
        path = actions.hand_out(made, actor=self.actor)
        return FileResponse(
            path.open("rb"), as_attachment=True, filename=made.suggested_name, content_type="application/zip"
        )


def _said(words: Any) -> dict[str, Any]:
    return {
        "framework": words.get("framework", ""),
        "first": words.get("first_day"),
        "last": words.get("last_day"),
        "zone": words.get("zone", "UTC"),
    }


def _defined(ref: uuid.UUID | str | None, number: int) -> dict[str, Any]:
    """Return the version of a definition that is asked by, the last one for number 0. Raises Invalid."""
    return {"definition": queries.definition_version(ref, number or None)} if ref else {}


def renamed(error: Invalid) -> Invalid:
    """Return the error with the fields named as this door names them."""
    return Invalid({_NAMES.get(name, name): lines for name, lines in error.fields.items()})


#: The words of the address that are no filters of a report.
_WORDS = frozenset({"first_day", "last_day", "zone", "seed", "n", "after", "exceptions"})


def _number(said: Any, name: str, default: int) -> int:
    text = said.get(name, "")
    if text and not (text.isascii() and text.isdigit() and len(text) < 12):
        raise Invalid({name: "Give a whole number."})
    return int(text) if text else default
