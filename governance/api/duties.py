"""Rules about duties: which roles nobody should have together, and who is excepted until when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access import exceptions
from governance.api.doorway import DoorView
from governance.api.reading import PAGE_WORDS, ListView, StrictSerializer, page_of
from governance.api.shapes import NothingIn
from governance.catalog import sod
from governance.catalog.models import Entitlement, Risk, SodEffect, SodException, SodRule, SodRuleVersion, SodSide
from governance.catalog.sod import SodTerms
from governance.catalog.sod_queries import sod_exception, sod_rule
from governance.core.errors import Invalid
from governance.identity.models import Person, RoleName

_ADMIN = frozenset({RoleName.SECURITY_ADMIN.value})
_READERS = _ADMIN | {RoleName.AUDITOR.value}


class DutyRoleShape(serializers.Serializer[Any]):
    """A role by its names."""

    application = serializers.SlugField()
    slug = serializers.SlugField()


class DutyRuleShape(serializers.ModelSerializer[SodRule]):
    """A rule as its newest version says it. `at_most` null: nobody has one of `first` and one of `second`."""

    version = serializers.SerializerMethodField()

    class Meta:
        model = SodRule
        fields = ["slug", "retired_at", "version"]

    def get_version(self, rule: SodRule) -> dict[str, Any]:
        """Return what the newest version says."""
        newest = SodRuleVersion.objects.filter(rule=rule).select_related("owner").latest("number")
        members = newest.members.select_related("entitlement__application").order_by("pk")
        sides = {side: [] for side in SodSide.values}  # type: dict[str, list[dict[str, str]]]
        for member in members:
            role = member.entitlement
            sides[member.side].append({"application": role.application.slug, "slug": role.slug})
        return {
            "number": newest.number,
            "name": newest.name,
            "why": newest.why,
            "severity": newest.severity,
            "effect": newest.effect,
            "at_most": newest.at_most,
            "owner": str(newest.owner.ref),
            "first": sides[SodSide.FIRST],
            "second": sides[SodSide.SECOND],
            "effective_at": newest.effective_at,
        }


class DutyExceptionShape(serializers.ModelSerializer[SodException]):
    """Somebody may break a rule until then."""

    rule = serializers.SlugField(source="rule.slug")
    person = serializers.UUIDField(source="person.ref")
    owner = serializers.UUIDField(source="owner.ref")

    class Meta:
        model = SodException
        fields = ["id", "rule", "person", "owner", "reason", "starts_at", "ends_at", "ended_at"]


class DutyRuleIn(StrictSerializer):
    """What a version says."""

    name = serializers.CharField(max_length=120)
    why = serializers.CharField(max_length=300)
    first = DutyRoleShape(many=True)
    second = DutyRoleShape(many=True, required=False, default=list)
    at_most = serializers.IntegerField(required=False, allow_null=True, default=None)
    severity = serializers.IntegerField(min_value=min(Risk.values), max_value=max(Risk.values), default=Risk.HIGH)
    effect = serializers.ChoiceField(SodEffect.choices, default=SodEffect.BLOCK)
    owner = serializers.UUIDField()


class DutyExceptionIn(StrictSerializer):
    """Whom to except, why, who answers for it and until when."""

    person = serializers.UUIDField()
    owner = serializers.UUIDField()
    reason = serializers.CharField(max_length=sod.LONGEST_REASON)
    ends_at = serializers.DateTimeField()


class DutyRules(ListView):
    """Rules about duties."""

    needs = _ADMIN
    reads = _READERS
    shape = DutyRuleShape

    @extend_schema(
        operation_id="duties_list",
        summary="Rules about duties, also those that are retired",
        parameters=list(PAGE_WORDS),
        responses=page_of(DutyRuleShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of rules."""
        return self.page(SodRule.objects.all())

    @extend_schema(summary="Add a rule, in force from now on", request=DutyRuleIn, responses={201: DutyRuleShape})
    def post(self, request: Request) -> Response:
        """Save the first version of a rule."""
        version = sod.save_sod_rule(_terms(request), actor=self.actor)
        return Response(DutyRuleShape(version.rule).data, status=201)


class OneDutyRule(DoorView):
    """One rule about duties."""

    needs = _ADMIN
    reads = _READERS

    @extend_schema(summary="One rule about duties", responses=DutyRuleShape)
    def get(self, request: Request, slug: str) -> Response:
        """Return a rule."""
        return Response(DutyRuleShape(sod_rule(slug)).data)

    @extend_schema(summary="Save the next version of a rule", request=DutyRuleIn, responses=DutyRuleShape)
    def put(self, request: Request, slug: str) -> Response:
        """Save a version; in force from now on."""
        found = sod_rule(slug)
        sod.save_sod_rule(_terms(request), slug=found.slug, actor=self.actor)
        return Response(DutyRuleShape(sod_rule(slug)).data)

    @extend_schema(summary="Put a rule out of force for good", responses={204: None})
    def delete(self, request: Request, slug: str) -> Response:
        """Retire a rule."""
        sod.retire_sod_rule(sod_rule(slug), actor=self.actor)
        return Response(status=204)


class DutyExceptions(ListView):
    """Exceptions from a rule."""

    needs = _ADMIN
    reads = _READERS
    shape = DutyExceptionShape
    ordering = "-id"

    @extend_schema(
        operation_id="duty_exceptions_list",
        summary="Exceptions from a rule, the latest first",
        parameters=[OpenApiParameter("slug", str, OpenApiParameter.PATH), *PAGE_WORDS],
        responses=page_of(DutyExceptionShape),
    )
    def get(self, request: Request, slug: str) -> Response:
        """Return one page of exceptions."""
        found = SodException.objects.filter(rule=sod_rule(slug)).select_related("rule", "person", "owner")
        return self.page(found)

    @extend_schema(summary="Except somebody", request=DutyExceptionIn, responses={201: DutyExceptionShape})
    def post(self, request: Request, slug: str) -> Response:
        """Let somebody break the rule for a time; what it held back is given at once."""
        found = sod_rule(slug)
        said = DutyExceptionIn(data=request.data)
        said.is_valid(raise_exception=True)
        wanted = said.validated_data
        made = exceptions.grant_exception(
            found,
            _person(wanted["person"], "person"),
            reason=wanted["reason"],
            owner=_person(wanted["owner"], "owner"),
            ends_at=wanted["ends_at"],
            granted_by=self.person,
            actor=self.actor,
        )
        return Response(DutyExceptionShape(sod_exception(made.pk)).data, status=201)


class EndDutyException(DoorView):
    """The end of an exception."""

    needs = _ADMIN

    @extend_schema(summary="End an exception before its time", request=NothingIn, responses=DutyExceptionShape)
    def post(self, request: Request, exception_id: int) -> Response:
        """End an exception."""
        NothingIn(data=request.data).is_valid(raise_exception=True)
        sod.end_sod_exception(sod_exception(exception_id), ended_by=self.person, actor=self.actor)
        return Response(DutyExceptionShape(sod_exception(exception_id)).data)


def _terms(request: Request) -> SodTerms:
    said = DutyRuleIn(data=request.data)
    said.is_valid(raise_exception=True)
    wanted = dict(said.validated_data)
    return SodTerms(
        **{
            **wanted,
            "first": _roles(wanted["first"], "first"),
            "second": _roles(wanted["second"], "second"),
            "owner": _person(wanted["owner"], "owner"),
        }
    )


def _roles(said: Sequence[dict[str, str]], field: str) -> list[Entitlement]:
    wanted = [(one["application"], one["slug"]) for one in said]
    known = Entitlement.objects.filter(
        application__slug__in=[application for application, _ in wanted], slug__in=[slug for _, slug in wanted]
    ).select_related("application")
    found = {(one.application.slug, one.slug): one for one in known}
    if missing := [one for one in wanted if one not in found]:
        raise Invalid({field: [f"There is no {slug} in {application}." for application, slug in missing]})
    return [found[one] for one in dict.fromkeys(wanted)]


def _person(ref: Any, field: str) -> Person:
    found = Person.objects.filter(ref=ref).first()
    if found is None:
        raise Invalid({field: "Nobody has this reference."})
    return found
