"""Exceptions of controls: what has to be looked at today, who answers for it, and the readings that found it."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.doorway import DoorView
from governance.api.reading import PAGE_WORDS, ListView, StrictSerializer, checked, choice, page_of
from governance.api.shapes import NothingIn
from governance.core.clock import now
from governance.core.errors import Invalid, NotFound
from governance.evidence import continuous
from governance.evidence.reports.registry import BY_ID
from governance.exceptions import actions, queries
from governance.exceptions.days import day_of
from governance.exceptions.models import ControlException, Reading, ReportReading
from governance.exceptions.rights import check_may_see, sees_all
from governance.identity.models import Person, RoleName
from governance.identity.queries import person as person_by_ref

_READERS = frozenset({RoleName.SECURITY_ADMIN, RoleName.AUDITOR})
_ADMINS = frozenset({RoleName.SECURITY_ADMIN})


class ExceptionShape(serializers.ModelSerializer[ControlException]):
    """An exception. `gone_at` null: it is still found. `owner_ref` null: the owners of the application answer."""

    state = serializers.SerializerMethodField()
    meanings = serializers.SerializerMethodField()
    application = serializers.SlugRelatedField[Any]("slug", read_only=True)
    person_ref = serializers.SlugRelatedField[Any]("ref", source="person", read_only=True)
    owner_ref = serializers.SlugRelatedField[Any]("ref", source="owner", read_only=True)

    class Meta:
        model = ControlException
        fields = [
            "ref",
            "report",
            "row_id",
            "codes",
            "meanings",
            "state",
            "application",
            "person_ref",
            "first_entry",
            "last_entry",
            "period_first",
            "first_seen_at",
            "open_since",
            "gone_at",
            "owner_ref",
            "explanation",
            "fix_by",
            "accepted_until",
            "statements_made",
        ]

    @extend_schema_field(OpenApiTypes.STR)
    def get_state(self, found: ControlException) -> str:
        """Return how it stands today."""
        return found.state_on(day_of(now())).value

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_meanings(self, found: ControlException) -> list[str]:
        """Return what its codes mean."""
        meanings = dict(BY_ID[found.report].exceptions) if found.report in BY_ID else {}
        return [meanings.get(code, code) for code in found.codes.split()]


class ReportReadingShape(serializers.ModelSerializer[ReportReading]):
    """What a reading found in one report. The numbers are null when it could not be read."""

    class Meta:
        model = ReportReading
        fields = [
            "report", "version", "outcome", "why", "rows", "exceptions", "opened", "reopened", "changed", "gone",
            "unseen", "read_at",
        ]  # fmt: skip


class ReadingShape(serializers.ModelSerializer[Reading]):
    """A reading. It is finished when each of `reports` is among `found`."""

    found = ReportReadingShape(source="report_readings", many=True, read_only=True)

    class Meta:
        model = Reading
        fields = [
            "ref", "first_day", "last_day", "zone", "known_at", "ledger_size", "reports", "unseen", "turn_of",
            "asked_by_ref", "begun_at", "found",
        ]  # fmt: skip


class AnswerIn(StrictSerializer):
    """Who answers for it, why it is there, and until when it is fixed: all three, as they are from now on."""

    owner_ref = serializers.UUIDField(allow_null=True, help_text="Null: the owners of the application, or security")
    explanation = serializers.CharField(allow_blank=True, max_length=actions.LONGEST)
    fix_by = serializers.DateField(allow_null=True)
    after = serializers.IntegerField(
        required=False, help_text="`statements_made` as you saw it: refused when somebody spoke since"
    )


class AcceptIn(StrictSerializer):
    """Until when the risk is carried, and why."""

    until = serializers.DateField()
    why = serializers.CharField(max_length=actions.LONGEST)
    after = serializers.IntegerField(required=False)


class Exceptions(ListView):
    """Exceptions, the newest first: all for auditors and security, for others those they answer for."""

    shape = ExceptionShape
    ordering = "-id"
    filters = frozenset({"state", "report", "application", "owner", "days"})

    @extend_schema(
        operation_id="control_exceptions_list",
        summary="What has to be looked at today, as the last reading found it",
        parameters=[
            OpenApiParameter("state", str, enum=list(queries.STATES), description="Default: found today"),
            OpenApiParameter("report", str),
            OpenApiParameter("application", str),
            OpenApiParameter("owner", str, enum=["me", "nobody"]),
            OpenApiParameter("days", int, description="found for so many days at least"),
            *PAGE_WORDS,
        ],
        responses=page_of(ExceptionShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of exceptions."""
        said = request.query_params
        owner = choice(request, "owner", ["", "me", "nobody"])
        days = said.get("days", "")
        if days and not (days.isascii() and days.isdigit() and len(days) < 5):
            raise Invalid({"days": "Give a whole number of days."})
        found = queries.narrowed(
            reports=[said["report"]] if said.get("report") else None,
            state=said.get("state", ""),
            application=said.get("application", ""),
            owner=self.person if owner == "me" else None,
            unowned=owner == "nobody",
            days=int(days) if days else None,
            seen_by=None if sees_all(self.actor) else self.person.pk,
        )
        return self.page(found)


class OneException(DoorView):
    """One exception."""

    @extend_schema(summary="One exception", responses=ExceptionShape)
    def get(self, request: Request, ref: uuid.UUID) -> Response:
        """Return it."""
        return Response(ExceptionShape(_seen(ref, self)).data)


class AnswerException(DoorView):
    """The answer to an exception."""

    @extend_schema(
        summary="Say who answers for an exception, why it is there, and until when it is fixed",
        request=AnswerIn,
        responses=ExceptionShape,
    )
    def put(self, request: Request, ref: uuid.UUID) -> Response:
        """Keep the answer; what was said before stays in the history."""
        found = _seen(ref, self)
        said = checked(AnswerIn, request)
        owner_ref = said.pop("owner_ref")
        actions.answer(found, owner=_owner(owner_ref) if owner_ref else None, **said, actor=self.actor)
        return Response(ExceptionShape(queries.one(ref)).data)


class AcceptException(DoorView):
    """The risk of an exception."""

    @extend_schema(
        summary="Carry the risk of an exception until a day, included", request=AcceptIn, responses=ExceptionShape
    )
    def post(self, request: Request, ref: uuid.UUID) -> Response:
        """Accept it."""
        found = _seen(ref, self)
        actions.accept_risk(found, **checked(AcceptIn, request), actor=self.actor)
        return Response(ExceptionShape(queries.one(ref)).data)


class Readings(ListView):
    """Readings."""

    reads = _READERS
    needs = _ADMINS
    ordering = "-id"
    shape = ReadingShape

    @extend_schema(
        operation_id="control_readings_list",
        summary="Readings, the newest first, with what each report showed",
        parameters=[*PAGE_WORDS],
        responses=page_of(ReadingShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of readings."""
        return self.page(Reading.objects.prefetch_related("report_readings"))

    @extend_schema(summary="Have everything read again now", request=NothingIn, responses={202: ReadingShape})
    def post(self, request: Request) -> Response:
        """Begin a reading; it is finished soon after."""
        NothingIn(data=request.data).is_valid(raise_exception=True)
        return Response(ReadingShape(continuous.ask_for_reading(actor=self.actor)).data, status=202)


class OneReading(DoorView):
    """One reading."""

    reads = _READERS

    @extend_schema(summary="One reading, report by report", responses=ReadingShape)
    def get(self, request: Request, ref: uuid.UUID) -> Response:
        """Return it."""
        return Response(ReadingShape(queries.reading(ref)).data)


def _seen(ref: uuid.UUID, view: DoorView) -> ControlException:
    found = queries.one(ref)
    check_may_see(found, view.actor)
    return found


def _owner(ref: uuid.UUID) -> Person:
    try:
        return person_by_ref(ref)
    except NotFound as error:
        raise Invalid({"owner_ref": "There is nobody with this reference."}) from error
