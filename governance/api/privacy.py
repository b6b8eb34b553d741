"""What is kept of people: erasures, legal holds, for how long. Security administrators decide, auditors look."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.doorway import DoorView
from governance.api.reading import PAGE_WORDS, ListView, StrictSerializer, checked, choice, page_of
from governance.api.shapes import NothingIn, PersonBrief
from governance.catalog.models import Application
from governance.core.errors import Invalid
from governance.identity.models import AsideName, Person, RoleName
from governance.identity.queries import person as person_by_ref
from governance.privacy import erasing, legal_holds, pruning, queries, retaining
from governance.privacy.legal_holds import LONGEST
from governance.privacy.models import Erasure, ErasureState, LegalHold, RetentionProposal, RetentionRule

_READERS = frozenset({RoleName.SECURITY_ADMIN, RoleName.AUDITOR})
_ADMINS = frozenset({RoleName.SECURITY_ADMIN})
_MOST_NAMED = 1000


class ErasureShape(serializers.ModelSerializer[Erasure]):
    """Somebody's data goes, or waits until `due_at`; `name_aside` is their name while a duty keeps it aside.

    `places` is how many rows of which column were changed when it was done.
    """

    person = PersonBrief(read_only=True)
    name_aside = serializers.CharField(allow_null=True, read_only=True)
    places = serializers.DictField(child=serializers.IntegerField(), read_only=True)

    class Meta:
        model = Erasure
        fields = [
            "id", "person", "name_aside", "state", "ground", "duty", "due_at", "asked_by_ref", "asked_at",
            "settled_at", "hindered_by", "places",
        ]  # fmt: skip


class ErasureIn(StrictSerializer):
    """Whose data goes and on what ground. With `duty` it waits until the years are over; without, it goes at once."""

    person = serializers.UUIDField()
    ground = serializers.CharField(max_length=LONGEST)
    duty = serializers.CharField(max_length=LONGEST, allow_blank=True, default="")


class InTheWayShape(serializers.Serializer[Any]):
    """Why somebody's data cannot go now, in sentences; empty: it can."""

    hindrances = serializers.ListField(child=serializers.CharField())
    years = serializers.IntegerField(help_text="For how many years a duty keeps it after they left")


class LegalHoldShape(serializers.ModelSerializer[LegalHold]):
    """What must be kept: people by reference, applications by slug; both empty: everything."""

    people = serializers.ListField(child=serializers.CharField(), read_only=True)
    applications = serializers.ListField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = LegalHold
        fields = [
            "ref", "name", "reason", "people", "applications", "placed_by_ref", "placed_at",
            "release_proposed_by_ref", "release_proposed_at", "release_reason", "released_by_ref", "released_at",
        ]  # fmt: skip


class LegalHoldIn(StrictSerializer):
    """What must be kept; naming nobody and nothing means everything."""

    name = serializers.CharField(max_length=120)
    reason = serializers.CharField(max_length=LONGEST)
    people = serializers.ListField(child=serializers.UUIDField(), default=list, max_length=_MOST_NAMED)
    applications = serializers.ListField(
        child=serializers.CharField(max_length=120), default=list, max_length=_MOST_NAMED
    )


class ReleaseReasonIn(StrictSerializer):
    """Why a hold ends."""

    reason = serializers.CharField(max_length=LONGEST)


class RetentionProposalShape(serializers.ModelSerializer[RetentionProposal]):
    """Fewer years that somebody proposed. `decided_at` null: a second person has to decide."""

    class Meta:
        model = RetentionProposal
        fields = [
            "id", "years", "why", "proposed_by_ref", "proposed_at", "decided_by_ref", "decided_at", "was_confirmed",
        ]  # fmt: skip


class RetentionRuleShape(serializers.ModelSerializer[RetentionRule]):
    """For how many years records are kept after somebody left."""

    class Meta:
        model = RetentionRule
        fields = ["years", "why", "set_by_ref", "set_at"]


class LedgerKeptShape(serializers.Serializer[Any]):
    """What is kept of the ledger: all texts from `minimum` on, and `kept_below` before it that something needs."""

    minimum = serializers.IntegerField()
    kept_since = serializers.DateTimeField(allow_null=True)
    kept_below = serializers.IntegerField()
    ripe = serializers.IntegerField(help_text="Texts up to here are old enough to go with the next run")
    next_at = serializers.DateTimeField(allow_null=True)


class RetentionShape(serializers.Serializer[Any]):
    """For how long records are kept, what was said of it last, and what waits for a second person."""

    years = serializers.IntegerField()
    rule = RetentionRuleShape(allow_null=True, help_text="Null: nobody has set it yet")
    proposal = RetentionProposalShape(allow_null=True)
    ledger = LedgerKeptShape()


class RetentionIn(StrictSerializer):
    """For how many years records are kept, and why. Fewer than now is a proposal."""

    years = serializers.IntegerField()
    why = serializers.CharField(max_length=LONGEST)


class Erasures(ListView):
    """Erasures."""

    reads, needs = _READERS, _ADMINS
    shape = ErasureShape
    ordering = "-id"
    filters = frozenset({"state"})

    @extend_schema(
        operation_id="erasures_list",
        summary="Whose data goes, waits or went, the latest first",
        parameters=[OpenApiParameter("state", str, enum=ErasureState.values), *PAGE_WORDS],
        responses=page_of(ErasureShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of erasures."""
        state, found = choice(request, "state", ErasureState.values), _erasures()
        return self.page(found.filter(state=state) if state else found)

    @extend_schema(
        summary="Have somebody's data go: at once and for good, or, with a duty to keep it, when the years are over",
        request=ErasureIn,
        responses={201: ErasureShape},
    )
    def post(self, request: Request) -> Response:
        """Erase or restrict; 409 says what is in the way."""
        said = checked(ErasureIn, request)
        who = _people([said.pop("person")], "person")[0]
        made = erasing.ask(who, said["ground"], duty=said["duty"], actor=self.actor)
        return Response(ErasureShape(_erasures().get(pk=made.pk)).data, status=201)


class OneErasure(DoorView):
    """One erasure."""

    reads = _READERS

    @extend_schema(summary="One erasure", responses=ErasureShape)
    def get(self, request: Request, erasure_id: int) -> Response:
        """Return it."""
        return Response(_shown_erasure(erasure_id))


class CancelErasure(DoorView):
    """It stays after all."""

    needs = _ADMINS

    @extend_schema(
        summary="Have the data of somebody whose erasure waits stay", request=NothingIn, responses=ErasureShape
    )
    def post(self, request: Request, erasure_id: int) -> Response:
        """Cancel it; names that were put aside go back."""
        checked(NothingIn, request)
        erasing.cancel(queries.erasure(erasure_id), actor=self.actor)
        return Response(_shown_erasure(erasure_id))


class InTheWay(DoorView):
    """What is in the way of erasing somebody."""

    reads = _ADMINS

    @extend_schema(summary="What is in the way of erasing somebody now", responses=InTheWayShape)
    def get(self, request: Request, ref: uuid.UUID) -> Response:
        """Return it in sentences."""
        found = {"hindrances": erasing.hindrances(person_by_ref(ref)), "years": retaining.years_kept()}
        return Response(InTheWayShape(found).data)


class LegalHolds(ListView):
    """Legal holds."""

    reads, needs = _READERS, _ADMINS
    shape = LegalHoldShape
    ordering = "-id"
    filters = frozenset({"state"})

    @extend_schema(
        operation_id="legal_holds_list",
        summary="What must be kept, the latest first",
        parameters=[OpenApiParameter("state", str, enum=["running", "released"]), *PAGE_WORDS],
        responses=page_of(LegalHoldShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of holds."""
        state, found = choice(request, "state", ["running", "released"]), LegalHold.objects.all()
        return self.page(found.filter(released_at__isnull=state == "running") if state else found)

    @extend_schema(
        summary="Have something kept until two people release it", request=LegalHoldIn, responses={201: LegalHoldShape}
    )
    def post(self, request: Request) -> Response:
        """Place a hold."""
        said = checked(LegalHoldIn, request)
        people, applications = _people(said["people"], "people"), _applications(said["applications"])
        made = legal_holds.place(
            said["name"], said["reason"], people=people, applications=applications, actor=self.actor
        )
        return Response(LegalHoldShape(made).data, status=201)


class OneLegalHold(DoorView):
    """One hold."""

    reads = _READERS

    @extend_schema(summary="One legal hold", responses=LegalHoldShape)
    def get(self, request: Request, ref: uuid.UUID) -> Response:
        """Return it."""
        return Response(LegalHoldShape(legal_holds.hold_named(ref)).data)


class ProposeRelease(DoorView):
    """The first of two."""

    needs = _ADMINS

    @extend_schema(
        summary="Propose that a hold ends; somebody else confirms", request=ReleaseReasonIn, responses=LegalHoldShape
    )
    def post(self, request: Request, ref: uuid.UUID) -> Response:
        """Propose it."""
        hold = legal_holds.hold_named(ref)
        legal_holds.propose_release(hold, checked(ReleaseReasonIn, request)["reason"], actor=self.actor)
        return Response(LegalHoldShape(hold).data)


class ReleaseLegalHold(DoorView):
    """The second of two."""

    needs = _ADMINS

    @extend_schema(
        summary="Release a hold, as somebody else than who proposed it", request=NothingIn, responses=LegalHoldShape
    )
    def post(self, request: Request, ref: uuid.UUID) -> Response:
        """Release it."""
        checked(NothingIn, request)
        hold = legal_holds.hold_named(ref)
        legal_holds.release(hold, actor=self.actor)
        return Response(LegalHoldShape(hold).data)


class DeclineRelease(DoorView):
    """It goes on."""

    needs = _ADMINS

    @extend_schema(
        summary="Say no to the end of a hold, or take one's proposal back",
        request=NothingIn,
        responses=LegalHoldShape,
    )
    def post(self, request: Request, ref: uuid.UUID) -> Response:
        """Have it go on."""
        checked(NothingIn, request)
        hold = legal_holds.hold_named(ref)
        legal_holds.decline_release(hold, actor=self.actor)
        return Response(LegalHoldShape(hold).data)


class Retention(DoorView):
    """For how long records are kept."""

    reads, needs = _READERS, _ADMINS

    @extend_schema(summary="For how many years records are kept, and what is proposed", responses=RetentionShape)
    def get(self, request: Request) -> Response:
        """Return it."""
        return Response(_retention())

    @extend_schema(
        summary="Keep records for another number of years; fewer than now are proposed to a second person",
        request=RetentionIn,
        responses={200: RetentionShape, 202: RetentionShape},
    )
    def post(self, request: Request) -> Response:
        """Keep the years: 200; or propose fewer: 202."""
        said = checked(RetentionIn, request)
        rule = retaining.set_retention(said["years"], said["why"], actor=self.actor)
        return Response(_retention(), status=200 if rule else 202)


class RetentionProposals(ListView):
    """Fewer years that were proposed."""

    reads = _READERS
    shape = RetentionProposalShape
    ordering = "-id"

    @extend_schema(
        operation_id="retention_proposals_list",
        summary="Fewer years that were proposed, the latest first, with who decided what",
        parameters=[*PAGE_WORDS],
        responses=page_of(RetentionProposalShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of proposals."""
        return self.page(RetentionProposal.objects.all())


class ConfirmShorter(DoorView):
    """The second of two."""

    needs = _ADMINS

    @extend_schema(
        summary="Confirm fewer years, as somebody else than who proposed them",
        request=NothingIn,
        responses=RetentionShape,
    )
    def post(self, request: Request, proposal_id: int) -> Response:
        """Keep records for fewer years from now on."""
        checked(NothingIn, request)
        retaining.confirm_shorter(proposal_id, actor=self.actor)
        return Response(_retention())


class DeclineShorter(DoorView):
    """It stays as it is."""

    needs = _ADMINS

    @extend_schema(
        summary="Say no to fewer years, or take one's proposal back", request=NothingIn, responses=RetentionShape
    )
    def post(self, request: Request, proposal_id: int) -> Response:
        """Keep the years as they are."""
        checked(NothingIn, request)
        retaining.decline_shorter(proposal_id, actor=self.actor)
        return Response(_retention())


def _erasures() -> QuerySet[Erasure]:
    aside = AsideName.objects.filter(person=OuterRef("person"), number=0)
    rows = Erasure.objects.select_related("person")
    return rows.annotate(name_aside=Subquery(aside.values("display_name")[:1]))


def _shown_erasure(erasure_id: int) -> dict[str, Any]:
    queries.erasure(erasure_id)
    return dict(ErasureShape(_erasures().get(pk=erasure_id)).data)


def _retention() -> dict[str, Any]:
    rule = RetentionRule.objects.order_by("-id").first()
    proposal = retaining.proposal()
    known = {"years": retaining.years_kept(), "rule": rule, "proposal": proposal, "ledger": pruning.standing(0)}
    return dict(RetentionShape(known).data)


def _people(refs: list[uuid.UUID], field: str) -> list[Person]:
    """Return whom the references name. Raises Invalid naming the field."""
    found = list(Person.objects.filter(ref__in=refs))
    missing = sorted({str(ref) for ref in refs} - {str(one.ref) for one in found})
    if missing:
        raise Invalid({field: f"There is nobody with the reference {', '.join(missing[:5])}."})
    return found


def _applications(slugs: list[str]) -> list[Application]:
    found = list(Application.objects.filter(slug__in=slugs))
    missing = sorted(set(slugs) - {one.slug for one in found})
    if missing:
        raise Invalid({"applications": f"There is no application {', '.join(missing[:5])}."})
    return found
