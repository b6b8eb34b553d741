"""Why somebody has something, as JSON: the chain behind one grant."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access import why as access
from governance.api.doorway import DoorView
from governance.api.grants import visible_grants
from governance.api.shapes import GrantShape
from governance.core.clock import now
from governance.core.errors import NotFound


class Span(serializers.FloatField):
    """A length of time in seconds."""

    def to_representation(self, value: timedelta) -> float:  # type: ignore[override]  # it is no number before
        """Return the seconds."""
        return round(value.total_seconds(), 3)


class ValueShape(serializers.Serializer[Any]):
    """What a condition asked about; `value` null: not kept in the history of profiles."""

    name = serializers.CharField()
    value = serializers.CharField(allow_null=True)


class MatchedShape(serializers.Serializer[Any]):
    """The birthright rule that gave it. `profile` null: what the profile said then is not known."""

    rule = serializers.CharField(source="slug")
    name = serializers.CharField()
    version = serializers.IntegerField()
    since = serializers.DateTimeField()
    condition = serializers.CharField()
    words = serializers.CharField()
    but = serializers.CharField(help_text="Whom the rule leaves out, in words; empty: nobody")
    values = ValueShape(many=True)
    profile = serializers.IntegerField(allow_null=True)


class AnswerShape(serializers.Serializer[Any]):
    """One answer; `by` null: the policy itself."""

    by = serializers.CharField(allow_null=True)
    by_ref = serializers.CharField()
    asked_as = serializers.CharField()
    approved = serializers.BooleanField(source="is_yes")
    at = serializers.DateTimeField()
    waited_seconds = Span(source="waited")
    reason = serializers.CharField()
    shortened_to_seconds = Span(source="shortened_to", allow_null=True)
    policy = serializers.CharField(source="policy_slug")
    policy_version = serializers.IntegerField()


class ChangeShape(serializers.Serializer[Any]):
    """What the interval was from then on; `ends_at` null: no end."""

    number = serializers.IntegerField()
    change = serializers.CharField()
    at = serializers.DateTimeField()
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField(allow_null=True)
    by = serializers.CharField()


class SeenShape(serializers.Serializer[Any]):
    """What the application showed; `reading` null: seen by the look after an order, not by a reading of the whole."""

    account = serializers.CharField()
    first_at = serializers.DateTimeField()
    confirmed_at = serializers.DateTimeField()
    gone_at = serializers.DateTimeField(allow_null=True)
    reading = serializers.IntegerField(allow_null=True)
    reading_is_complete = serializers.BooleanField()


class EntryShape(serializers.Serializer[Any]):
    """An entry of the ledger about this grant."""

    index = serializers.IntegerField()
    event = serializers.CharField()
    at = serializers.DateTimeField()
    correlation_id = serializers.CharField()


class WhyShape(serializers.Serializer[Any]):
    """The chain behind a grant. What is null is not known, or has not happened."""

    at = serializers.DateTimeField()
    grant = GrantShape()
    rule = MatchedShape(source="matched", allow_null=True)
    answers = AnswerShape(many=True)
    changes = ChangeShape(many=True)
    seen = SeenShape(allow_null=True)
    late_seconds = Span(source="late", allow_null=True)
    others = GrantShape(many=True, help_text="Other reasons for the same access, now or when this one ended")
    entries = EntryShape(many=True, help_text="For security administrators and auditors; empty for others")


class OneWhy(DoorView):
    """Why a grant exists."""

    @extend_schema(summary="Why somebody has something: the whole chain", responses=WhyShape)
    def get(self, request: Request, grant_id: int) -> Response:
        """Return the chain behind a grant that one may read."""
        grant = visible_grants(self).select_related(*access.CHAINED).filter(pk=grant_id).first()
        if grant is None:
            raise NotFound("There is no such access.")
        return Response(WhyShape(access.why(grant, at=now(), with_entries=self.sees_everything)).data)
