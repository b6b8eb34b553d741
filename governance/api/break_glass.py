"""Break-glass: access at once in an emergency, and its review."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Q
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access import break_glass, glass_queries
from governance.access.models import BreakGlass, BreakGlassReview
from governance.api.doorway import DoorView
from governance.api.reading import PAGE_WORDS, ListView, StrictSerializer, choice, page_of
from governance.api.requests import _entitlement, _read
from governance.api.shapes import EntitlementBrief, GrantShape, PersonBrief
from governance.core.clock import now
from governance.core.errors import NotAllowed, NotFound
from governance.identity.freshness import is_fresh_session, is_fresh_since
from governance.identity.models import ServiceToken


class GlassReviewShape(serializers.ModelSerializer[BreakGlassReview]):
    """What somebody else found."""

    reviewer = PersonBrief(read_only=True)

    class Meta:
        model = BreakGlassReview
        fields = ["reviewer", "is_justified", "done", "follow_up", "written_at"]


class GlassShape(serializers.ModelSerializer[BreakGlass]):
    """Access that was taken in an emergency. `review` null: nobody reviewed it yet."""

    person = PersonBrief(read_only=True)
    entitlement = EntitlementBrief(read_only=True)
    grant = GrantShape(read_only=True)
    review = GlassReviewShape(read_only=True, default=None)
    is_overdue = serializers.SerializerMethodField()

    class Meta:
        model = BreakGlass
        fields = [
            "id",
            "person",
            "entitlement",
            "grant",
            "reason",
            "duties",
            "opened_at",
            "review_due_at",
            "is_overdue",
            "review",
        ]

    def get_is_overdue(self, opened: BreakGlass) -> bool:
        """Tell whether nobody reviewed it in time."""
        return getattr(opened, "review", None) is None and opened.review_due_at <= now()


class GlassIn(StrictSerializer):
    """An emergency as it comes in."""

    application = serializers.SlugField(max_length=80)
    entitlement = serializers.SlugField(max_length=80)
    duration_seconds = serializers.IntegerField(min_value=1, max_value=365 * 86400)
    reason = serializers.CharField(max_length=2000)


class GlassReviewIn(StrictSerializer):
    """A review as it comes in."""

    is_justified = serializers.BooleanField()
    done = serializers.CharField(max_length=2000, help_text="What was done with the access")
    follow_up = serializers.CharField(max_length=2000, required=False, allow_blank=True, default="")


class BreakGlasses(ListView):
    """Emergencies."""

    shape = GlassShape
    filters = frozenset({"state"})
    ordering = "-id"

    @extend_schema(
        operation_id="break_glass_list",
        summary="Break-glass, the latest first: one's own, those of one's applications, or all",
        parameters=[OpenApiParameter("state", str, enum=list(glass_queries.STATES)), *PAGE_WORDS],
        responses=page_of(GlassShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of what who came in may read."""
        state = choice(request, "state", list(glass_queries.STATES)) or ""
        rows = glass_queries.break_glasses(at=now(), state=state)
        if not self.sees_everything:
            rows = rows.filter(Q(person=self.person) | Q(grant__application_id__in=self.owned))
        return self.page(rows)

    @extend_schema(
        summary="Break the glass: access at once, reviewed after", request=GlassIn, responses={201: GlassShape}
    )
    def post(self, request: Request) -> Response:
        """Take access now. Needs a fresh sign-in, or a token that was made within ten minutes."""
        if not _is_fresh(request):
            raise NotAllowed("Breaking the glass needs a fresh sign-in. Do it on the page of the application.")
        said = _read(GlassIn, request)
        opened = break_glass.break_glass(
            self.person,
            _entitlement(said),
            duration=timedelta(seconds=said["duration_seconds"]),
            reason=said["reason"],
            actor=self.actor,
        )
        return Response(GlassShape(glass_queries.break_glass(opened.pk)).data, status=201)


class OneBreakGlass(DoorView):
    """One emergency."""

    @extend_schema(summary="One break-glass with its review", responses=GlassShape)
    def get(self, request: Request, glass_id: int) -> Response:
        """Return it."""
        return Response(GlassShape(_visible(self, glass_id)).data)


class ReviewBreakGlass(DoorView):
    """What was found."""

    @extend_schema(summary="Write the review of a break-glass", request=GlassReviewIn, responses=GlassShape)
    def post(self, request: Request, glass_id: int) -> Response:
        """Say whether it was justified, what was done, and what follows. Once, and for good."""
        opened = _visible(self, glass_id)
        said: dict[str, Any] = _read(GlassReviewIn, request)
        break_glass.review(opened, reviewer=self.person, actor=self.actor, **said)
        return Response(GlassShape(glass_queries.break_glass(glass_id)).data)


def _visible(view: DoorView, glass_id: int) -> BreakGlass:
    found = glass_queries.break_glass(glass_id)
    mine = view.person.pk == found.person_id or found.grant.application_id in view.owned
    if not (view.sees_everything or mine or view.person in break_glass.reviewers(found)):
        raise NotFound("There is no such emergency access.")
    return found


def _is_fresh(request: Request) -> bool:
    at = now()
    if isinstance(request.auth, ServiceToken):
        return is_fresh_since(request.auth.created_at, at)
    return is_fresh_session(request.session, at)
