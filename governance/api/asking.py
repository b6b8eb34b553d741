"""Asking: several roles at once, a request changed, who decides reminded, and what is asked when time is up."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access import end_questions, requests
from governance.access.models import EndQuestion, RequestSet
from governance.access.queries import WITH_GRANT, open_end_questions
from governance.access.requests import MOST_TOGETHER, Wanted
from governance.api.doorway import DoorView
from governance.api.grants import _visible as visible_grant
from governance.api.reading import StrictSerializer
from governance.api.requests import _beneficiary, _entitlement, _read, _readable, _shown, _span, visible_requests
from governance.api.shapes import GrantShape, NothingIn, PersonBrief, RequestShape
from governance.core.errors import NotFound
from governance.policy.facts import Ask


class RoleIn(StrictSerializer):
    """A role of an application."""

    application = serializers.SlugField(max_length=80)
    entitlement = serializers.SlugField(max_length=80)


class TermsIn(StrictSerializer):
    """How long, from when, and why."""

    duration_seconds = serializers.IntegerField(
        allow_null=True, required=False, min_value=1, max_value=10 * 365 * 86400, help_text="Null: no end"
    )
    starts_at = serializers.DateTimeField(required=False, allow_null=True)
    purpose = serializers.CharField(max_length=80, required=False, allow_blank=True, default="")
    reason = serializers.CharField(max_length=2000)
    ticket = serializers.CharField(max_length=120, required=False, allow_blank=True, default="")


class SetIn(TermsIn):
    """Several roles asked for together, all or none."""

    roles = RoleIn(many=True, min_length=1, max_length=MOST_TOGETHER)  # type: ignore[call-arg]
    person = serializers.UUIDField(required=False, help_text="Whom it is for; default: yourself")


class SetShape(serializers.ModelSerializer[RequestSet]):
    """What was asked for together; each role has a request of its own."""

    requester = PersonBrief(read_only=True)
    person = PersonBrief(read_only=True)
    requests = RequestShape(many=True, read_only=True)

    class Meta:
        model = RequestSet
        fields = ["number", "requester", "person", "reason", "created_at", "requests"]


class QuestionShape(serializers.ModelSerializer[EndQuestion]):
    """The time of a grant is up; it runs on until `kept_until` while an owner is asked."""

    grant = GrantShape(read_only=True)

    class Meta:
        model = EndQuestion
        fields = ["grant", "due_at", "asked_at", "kept_until", "answered_at", "lasts_until", "reason"]


class KeepIn(StrictSerializer):
    """How much longer it lasts, from the end that was due."""

    lasts_seconds = serializers.IntegerField(min_value=1, max_value=10 * 365 * 86400)
    reason = serializers.CharField(max_length=2000, required=False, allow_blank=True, default="")


class EndIn(StrictSerializer):
    """Why it ends."""

    reason = serializers.CharField(max_length=2000, required=False, allow_blank=True, default="")


class RequestSets(DoorView):
    """Several roles at once."""

    @extend_schema(summary="Ask for several roles together, all or none", request=SetIn, responses={201: SetShape})
    def post(self, request: Request) -> Response:
        """Ask for these roles with one reason; each is decided by its own policy."""
        said = _read(SetIn, request)
        ask = _ask(said)
        made = requests.submit_together(
            self.person,
            [Wanted(_entitlement(dict(role)), ask) for role in said["roles"]],
            person=_beneficiary(said.get("person")),
            actor=self.actor,
        )
        return Response(SetShape(_set(self, made.number)).data, status=201)


class OneSet(DoorView):
    """What was asked for together."""

    @extend_schema(summary="What was asked for together, with each request in it", responses=SetShape)
    def get(self, request: Request, number: int) -> Response:
        """Return the set, as far as who came in may read its requests."""
        return Response(SetShape(_set(self, number)).data)


class Change(DoorView):
    """Something else instead."""

    @extend_schema(summary="Take back one's own request and ask anew", request=TermsIn, responses={201: RequestShape})
    def post(self, request: Request, number: int) -> Response:
        """Ask for the same role on other terms, in place of the request that waits."""
        said = _read(TermsIn, request)
        found = _readable(self, number)
        made = requests.change(found, found.entitlement, _ask(said), requester=self.person, actor=self.actor)
        return Response(RequestShape(_shown(made.number)).data, status=201)


class Remind(DoorView):
    """It still waits."""

    @extend_schema(summary="Remind those who decide, once an hour", request=NothingIn, responses=RequestShape)
    def post(self, request: Request, number: int) -> Response:
        """Have those who decide told again."""
        _read(NothingIn, request)
        requests.remind(_readable(self, number), person=self.person, actor=self.actor)
        return Response(RequestShape(_shown(number)).data)


class EndQuestions(DoorView):
    """What is asked when time is up."""

    @extend_schema(summary="Access whose time is up and that waits for my answer", responses=QuestionShape(many=True))
    def get(self, request: Request) -> Response:
        """Return the questions who came in may answer, what ends first comes first."""
        return Response(QuestionShape(open_end_questions(self.person), many=True).data)


class Keep(DoorView):
    """Longer."""

    @extend_schema(summary="Let access last longer whose time is up", request=KeepIn, responses=QuestionShape)
    def post(self, request: Request, grant_id: int) -> Response:
        """Let it last, from the end that was due."""
        said = _read(KeepIn, request)
        grant, lasts = visible_grant(self, grant_id), _span(said["lasts_seconds"])
        assert lasts is not None
        answered = end_questions.keep(grant, lasts=lasts, reason=said["reason"], answerer=self.person, actor=self.actor)
        return Response(QuestionShape(_question(answered.pk)).data)


class End(DoorView):
    """No longer."""

    @extend_schema(summary="Have access taken away whose time is up", request=EndIn, responses=QuestionShape)
    def post(self, request: Request, grant_id: int) -> Response:
        """End it now."""
        said = _read(EndIn, request)
        grant = visible_grant(self, grant_id)
        answered = end_questions.end(grant, reason=said["reason"], answerer=self.person, actor=self.actor)
        return Response(QuestionShape(_question(answered.pk)).data)


def _ask(said: dict[str, Any]) -> Ask:
    return requests.with_ticket(
        Ask(
            duration=_span(said.get("duration_seconds")),
            purpose=said["purpose"],
            reason=said["reason"],
            ticket=said["ticket"],
            starts_at=said.get("starts_at"),
        )
    )


def _set(view: DoorView, number: int) -> RequestSet:
    """Return a set with the requests in it that who came in may read. Raises NotFound when there is none."""
    readable = Prefetch("requests", visible_requests(view).order_by("id"))
    found = (
        RequestSet.objects.filter(number=number)
        .select_related("requester", "person")
        .prefetch_related(readable)
        .first()
    )
    if found is None or not found.requests.all():
        raise NotFound(f"There is no request R-{number}.")
    return found


def _question(question_id: int) -> EndQuestion:
    grant = tuple(f"grant__{name}" for name in WITH_GRANT)
    return EndQuestion.objects.select_related(*grant, "grant__entitlement__application").get(pk=question_id)
