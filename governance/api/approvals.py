"""Deciding, beside yes and no: what waits, questions back, hand-overs, smaller roles, and being away."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access import absences, smaller, turns
from governance.access.models import Absence, Approval, Turn
from governance.access.narrowing import WHOSE, Narrowing, narrowed
from governance.access.queries import waiting_for
from governance.api.doorway import DoorView
from governance.api.reading import PAGE_WORDS, ListView, StrictSerializer, choice, instant, page_of, reference
from governance.api.requests import REQUEST_PAGE, _read, _readable, _shown
from governance.api.shapes import ApprovalShape, NothingIn, PersonBrief, RequestShape
from governance.catalog.models import Entitlement, Risk
from governance.core import clock
from governance.core.errors import Invalid, NotFound
from governance.identity.models import Person


class TurnShape(serializers.ModelSerializer[Turn]):
    """What happened to a request between asking and answering. `by` null: the clock."""

    by = PersonBrief(allow_null=True, read_only=True)
    to = PersonBrief(allow_null=True, read_only=True)
    in_place_of = PersonBrief(source="holder_of", allow_null=True, read_only=True)

    class Meta:
        model = Turn
        fields = ["kind", "stage", "by", "to", "in_place_of", "text", "at"]


class GivenShape(ApprovalShape):
    """An answer of who came in, with the request it is about."""

    request = serializers.IntegerField(source="request.number")


class AbsenceShape(serializers.ModelSerializer[Absence]):
    """When somebody is away, and who decides meanwhile."""

    deputy = PersonBrief(read_only=True)

    class Meta:
        model = Absence
        fields = ["id", "deputy", "starts_at", "ends_at", "reason"]


class QuestionIn(StrictSerializer):
    """A question back."""

    question = serializers.CharField(max_length=2000)


class ReplyIn(StrictSerializer):
    """What who asked says to it."""

    reply = serializers.CharField(max_length=2000)


class HandOverIn(StrictSerializer):
    """Who decides instead, and why."""

    to = serializers.UUIDField()
    reason = serializers.CharField(max_length=2000)


class SmallerIn(StrictSerializer):
    """The slug of a smaller role of the same application, and why."""

    entitlement = serializers.SlugField(max_length=80)
    reason = serializers.CharField(max_length=1800)


class AbsenceIn(StrictSerializer):
    """When one is away, and who decides meanwhile."""

    deputy = serializers.UUIDField()
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    reason = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")


class Waiting(ListView):
    """What waits."""

    shape = RequestShape
    filters = frozenset({"application", "person", "risk", "before", "zone", "whose"})
    ordering = "created_at"

    @extend_schema(
        operation_id="approvals_list",
        summary="Requests that wait for my answer, the oldest first",
        parameters=[
            OpenApiParameter("application", str, description="Slug of an application"),
            OpenApiParameter("person", str, description="Reference of who is to get the access, or asks for it"),
            OpenApiParameter("risk", int, enum=Risk.values, description="Risk of the role, 1 to 4"),
            OpenApiParameter("before", str, description="Asked before this: an RFC 3339 instant, or a day's end"),
            OpenApiParameter("zone", str, description="Time zone of days; default: UTC"),
            OpenApiParameter("whose", str, enum=WHOSE, description="I am asked, or only in somebody's place"),
            *PAGE_WORDS,
        ],
        responses=REQUEST_PAGE,
    )
    def get(self, request: Request) -> Response:
        """Return one page of what waits for who came in."""
        waiting = narrowed(waiting_for(self.person), _narrowing(request), reader=self.person)
        return self.page(waiting.prefetch_related("approvals__approver", "grants"))


def _narrowing(request: Request) -> Narrowing:
    risk = choice(request, "risk", [str(one) for one in Risk.values])
    return Narrowing(
        application=request.query_params.get("application", ""),
        person_ref=reference(request, "person"),
        risk=None if risk is None else int(risk),
        before=instant(request, "before", clock.now()),
        whose=choice(request, "whose", list(WHOSE)) or "",
    )


class Decided(ListView):
    """What was decided."""

    shape = GivenShape
    ordering = "-id"

    @extend_schema(
        operation_id="approvals_decided_list",
        summary="My answers, the latest first",
        parameters=[*PAGE_WORDS],
        responses=page_of(GivenShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of what who came in answered."""
        given = Approval.objects.filter(approver=self.person)
        return self.page(given.select_related("request", "approver", "on_behalf_of"))


class Conversation(DoorView):
    """What happened between asking and answering."""

    @extend_schema(
        summary="Questions, replies, hand-overs and escalations of a request", responses=TurnShape(many=True)
    )
    def get(self, request: Request, number: int) -> Response:
        """Return them in order."""
        return Response(TurnShape(turns.conversation(_readable(self, number)), many=True).data)


class AskBack(DoorView):
    """A question."""

    @extend_schema(summary="Ask who wants the access something first", request=QuestionIn, responses={201: TurnShape})
    def post(self, request: Request, number: int) -> Response:
        """Ask, and stop the clock of escalation until they reply."""
        said = _read(QuestionIn, request)
        found = _readable(self, number)
        turn = turns.ask_back(found, approver=self.person, question=said["question"], actor=self.actor)
        return Response(TurnShape(turn).data, status=201)


class Reply(DoorView):
    """An answer to a question."""

    @extend_schema(summary="Answer what was asked back", request=ReplyIn, responses={201: TurnShape})
    def post(self, request: Request, number: int) -> Response:
        """Answer."""
        said = _read(ReplyIn, request)
        turn = turns.reply(_readable(self, number), person=self.person, text=said["reply"], actor=self.actor)
        return Response(TurnShape(turn).data, status=201)


class HandOver(DoorView):
    """Somebody else decides."""

    @extend_schema(summary="Let somebody else decide this one", request=HandOverIn, responses={201: TurnShape})
    def post(self, request: Request, number: int) -> Response:
        """Hand it over."""
        said = _read(HandOverIn, request)
        found = _readable(self, number)
        to = _person(said["to"], "to")
        turn = turns.hand_over(found, approver=self.person, to=to, reason=said["reason"], actor=self.actor)
        return Response(TurnShape(turn).data, status=201)


class GiveSmaller(DoorView):
    """Less than was asked for."""

    @extend_schema(summary="Decline in favour of a smaller role", request=SmallerIn, responses={201: RequestShape})
    def post(self, request: Request, number: int) -> Response:
        """Decline, and return the request for the smaller role."""
        said = _read(SmallerIn, request)
        found = _readable(self, number)
        role = Entitlement.objects.filter(application=found.entitlement.application_id, slug=said["entitlement"])
        chosen = role.select_related("application").first()
        if chosen is None:
            raise Invalid(
                {"entitlement": f"There is no {said['entitlement']} in {found.entitlement.application.slug}."}
            )
        made = smaller.approve_smaller(
            found, chosen, approver=self.person, reason=said["reason"], is_fresh=False, actor=self.actor
        )
        return Response(RequestShape(_shown(made.number)).data, status=201)


class Absences(DoorView):
    """Being away."""

    @extend_schema(summary="When I am away", responses=AbsenceShape(many=True))
    def get(self, request: Request) -> Response:
        """Return what runs or is planned."""
        return Response(AbsenceShape(absences.absences_of(self.person, at=clock.now()), many=True).data)

    @extend_schema(summary="Say that I am away", request=AbsenceIn, responses={201: AbsenceShape})
    def post(self, request: Request) -> Response:
        """Plan an absence."""
        said: dict[str, Any] = _read(AbsenceIn, request)
        deputy = _person(said.pop("deputy"), "deputy")
        made = absences.plan_absence(self.person, deputy=deputy, actor=self.actor, **said)
        return Response(AbsenceShape(made).data, status=201)


class EndAbsence(DoorView):
    """Coming back."""

    @extend_schema(summary="Say that I am here after all", request=NothingIn, responses=AbsenceShape)
    def post(self, request: Request, absence_id: int) -> Response:
        """End it now."""
        _read(NothingIn, request)
        found = Absence.objects.filter(pk=absence_id, person=self.person).first()
        if found is None:
            raise NotFound("There is no such absence of yours.")
        return Response(AbsenceShape(absences.end_absence(found, person=self.person, actor=self.actor)).data)


def _person(ref: uuid.UUID, field: str) -> Person:
    found = Person.objects.filter(ref=ref).first()
    if found is None:
        raise Invalid({field: "There is no such person."})
    return found
