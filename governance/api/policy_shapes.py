"""Policies, drafts and proposals as JSON. They translate and decide nothing. Lengths are seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from governance.access.models import ReplayRun
from governance.access.preview import Counted, Preview
from governance.access.replay import Replay
from governance.access.replay_runs import outcome
from governance.api.reading import StrictSerializer
from governance.api.shapes import PersonBrief
from governance.catalog.models import AccessPolicy, AccessPolicyVersion, ApproverKind, AtEnd, Extending, PolicyProposal
from governance.catalog.policy_terms import LONGEST, PolicyTerms, terms_from_json, terms_of
from governance.catalog.policy_words import changes
from governance.catalog.stages import BY_SECURITY, OWNER, Approvers, Stage

#: What a new policy says where nothing is said: the owner decides, and security where there is none.
_USUAL = PolicyTerms(stages=(Stage(Approvers(OWNER), fallback=BY_SECURITY),))
_SPANS = ("default_duration", "max_duration", "auto_approve_up_to", "lapses_after", "kept_for", "break_glass_up_to")


def _seconds(**known: Any) -> serializers.IntegerField:
    return serializers.IntegerField(required=False, min_value=0, max_value=int(LONGEST.total_seconds()), **known)


class ApproversShape(StrictSerializer):
    """Who is asked: a kind, and the group or the people by reference where the kind needs them."""

    kind = serializers.ChoiceField(ApproverKind.choices)
    group = serializers.CharField(required=False, max_length=36, help_text="Reference of a group")
    people = serializers.ListField(
        child=serializers.CharField(max_length=36), required=False, max_length=50, help_text="References of people"
    )


class StageShape(ApproversShape):
    """One stage: who is asked, how many say yes, and who instead when there is nobody, or silence."""

    quorum = serializers.IntegerField(required=False, min_value=1, max_value=9, help_text="Default 1")
    escalates_after_seconds = _seconds()
    fallback = ApproversShape(required=False)


class PolicyTermsShape(StrictSerializer):
    """What a policy says. Conditions are SCIM filters; risk is points of 1 to 100; null: not at all."""

    may_request = serializers.CharField(required=False, allow_blank=True, max_length=2000)
    auto_deny = serializers.CharField(required=False, allow_blank=True, max_length=2000)
    default_duration_seconds = _seconds()
    max_duration_seconds = _seconds()
    allows_open_end = serializers.BooleanField(required=False)
    purposes = serializers.ListField(child=serializers.CharField(max_length=80), required=False, max_length=20)
    requires_ticket = serializers.BooleanField(required=False)
    ticket_pattern = serializers.CharField(required=False, allow_blank=True, max_length=200)
    stages = StageShape(many=True, required=False)
    auto_approve = serializers.CharField(required=False, allow_blank=True, max_length=2000)
    auto_approve_up_to_seconds = _seconds()
    never_automatic_from = serializers.IntegerField(required=False, allow_null=True)
    needs_security_from = serializers.IntegerField(required=False, allow_null=True)
    refused_from = serializers.IntegerField(required=False, allow_null=True)
    may_shorten = serializers.BooleanField(required=False)
    lapses_after_seconds = _seconds()
    extending = serializers.ChoiceField(Extending.choices, required=False)
    at_end = serializers.ChoiceField(AtEnd.choices, required=False)
    kept_for_seconds = _seconds()
    warns_before_seconds = serializers.ListField(child=_seconds(), required=False, max_length=5)
    break_glass_up_to_seconds = _seconds(allow_null=True)
    may_break_glass = serializers.CharField(required=False, allow_blank=True, max_length=2000)
    break_glass_reviewer = ApproversShape(required=False)


class PolicyDraftIn(StrictSerializer):
    """A draft: what is left out stays as it is in force."""

    terms = PolicyTermsShape()


class PolicyProposalIn(StrictSerializer):
    """A proposal. Without `policy` it is a new one; `base_version` is the version it was written for."""

    policy = serializers.SlugField(required=False, default="", allow_blank=True, max_length=80)
    base_version = serializers.IntegerField(required=False, default=None, allow_null=True, min_value=1)
    name = serializers.CharField(required=False, default="", allow_blank=True, max_length=120)
    why = serializers.CharField(max_length=2000)
    terms = PolicyTermsShape()
    alone = serializers.BooleanField(
        required=False, default=False, help_text="Nobody else administers security: put a new policy in force at once"
    )


class PolicyAnswerIn(StrictSerializer):
    """What is said to a proposal; needed to decline it."""

    answer = serializers.CharField(required=False, default="", allow_blank=True, max_length=2000)


def draft_terms(said: Mapping[str, Any], base: PolicyTerms | None) -> PolicyTerms:
    """Return the terms of a draft: what was said, over what is in force or usual."""
    stored = (base or _USUAL).as_json()
    return terms_from_json({**stored, **{_stored_name(name): value for name, value in said.items()}})


def terms_shown(terms: PolicyTerms) -> dict[str, Any]:
    """Return terms as this door says them."""
    stored = terms.as_json()
    spans = {f"{name}_seconds": stored[name] if stored[name] is None else round(stored[name]) for name in _SPANS}
    return {name: value for name, value in stored.items() if name not in _SPANS} | spans


def _stored_name(name: str) -> str:
    bare = name.removesuffix("_seconds")
    return bare if bare in _SPANS else name


class PolicyVersionShape(serializers.ModelSerializer[AccessPolicyVersion]):
    """A version of a policy."""

    terms = serializers.SerializerMethodField()

    class Meta:
        model = AccessPolicyVersion
        fields = ["number", "effective_at", "created_by_ref", "terms"]

    @extend_schema_field(PolicyTermsShape)
    def get_terms(self, version: AccessPolicyVersion) -> dict[str, Any]:
        """Return what it says."""
        return terms_shown(terms_of(version))


class PolicyShape(serializers.ModelSerializer[AccessPolicy]):
    """A policy with the version in force."""

    in_force = serializers.SerializerMethodField()

    class Meta:
        model = AccessPolicy
        fields = ["slug", "name", "created_at", "in_force"]

    @extend_schema_field(PolicyVersionShape(allow_null=True))
    def get_in_force(self, policy: AccessPolicy) -> dict[str, Any] | None:
        """Return the version in force."""
        latest = max(policy.versions.all(), key=lambda one: one.number, default=None)
        return PolicyVersionShape(latest).data if latest is not None else None


class RoleBrief(serializers.Serializer[Any]):
    """A role under a policy."""

    application = serializers.SlugField(source="application.slug")
    slug = serializers.SlugField()
    name = serializers.CharField()


class OnePolicyShape(PolicyShape):
    """A policy with all its versions and the roles under it."""

    versions = serializers.SerializerMethodField()
    roles = RoleBrief(source="entitlements", many=True)

    class Meta(PolicyShape.Meta):
        fields = [*PolicyShape.Meta.fields, "versions", "roles"]

    @extend_schema_field(PolicyVersionShape(many=True))
    def get_versions(self, policy: AccessPolicy) -> Any:
        """Return the versions, the latest first."""
        return PolicyVersionShape(sorted(policy.versions.all(), key=lambda one: -one.number), many=True).data


class PolicyChangeShape(serializers.Serializer[Any]):
    """One thing that is otherwise, in plain words."""

    field = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    before = serializers.CharField()
    after = serializers.CharField()


class PolicyProposalShape(serializers.ModelSerializer[PolicyProposal]):
    """A proposed change. `base_version` null: a new policy. `is_alone`: nobody else looked, and that was said."""

    policy = serializers.SlugField(source="slug")
    base_version = serializers.IntegerField(source="base.number", default=None, allow_null=True)
    version = serializers.IntegerField(source="version.number", default=None, allow_null=True)
    terms = serializers.SerializerMethodField()
    changes = serializers.SerializerMethodField()
    proposed_by = PersonBrief(read_only=True)
    decided_by = PersonBrief(read_only=True, allow_null=True)

    class Meta:
        model = PolicyProposal
        fields = [
            "id",
            "policy",
            "name",
            "base_version",
            "terms",
            "changes",
            "why",
            "state",
            "proposed_by",
            "proposed_at",
            "decided_by",
            "decided_at",
            "answer",
            "version",
            "is_alone",
        ]

    @extend_schema_field(PolicyTermsShape)
    def get_terms(self, proposal: PolicyProposal) -> dict[str, Any]:
        """Return what it says."""
        return terms_shown(terms_from_json(proposal.terms))

    @extend_schema_field(PolicyChangeShape(many=True))
    def get_changes(self, proposal: PolicyProposal) -> Any:
        """Return what differs from its base."""
        if proposal.base is None:
            return []
        return PolicyChangeShape(changes(terms_of(proposal.base), terms_from_json(proposal.terms)), many=True).data


class CountedShape(serializers.Serializer[Counted]):
    """How many people, and the first of them."""

    count = serializers.IntegerField()
    people = PersonBrief(many=True)


class LackingShape(serializers.Serializer[Any]):
    """A person and a role that nobody could decide about, and at which stage (from 1)."""

    person = PersonBrief()
    role = serializers.CharField()
    stage = serializers.IntegerField()


class RedirectedShape(serializers.Serializer[Any]):
    """Somebody whose requests others would decide."""

    person = PersonBrief()
    role = serializers.CharField()
    before = serializers.CharField()
    after = serializers.CharField()


class PolicyPreviewShape(serializers.Serializer[Preview]):
    """Whom a draft affects. While `lacking_count` is not 0 it cannot be proposed."""

    roles = serializers.IntegerField()
    may_ask = CountedShape()
    no_longer = CountedShape()
    declined_at_once = CountedShape()
    approved_at_once = CountedShape()
    lacking_count = serializers.IntegerField()
    lacking = LackingShape(many=True)
    redirected_count = serializers.IntegerField()
    redirected = RedirectedShape(many=True)
    waiting_count = serializers.IntegerField()


class DifferenceShape(serializers.Serializer[Any]):
    """A request that would have gone another way."""

    number = serializers.IntegerField()
    change = serializers.CharField()
    before = serializers.CharField(source="before.words")
    after = serializers.CharField(source="after.words")


class UnknownShape(serializers.Serializer[Any]):
    """A request that could not be decided again."""

    number = serializers.IntegerField()
    why = serializers.CharField()


class PolicyReplayShape(serializers.Serializer[Replay]):
    """How past requests would have gone. `unknown_count` of `total` could not be decided again and count nowhere."""

    since = serializers.DateTimeField()
    made = serializers.IntegerField()
    total = serializers.IntegerField()
    same = serializers.IntegerField()
    counts = serializers.DictField(child=serializers.IntegerField())
    differences = DifferenceShape(many=True)
    unknown_count = serializers.IntegerField()
    unknown = UnknownShape(many=True)


class PolicyReplayRunShape(serializers.Serializer[ReplayRun]):
    """How far a replay of a draft is, in requests, and what it came to; `result` is null before it is done."""

    id = serializers.IntegerField(source="pk")
    policy = serializers.CharField(source="slug")
    state = serializers.CharField(help_text="waiting, running, done or stopped: it failed too often in a row")
    asked_at = serializers.DateTimeField(source="until")
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    done = serializers.IntegerField()
    total = serializers.IntegerField()
    result = serializers.SerializerMethodField()

    @extend_schema_field(PolicyReplayShape(allow_null=True))
    def get_result(self, run: ReplayRun) -> dict[str, Any] | None:
        """Return what it came to."""
        came_to = outcome(run)
        return None if came_to is None else dict(PolicyReplayShape(came_to).data)
