"""What somebody was told, and how they want to be told by mail."""

from __future__ import annotations

from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.doorway import DoorView
from governance.api.reading import PAGE_WORDS, ListView, StrictSerializer, choice, page_of
from governance.api.shapes import NothingIn
from governance.identity.models import Person
from governance.notices import inbox, preferences
from governance.notices.kinds import TOPICS, Pace
from governance.notices.models import Notice
from governance.notices.preferences import Wishes
from governance.notices.words import said

_PACES = [pace.value for pace in Pace]


class NoticeShape(serializers.Serializer[Notice]):
    """One notice in words; `path` leads to its page."""

    id = serializers.IntegerField()
    kind = serializers.CharField()
    title = serializers.CharField()
    body = serializers.CharField()
    path = serializers.CharField()
    at = serializers.DateTimeField()
    read_at = serializers.DateTimeField(allow_null=True)
    settled_at = serializers.DateTimeField(allow_null=True, help_text="What it asked for or warned of is over")

    def to_representation(self, instance: Notice) -> dict[str, Any]:
        """Return a notice in words, its instants in the zone its person chose."""
        words = said(instance, self.context["view"].zone, leaves_the_house=False)
        return {
            "id": instance.pk,
            "kind": instance.kind,
            "title": words.title,
            "body": words.body,
            "path": words.path,
            "at": instance.at,
            "read_at": instance.read_at,
            "settled_at": instance.settled_at,
        }


class WishesShape(serializers.Serializer[Wishes]):
    """How somebody wants to be told by mail."""

    paces = serializers.DictField(child=serializers.ChoiceField(_PACES), help_text=f"Of each of {', '.join(TOPICS)}")
    daily_hour = serializers.IntegerField()
    time_zone = serializers.CharField(help_text="Empty: the directory's")


class WishesIn(StrictSerializer):
    """What changes; groups that are not named stay as they are."""

    paces = serializers.DictField(child=serializers.CharField(max_length=20), default=dict)
    daily_hour = serializers.IntegerField(min_value=0, max_value=23, required=False)
    time_zone = serializers.CharField(max_length=64, allow_blank=True, required=False)


class Notices(ListView):
    """What who came in was told."""

    shape = NoticeShape
    filters = frozenset({"show"})
    ordering = "-id"

    @extend_schema(
        operation_id="notices_list",
        summary="What you were told, the latest first",
        parameters=[OpenApiParameter("show", str, enum=["unread"]), *PAGE_WORDS],
        responses=page_of(NoticeShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of what who came in was told."""
        unread = choice(request, "show", ["unread"]) == "unread"
        return self.page(inbox.unread(self.person) if unread else inbox.of(self.person))

    @cached_property
    def zone(self) -> ZoneInfo:
        """Return the zone in which who came in reads clock times. One statement a request."""
        return preferences.of(self.person).zone


class Read(DoorView):
    """A notice was read."""

    @extend_schema(summary="Mark one as read", request=NothingIn, responses={204: None})
    def post(self, request: Request, notice_id: int) -> Response:
        """Note that a notice was read; again is fine."""
        NothingIn(data=request.data).is_valid(raise_exception=True)
        inbox.mark_read(self.person, notice_id)
        return Response(status=204)


class ReadAll(DoorView):
    """Everything was read."""

    @extend_schema(
        operation_id="notices_read_all", summary="Mark all as read", request=NothingIn, responses=OpenApiTypes.OBJECT
    )
    def post(self, request: Request) -> Response:
        """Note that everything was read; return how much."""
        NothingIn(data=request.data).is_valid(raise_exception=True)
        return Response({"read": inbox.mark_all_read(self.person)})


class NoticePreferences(DoorView):
    """How who came in wants to be told by mail."""

    @extend_schema(summary="How you are told by mail", responses=WishesShape)
    def get(self, request: Request) -> Response:
        """Return the pace of each group of notices, and when the daily mail comes."""
        return Response(_shown(preferences.of(self.person)))

    @extend_schema(summary="Choose how you are told by mail", request=WishesIn, responses=WishesShape)
    def patch(self, request: Request) -> Response:
        """Keep what changes."""
        said_ = WishesIn(data=request.data)
        said_.is_valid(raise_exception=True)
        return Response(_shown(_change(self.person, said_.validated_data, self)))


def _change(person: Person, wanted: dict[str, Any], view: DoorView) -> Wishes:
    known = preferences.of(person)
    return preferences.change(
        person,
        paces=wanted["paces"],
        daily_hour=wanted.get("daily_hour", known.daily_hour),
        time_zone=wanted.get("time_zone", known.chosen_zone),
        actor=view.actor,
    )


def _shown(wishes: Wishes) -> dict[str, Any]:
    return {
        "paces": {topic: pace.value for topic, pace in wishes.paces.items()},
        "daily_hour": wishes.daily_hour,
        "time_zone": wishes.chosen_zone,
    }
