"""Birthright rules: what is in force, what a change would do, writing a version, retiring, and what is suggested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import Prefetch, QuerySet, UUIDField
from django.db.models.expressions import RawSQL
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access import birthright_preview, rule_parking, rule_runs
from governance.access.birthright_preview import EFFECTS, Preview
from governance.access.models import RuleRun, RuleSuggestion
from governance.access.suggestions import condition_of
from governance.api.doorway import DoorView
from governance.api.reading import PAGE_WORDS, ListView, StrictSerializer, page_of
from governance.api.shapes import EntitlementBrief, NothingIn
from governance.catalog import rules as catalog
from governance.catalog.models import USUAL_PRIORITY, BirthrightRule, BirthrightRuleVersion, Entitlement, RuleEffect
from governance.catalog.rules import LAST_PRIORITY, LONGEST_CONDITION, LONGEST_GRACE, MOST_EXCEPTED, RuleTerms
from governance.catalog.rules_queries import birthright_rule
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid
from governance.identity.models import Person, RoleName

_READERS = frozenset({RoleName.OWNER, RoleName.SECURITY_ADMIN, RoleName.AUDITOR})
_WRITERS = frozenset({RoleName.SECURITY_ADMIN})
#: The references of the people a version leaves out by name, with the version.
_EXCEPT_REFS = """
ARRAY(SELECT person.ref FROM identity_person person
    WHERE person.id = ANY(catalog_birthrightruleversion.except_person_ids) ORDER BY person.id)
"""


class VersionShape(serializers.ModelSerializer[BirthrightRuleVersion]):
    """What a rule says from `effective_at` on. `except_people` are references of people."""

    entitlements = EntitlementBrief(many=True, read_only=True)
    except_people = serializers.ListField(child=serializers.UUIDField(), source="except_refs", read_only=True)
    grace_days = serializers.IntegerField(source="grace.days", read_only=True)
    called_off_at = serializers.DateTimeField(source="call_off.at", default=None, read_only=True)

    class Meta:
        model = BirthrightRuleVersion
        fields = [
            "number",
            "effective_at",
            "created_at",
            "created_by_ref",
            "effect",
            "priority",
            "condition",
            "except_condition",
            "except_people",
            "grace_days",
            "entitlements",
            "called_off_at",
        ]


class RunShape(serializers.ModelSerializer[RuleRun]):
    """How far everybody is in line with a version; `version` null: the rule was retired.

    A step that fails is tried again at `retry_at`; after five in a row the run is put aside at `parked_at`, until it is
    tried again or a later version does what is left (`finished_at`).
    """

    version = serializers.IntegerField(source="version.number", default=None, read_only=True)

    class Meta:
        model = RuleRun
        fields = [
            "version",
            "due_at",
            "finished_at",
            "total",
            "done",
            "started",
            "ended",
            "kept",
            "went_on",
            "held_back",
            "failures",
            "retry_at",
            "parked_at",
            "cause",
        ]


class RuleShape(serializers.ModelSerializer[BirthrightRule]):
    """A birthright rule with its versions, the latest first."""

    versions = VersionShape(many=True, read_only=True)
    runs = serializers.SerializerMethodField()

    class Meta:
        model = BirthrightRule
        fields = ["slug", "name", "created_at", "retired_at", "versions", "runs"]

    def get_runs(self, rule: BirthrightRule) -> list[dict[str, Any]]:
        """Return how far the latest versions are applied."""
        return list(RunShape(list(rule.runs.all())[:5], many=True).data)


class NamedShape(serializers.Serializer[Any]):
    """A person for whom something changes, and in which roles, by slugs of application and role."""

    ref = serializers.UUIDField()
    display_name = serializers.CharField()
    entitlements = serializers.ListField(child=serializers.CharField())


class EffectShape(serializers.Serializer[Any]):
    """One kind of change: for how many people, in how many roles of theirs, and the first twenty by name."""

    people = serializers.IntegerField()
    roles = serializers.IntegerField()
    named = NamedShape(many=True)


class PreviewShape(serializers.Serializer[Any]):
    """What a change would do now. `digest` stays the same while it would do the same to the same people."""

    applies_to = serializers.IntegerField()
    digest = serializers.CharField()
    adds = EffectShape()
    takes = EffectShape()
    keeps = EffectShape(help_text="They lose it after the grace")
    held_back = EffectShape(help_text="A rule about duties holds it back")
    goes_on = EffectShape(help_text="They were to lose it after a grace, and keep it")
    unchanged = EffectShape(help_text="Something else gives it as well")


class SuggestionShape(serializers.ModelSerializer[RuleSuggestion]):
    """A role that most people with something in common have, and no rule gives them."""

    condition = serializers.SerializerMethodField()
    entitlement = EntitlementBrief(read_only=True)
    percent = serializers.IntegerField(read_only=True)
    missing = serializers.IntegerField(read_only=True)

    class Meta:
        model = RuleSuggestion
        fields = [
            "id",
            "attribute",
            "value",
            "condition",
            "entitlement",
            "people",
            "holders",
            "by_rule",
            "percent",
            "missing",
            "looked_at",
        ]

    def get_condition(self, suggestion: RuleSuggestion) -> str:
        """Return the condition that selects the people."""
        return condition_of(suggestion.attribute, suggestion.value)


class GivenRoleIn(StrictSerializer):
    """A role, by slugs."""

    application = serializers.SlugField(max_length=80)
    slug = serializers.SlugField(max_length=80)


class TermsIn(StrictSerializer):
    """What a version of a rule says. `starts_at` null: from now on."""

    name = serializers.CharField(max_length=catalog.LONGEST_NAME)
    condition = serializers.CharField(max_length=LONGEST_CONDITION)
    entitlements = serializers.ListField(child=GivenRoleIn(), min_length=1, max_length=catalog.MOST_ROLES)
    effect = serializers.ChoiceField(choices=RuleEffect.choices, required=False, default=RuleEffect.GIVE)
    priority = serializers.IntegerField(
        min_value=1, max_value=LAST_PRIORITY, required=False, default=USUAL_PRIORITY, help_text="1 decides first"
    )
    except_condition = serializers.CharField(max_length=LONGEST_CONDITION, required=False, allow_blank=True, default="")
    except_people = serializers.ListField(
        child=serializers.UUIDField(), required=False, default=list, max_length=MOST_EXCEPTED
    )
    grace_days = serializers.IntegerField(min_value=0, max_value=LONGEST_GRACE.days, required=False, default=0)
    starts_at = serializers.DateTimeField(required=False, allow_null=True, default=None)


class PreviewIn(TermsIn):
    """A change to look at. `rule`: the slug of the rule it would change; none: a new one."""

    rule = serializers.SlugField(max_length=80, required=False, allow_blank=True, default="")


class SaveIn(TermsIn):
    """A version to save. With `digest` of a preview it is refused when it would do something else by now."""

    digest = serializers.CharField(max_length=80, required=False, allow_blank=True, default="")


class Rules(ListView):
    """Birthright rules."""

    shape = RuleShape
    reads = _READERS
    needs = _WRITERS

    @extend_schema(
        operation_id="rules_list",
        summary="Birthright rules with their versions",
        parameters=[*PAGE_WORDS],
        responses=page_of(RuleShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of rules."""
        return self.page(_rules())

    @extend_schema(summary="Write a new rule", request=SaveIn, responses={201: RuleShape})
    def post(self, request: Request) -> Response:
        """Save the first version; everybody is brought in line with it by the workers."""
        terms, digest = _read(request)
        _check_digest(terms, None, digest)
        version = rule_runs.change_rule(terms, actor=self.actor)
        return Response(_shown(version.rule.slug), status=201)


class OneRule(DoorView):
    """One birthright rule."""

    reads = _READERS

    @extend_schema(summary="One rule with its versions, and how far they are applied", responses=RuleShape)
    def get(self, request: Request, slug: str) -> Response:
        """Return the rule."""
        return Response(_shown(slug))


class Versions(DoorView):
    """The next version of a rule."""

    needs = _WRITERS

    @extend_schema(summary="Write the next version of a rule", request=SaveIn, responses={201: RuleShape})
    def post(self, request: Request, slug: str) -> Response:
        """Save the version; everybody is brought in line with it by the workers."""
        found = birthright_rule(slug)
        terms, digest = _read(request)
        _check_digest(terms, found, digest)
        rule_runs.change_rule(terms, slug=found.slug, actor=self.actor)
        return Response(_shown(slug), status=201)


class RetireRule(DoorView):
    """Put a rule out of force."""

    needs = _WRITERS

    @extend_schema(summary="Retire a rule for good", request=NothingIn, responses=RuleShape)
    def post(self, request: Request, slug: str) -> Response:
        """Retire it; what only it gave is taken away by the workers."""
        NothingIn(data=request.data).is_valid(raise_exception=True)
        rule_runs.retire_rule(birthright_rule(slug), actor=self.actor)
        return Response(_shown(slug))


class TryRuleAgain(DoorView):
    """Go on with a rule that could not be applied."""

    needs = _WRITERS

    @extend_schema(
        summary="Try again what could not be applied of a rule",
        description="A run that failed too often in a row is put aside (`parked_at`, `cause`). 409: none is.",
        request=NothingIn,
        responses=RuleShape,
    )
    def post(self, request: Request, slug: str) -> Response:
        """Have the workers go on from where they stopped."""
        NothingIn(data=request.data).is_valid(raise_exception=True)
        rule_parking.try_again(birthright_rule(slug), actor=self.actor)
        return Response(_shown(slug))


class CallOff(DoorView):
    """Take back a version of a rule before it begins."""

    needs = _WRITERS

    @extend_schema(
        summary="Call off a version that has not begun",
        description="It never begins; the version before stays in force. 409: it has begun, or was called off before.",
        request=NothingIn,
        responses=RuleShape,
    )
    def post(self, request: Request, slug: str, number: int) -> Response:
        """Call it off."""
        NothingIn(data=request.data).is_valid(raise_exception=True)
        rule_runs.call_off(birthright_rule(slug), number, actor=self.actor)
        return Response(_shown(slug))


class RulePreview(DoorView):
    """What a change of a rule would do."""

    needs = _WRITERS

    @extend_schema(
        summary="Whom a change of a rule would add to and take from, without saving it",
        request=PreviewIn,
        responses=PreviewShape,
    )
    def post(self, request: Request) -> Response:
        """Return the preview."""
        said = PreviewIn(data=request.data)
        said.is_valid(raise_exception=True)
        found = birthright_rule(said.validated_data["rule"]) if said.validated_data["rule"] else None
        terms = _terms(said.validated_data)
        catalog.check_rule_terms(terms)
        return Response(_preview_document(birthright_preview.preview(terms, found, at=now())))


class RuleSuggestions(ListView):
    """What people with something in common have, and no rule gives them."""

    shape = SuggestionShape
    reads = _WRITERS

    @extend_schema(
        operation_id="rule_suggestions_list",
        summary="Suggested rules, by the last look; nothing is applied by itself",
        parameters=[*PAGE_WORDS],
        responses=page_of(SuggestionShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of suggestions, the most people first."""
        return self.page(RuleSuggestion.objects.select_related("entitlement__application"))


def _rules() -> QuerySet[BirthrightRule]:
    roles = Prefetch("entitlements", Entitlement.objects.select_related("application").order_by("pk"))
    refs = RawSQL(_EXCEPT_REFS, (), output_field=ArrayField(UUIDField()))  # noqa: S611 - a constant of the code
    versions = BirthrightRuleVersion.objects.annotate(except_refs=refs).prefetch_related(roles)
    versions = versions.select_related("call_off").order_by("-number")
    runs = RuleRun.objects.defer("people").select_related("version").order_by("-id")
    return BirthrightRule.objects.prefetch_related(Prefetch("versions", versions), Prefetch("runs", runs))


def _shown(slug: str) -> Mapping[str, Any]:
    return RuleShape(_rules().get(pk=birthright_rule(slug).pk)).data


def _read(request: Request) -> tuple[RuleTerms, str]:
    said = SaveIn(data=request.data)
    said.is_valid(raise_exception=True)
    terms = _terms(said.validated_data)
    catalog.check_rule_terms(terms)
    return terms, said.validated_data["digest"]


def _check_digest(terms: RuleTerms, found: BirthrightRule | None, digest: str) -> None:
    if digest and birthright_preview.preview(terms, found, at=now()).digest != digest:
        raise Conflict("The people it affects changed since the preview. Look again, then save.")


def _terms(said: Mapping[str, Any]) -> RuleTerms:
    return RuleTerms(
        name=said["name"],
        condition=said["condition"],
        entitlements=_roles(said["entitlements"]),
        effect=said["effect"],
        priority=said["priority"],
        except_condition=said["except_condition"],
        except_people=_people(said["except_people"]),
        grace=timedelta(days=said["grace_days"]),
        starts_at=said["starts_at"],
    )


def _roles(said: Sequence[Mapping[str, str]]) -> list[Entitlement]:
    wanted = {(one["application"], one["slug"]) for one in said}
    known = Entitlement.objects.filter(
        application__slug__in={application for application, _ in wanted}, slug__in={slug for _, slug in wanted}
    ).select_related("application")
    found = {(one.application.slug, one.slug): one for one in known}
    if missing := sorted(wanted - found.keys()):
        raise Invalid({"entitlements": [f"There is no {slug} in {application}." for application, slug in missing]})
    return [found[one] for one in sorted(wanted)]


def _people(refs: Sequence[Any]) -> list[Person]:
    found = list(Person.objects.filter(ref__in=refs))
    if len(found) != len(set(refs)):
        raise Invalid({"except_people": "One of these people does not exist."})
    return found


def _preview_document(said: Preview) -> Mapping[str, Any]:
    wanted = {role for effect in said.effects.values() for one in effect.named for role in one.entitlement_ids}
    known = Entitlement.objects.filter(pk__in=wanted).values_list("pk", "application__slug", "slug")
    roles = {key: f"{application}/{slug}" for key, application, slug in known}
    effects = {
        kind: {
            "people": said.of(kind).people,
            "roles": said.of(kind).roles,
            "named": [
                {
                    "ref": one.ref,
                    "display_name": one.name,
                    "entitlements": [roles[role] for role in one.entitlement_ids],
                }
                for one in said.of(kind).named
            ],
        }
        for kind in EFFECTS
    }
    return PreviewShape({"applies_to": said.applies_to, "digest": said.digest, **effects}).data
