"""What goes out and what comes in, as JSON. They translate and decide nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from governance.access.models import AccessRequest, Grant
from governance.access.queries import AnswerTimes, answer_times
from governance.api.reading import StrictSerializer
from governance.catalog.models import Application, Entitlement
from governance.core.clock import is_open_ended, now
from governance.evidence.models import EvidenceBundle
from governance.identity.models import Person, Status
from governance.identity.queries import roles_of
from governance.provisioning.models import Operation


class PersonShape(serializers.ModelSerializer[Person]):
    """A person."""

    manager = serializers.UUIDField(source="manager.ref", default=None, read_only=True)

    class Meta:
        model = Person
        fields = [
            "ref",
            "user_name",
            "display_name",
            "email",
            "title",
            "department",
            "person_type",
            "manager",
            "status",
            "joined_at",
            "left_at",
            "leaves_at",
        ]


class MeShape(PersonShape):
    """A person and what they may do in Gatehouse."""

    roles = serializers.SerializerMethodField()

    class Meta(PersonShape.Meta):
        fields = [*PersonShape.Meta.fields, "roles"]

    def get_roles(self, person: Person) -> list[str]:
        """Return the roles, in order; `guest` for who comes from outside."""
        return ["guest"] if person.status == Status.GUEST else sorted(roles_of(person.pk))


class PersonBrief(serializers.ModelSerializer[Person]):
    """A person, named inside something else."""

    class Meta:
        model = Person
        fields = ["ref", "display_name"]


class ApplicationShape(serializers.ModelSerializer[Application]):
    """An application."""

    owners = serializers.SerializerMethodField()

    class Meta:
        model = Application
        fields = [
            "slug",
            "name",
            "description",
            "category",
            "risk",
            "data_classes",
            "session_hours",
            "owners",
            "created_at",
            "retired_at",
        ]

    def get_owners(self, application: Application) -> list[dict[str, str]]:
        """Return who answers for it."""
        people = [ownership.person for ownership in application.ownerships.all()]
        return [{"ref": str(person.ref), "display_name": person.display_name} for person in people]


class EntitlementShape(serializers.ModelSerializer[Entitlement]):
    """A role, group, licence or permission of an application."""

    application = serializers.SlugField(source="application.slug", read_only=True)
    policy = serializers.SlugField(source="policy.slug", read_only=True)

    class Meta:
        model = Entitlement
        fields = [
            "application",
            "slug",
            "name",
            "kind",
            "sentence",
            "risk",
            "data_classes",
            "is_privileged",
            "is_requestable",
            "policy",
            "retired_at",
        ]


class EntitlementBrief(serializers.ModelSerializer[Entitlement]):
    """An entitlement, named inside something else."""

    application = serializers.SlugField(source="application.slug", read_only=True)

    class Meta:
        model = Entitlement
        fields = ["application", "slug", "name"]


class OperationShape(serializers.ModelSerializer[Operation]):
    """How far an order to an application has come. Only `verified` means that the application was asked again."""

    class Meta:
        model = Operation
        fields = ["state", "ordered_at", "delivered_at", "verified_at", "failed_at", "last_error", "next_step"]


class GrantShape(serializers.ModelSerializer[Grant]):
    """One reason for access, with how its start and end went. `ends_at` null: no end."""

    person = PersonBrief(read_only=True)
    entitlement = EntitlementBrief(read_only=True)
    starts_at = serializers.SerializerMethodField()
    ends_at = serializers.SerializerMethodField()
    request = serializers.IntegerField(source="request.number", default=None, read_only=True)
    given = OperationShape(source="give_operation", read_only=True)
    removed = OperationShape(source="take_operation", read_only=True)
    seconds_late = serializers.SerializerMethodField()

    class Meta:
        model = Grant
        fields = [
            "id",
            "person",
            "entitlement",
            "cause",
            "starts_at",
            "ends_at",
            "end_cause",
            "request",
            "given",
            "removed",
            "seconds_late",
        ]

    def get_starts_at(self, grant: Grant) -> datetime:
        """Return when it starts; as it was known, when the list asks for that."""
        return getattr(grant, "known_starts_at", None) or grant.starts_at

    def get_ends_at(self, grant: Grant) -> datetime | None:
        """Return when it ends, or null; as it was known, when the list asks for that."""
        end: datetime = getattr(grant, "known_ends_at", None) or grant.ends_at
        return None if is_open_ended(end) else end

    def get_seconds_late(self, grant: Grant) -> float | None:
        """Return how long after the end the application was seen without it; null while that was not seen."""
        order = grant.take_operation
        if order is None or order.verified_at is None:
            return None
        return round((order.verified_at - grant.ends_at).total_seconds(), 3)


class ApprovalShape(serializers.Serializer[Any]):
    """One answer; `approver` null: the policy itself."""

    stage = serializers.IntegerField()
    asked = serializers.CharField()
    approver = PersonBrief(allow_null=True)
    on_behalf_of = PersonBrief(allow_null=True)
    approved = serializers.BooleanField()
    reason = serializers.CharField()
    duration_seconds = serializers.SerializerMethodField()
    decided_at = serializers.DateTimeField()

    def get_duration_seconds(self, approval: Any) -> int | None:
        """Return the shorter time that was chosen, or null."""
        return seconds(approval.duration)


class RequestShape(serializers.ModelSerializer[AccessRequest]):
    """A request with its answers and the grants that came of it. `duration_seconds` null: no end."""

    requester = PersonBrief(read_only=True)
    person = PersonBrief(read_only=True)
    entitlement = EntitlementBrief(read_only=True)
    duration_seconds = serializers.SerializerMethodField()
    extends = serializers.IntegerField(source="extends_id", allow_null=True, read_only=True)
    together = serializers.IntegerField(source="request_set.number", default=None, read_only=True)
    stages = serializers.SerializerMethodField()
    approvals = ApprovalShape(many=True, read_only=True)
    grants = GrantShape(many=True, read_only=True)

    class Meta:
        model = AccessRequest
        fields = [
            "number",
            "requester",
            "person",
            "entitlement",
            "duration_seconds",
            "starts_at",
            "purpose",
            "reason",
            "ticket",
            "extends",
            "together",
            "state",
            "stage",
            "stages",
            "approvals",
            "grants",
            "created_at",
            "lapses_at",
            "reminded_at",
            "escalates_at",
            "escalated_at",
            "asked_back_at",
            "closed_at",
            "closed_because",
        ]

    def get_stages(self, request: AccessRequest) -> list[str]:
        """Return as what somebody is asked, in sequence."""
        return [stage.kind for stage in request.route]

    def get_duration_seconds(self, request: AccessRequest) -> int | None:
        """Return how long was asked for, or null."""
        return seconds(request.duration)


class AnswerTimesShape(serializers.Serializer[AnswerTimes]):
    """How long people took to decide in the last 90 days: half were quicker than the median, 19 of 20 than p95."""

    median_seconds = serializers.SerializerMethodField()
    p95_seconds = serializers.SerializerMethodField()

    def get_median_seconds(self, times: AnswerTimes) -> int:
        """Return the median."""
        return int(times.median.total_seconds())

    def get_p95_seconds(self, times: AnswerTimes) -> int:
        """Return the 95th percentile."""
        return int(times.p95.total_seconds())


class OneRequestShape(RequestShape):
    """A request as `RequestShape`, with how long answers about its role usually take."""

    answer_times = serializers.SerializerMethodField(
        help_text="By as whom somebody is asked; who gave fewer than three answers in 90 days is left out"
    )

    class Meta(RequestShape.Meta):
        fields = [*RequestShape.Meta.fields, "answer_times"]

    @extend_schema_field(serializers.DictField(child=AnswerTimesShape()))
    def get_answer_times(self, request: AccessRequest) -> dict[str, Any]:
        """Return how long answers took. One statement."""
        times = answer_times(request.entitlement_id, at=now())
        return {asked: AnswerTimesShape(one).data for asked, one in times.items()}


class DefinitionBrief(serializers.Serializer[Any]):
    """The version of a definition that a bundle was asked by."""

    ref = serializers.UUIDField(source="definition.ref")
    name = serializers.CharField()
    version = serializers.IntegerField(source="number")
    sha256 = serializers.CharField()


class BundleShape(serializers.ModelSerializer[EvidenceBundle]):
    """An evidence bundle: what was asked, how far it is, and its digest when it is ready."""

    definition = DefinitionBrief(allow_null=True)

    class Meta:
        model = EvidenceBundle
        fields = [
            "ref",
            "framework",
            "first_day",
            "last_day",
            "zone",
            "applications",
            "definition",
            "state",
            "step",
            "steps_done",
            "steps",
            "last_error",
            "sha256",
            "manifest_sha256",
            "size",
            "ledger_size",
            "since_ledger_size",
            "summary",
            "made_at",
        ]


class AskIn(StrictSerializer):
    """A request as it comes in."""

    application = serializers.SlugField(max_length=80)
    entitlement = serializers.SlugField(max_length=80)
    duration_seconds = serializers.IntegerField(
        allow_null=True, required=False, min_value=1, max_value=10 * 365 * 86400, help_text="Null: no end"
    )
    starts_at = serializers.DateTimeField(required=False, allow_null=True)
    purpose = serializers.CharField(max_length=80, required=False, allow_blank=True, default="")
    reason = serializers.CharField(max_length=2000)
    ticket = serializers.CharField(max_length=120, required=False, allow_blank=True, default="")
    person = serializers.UUIDField(required=False, help_text="Whom it is for; default: yourself")
    extends = serializers.IntegerField(required=False, min_value=1, help_text="The grant that should end later")


class DecisionIn(StrictSerializer):
    """An answer as it comes in."""

    reason = serializers.CharField(max_length=2000, required=False, allow_blank=True, default="")
    duration_seconds = serializers.IntegerField(required=False, min_value=1, max_value=10 * 365 * 86400)


class RefusalIn(StrictSerializer):
    """A no as it comes in."""

    reason = serializers.CharField(max_length=2000)


class NothingIn(StrictSerializer):
    """An action that takes no words."""


class ApplicationIn(StrictSerializer):
    """An application of the shipped catalogue to add."""

    catalogue_id = serializers.CharField(max_length=80)
    owners = serializers.ListField(child=serializers.UUIDField(), required=False, default=list, max_length=20)


class BundleIn(StrictSerializer):
    """A bundle to build, over civil days, both included."""

    framework = serializers.CharField(max_length=20)
    first_day = serializers.DateField()
    last_day = serializers.DateField()
    zone = serializers.CharField(max_length=64, required=False, default="UTC")
    applications = serializers.ListField(
        child=serializers.CharField(max_length=120), required=False, max_length=1000, help_text="Short names; none: all"
    )
    definition = serializers.UUIDField(required=False, help_text="What is chosen of the framework's pack; none: all")
    definition_version = serializers.IntegerField(required=False, min_value=1, help_text="None: the last one")


def seconds(duration: timedelta | None) -> int | None:
    """Return a duration in whole seconds, or None."""
    return None if duration is None else int(duration.total_seconds())
