"""Reviews of the log: which are due, what there was to look at, and who signed what they found."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.doorway import DoorView
from governance.api.reading import PAGE_WORDS, ListView, StrictSerializer, checked, choice, page_of
from governance.api.shapes import PersonBrief
from governance.core.clock import now
from governance.identity.models import RoleName
from governance.log_reviews import actions, queries
from governance.log_reviews.models import LONGEST_DAYS, SHORTEST_DAYS, LogReview

_READERS = frozenset({RoleName.SECURITY_ADMIN, RoleName.AUDITOR})
_ADMINS = frozenset({RoleName.SECURITY_ADMIN})
_LONGEST = 4000
_STATES = ["running", "due", "overdue", "signed"]


class LogReviewShape(serializers.ModelSerializer[LogReview]):
    """A stretch of the log, [starts_at, ends_at): `due` when it is over, `overdue` after `due_at`."""

    state = serializers.SerializerMethodField()
    is_late = serializers.SerializerMethodField(help_text="Signed, or still not signed, after `due_at`")
    signed_by = PersonBrief(read_only=True, allow_null=True)

    class Meta:
        model = LogReview
        fields = [
            "id", "starts_at", "ends_at", "due_at", "state", "is_late", "signed_at", "signed_by", "findings",
            "follow_up",
        ]  # fmt: skip

    @extend_schema_field(serializers.ChoiceField(_STATES))
    def get_state(self, review: LogReview) -> str:
        """Return how it stands."""
        at = now()
        if review.signed_at is not None:
            return "signed"
        if review.ends_at > at:
            return "running"
        return "due" if review.due_at > at else "overdue"

    def get_is_late(self, review: LogReview) -> bool:
        """Tell whether it was signed too late, or is."""
        return (review.signed_at or now()) > review.due_at


class OneLogReviewShape(LogReviewShape):
    """A review with what there is to look at: event → sealed entries, as counted now or when it was signed."""

    counts = serializers.SerializerMethodField()

    class Meta(LogReviewShape.Meta):
        fields = [*LogReviewShape.Meta.fields, "counts"]

    @extend_schema_field(serializers.DictField(child=serializers.IntegerField()))
    def get_counts(self, review: LogReview) -> dict[str, int]:
        """Return the counts."""
        return review.counts if review.signed_at else queries.counts_of(review)


class SignIn(StrictSerializer):
    """What was found, or that nothing was, and what is done about it."""

    findings = serializers.CharField(max_length=_LONGEST)
    follow_up = serializers.CharField(max_length=_LONGEST, allow_blank=True, default="")


class CadenceIn(StrictSerializer):
    """How many days a review covers, from the next one on."""

    days = serializers.IntegerField(min_value=SHORTEST_DAYS, max_value=LONGEST_DAYS)


class CadenceShape(serializers.Serializer[Any]):
    """How many days a review covers."""

    days = serializers.IntegerField()


class LogReviews(ListView):
    """Reviews."""

    reads = _READERS
    shape = LogReviewShape
    ordering = "-starts_at"
    filters = frozenset({"state"})

    @extend_schema(
        operation_id="log_reviews_list",
        summary="Reviews of the log, the newest first; `state=due` for what waits to be signed, overdue ones as well",
        parameters=[OpenApiParameter("state", str, enum=_STATES), *PAGE_WORDS],
        responses=page_of(LogReviewShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of reviews."""
        return self.page(_in_state(choice(request, "state", _STATES)).select_related("signed_by"))


class OneLogReview(DoorView):
    """One review."""

    reads = _READERS

    @extend_schema(summary="One review with what there is to look at", responses=OneLogReviewShape)
    def get(self, request: Request, review_id: int) -> Response:
        """Return it."""
        return Response(OneLogReviewShape(queries.review(review_id)).data)


class SignLogReview(DoorView):
    """Somebody looked."""

    needs = _READERS

    @extend_schema(summary="Sign what was found in a stretch that is over", request=SignIn, responses=OneLogReviewShape)
    def post(self, request: Request, review_id: int) -> Response:
        """Sign it, once."""
        review = queries.review(review_id)
        actions.sign(review, **checked(SignIn, request), actor=self.actor)
        return Response(OneLogReviewShape(queries.review(review_id)).data)


class LogReviewCadence(DoorView):
    """How often."""

    reads, needs = _READERS, _ADMINS

    @extend_schema(summary="How many days a review covers", responses=CadenceShape)
    def get(self, request: Request) -> Response:
        """Return it."""
        return Response(CadenceShape({"days": actions.days_between()}).data)

    @extend_schema(summary="Have the log looked through more or less often", request=CadenceIn, responses=CadenceShape)
    def post(self, request: Request) -> Response:
        """Keep another number of days, from the next review on."""
        actions.set_cadence(checked(CadenceIn, request)["days"], actor=self.actor)
        return Response(CadenceShape({"days": actions.days_between()}).data)


def _in_state(state: str | None) -> QuerySet[LogReview]:
    at, unsigned = now(), LogReview.objects.filter(signed_at__isnull=True)
    if state == "due":
        return queries.waiting()
    if state == "overdue":
        return queries.waiting().filter(due_at__lte=at)
    if state == "running":
        return unsigned.filter(ends_at__gt=at)
    return LogReview.objects.filter(signed_at__isnull=False) if state == "signed" else LogReview.objects.all()
