"""Leavers: how far each is, what would happen, planned leave dates, what is held, and files of people."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.doorway import DoorView
from governance.api.reading import PAGE_WORDS, ListView, StrictSerializer, page_of
from governance.api.shapes import NothingIn
from governance.core.errors import Conflict, Invalid
from governance.identity.models import Person, RoleName, Status
from governance.identity.queries import person as person_by_ref
from governance.lifecycle import brake, handing_over, holds_queries, people_file, planning, tracking
from governance.lifecycle import holds as holding
from governance.lifecycle.brake import Limits
from governance.lifecycle.drill import drill
from governance.lifecycle.models import HeldItem
from governance.lifecycle.people_file import Outcome, Unreadable

_READERS = frozenset({RoleName.SECURITY_ADMIN.value, RoleName.AUDITOR.value})
_WRITERS = frozenset({RoleName.SECURITY_ADMIN.value})


class LeaverShape(serializers.Serializer[Any]):
    """A leaver and how far the removals are. Seconds count from the signal; null: not all is read back."""

    ref = serializers.UUIDField(source="person.ref")
    display_name = serializers.CharField(source="person.display_name")
    left_at = serializers.DateTimeField(source="person.left_at")
    state = serializers.CharField(help_text="nothing, ordered, failed, by_hand or verified (all read back)")
    applications = serializers.IntegerField()
    ordered = serializers.IntegerField()
    done = serializers.IntegerField()
    failed = serializers.IntegerField()
    read_back_after = serializers.FloatField(allow_null=True)
    undecided = serializers.IntegerField(help_text="Things they answered for that nobody took over")


class LeaverLines(LeaverShape):
    """The lines of a page of people, two statements however many."""

    @classmethod
    def many_init(cls, people: list[Person], **known: Any) -> Any:
        """Return the serializer of their lines."""
        known.pop("many", None)
        return LeaverShape(tracking.lines_of(people), many=True, **known)


class RemovalShape(serializers.Serializer[Any]):
    """One order to take something away."""

    role = serializers.CharField()
    state = serializers.CharField(help_text="waiting, sending, delivered, verified or failed")
    ordered_after = serializers.FloatField()
    sent_after = serializers.FloatField(allow_null=True)
    read_back_after = serializers.FloatField(allow_null=True)
    by_hand = serializers.BooleanField()
    grant_id = serializers.IntegerField(allow_null=True)
    cause = serializers.CharField()
    next_step = serializers.CharField()


class ProgressShape(serializers.Serializer[Any]):
    """What leaving took from one application so far."""

    application = serializers.CharField(source="application.slug")
    state = serializers.CharField(help_text="failed, seen, ordered, delivered, by_hand or verified")
    read_back_after = serializers.FloatField(allow_null=True)
    removals = RemovalShape(many=True)
    unexplained = serializers.SerializerMethodField()

    def get_unexplained(self, part: Any) -> list[str]:
        """Return the names of accounts that are there without an order."""
        return [account.user_name for account in part.unexplained]


class HandoverShape(serializers.Serializer[Any]):
    """One thing somebody answered for, and who does since."""

    id = serializers.IntegerField(source="pk", allow_null=True)
    kind = serializers.CharField()
    subject = serializers.CharField(source="subject_ref")
    name = serializers.CharField(source="subject_name")
    heir = serializers.UUIDField(source="heir.ref", default=None)
    rule = serializers.CharField(help_text="manager, others, security or nobody")
    settled_at = serializers.DateTimeField(allow_null=True)


class OneLeaverShape(serializers.Serializer[Any]):
    """A leaver, application by application, with what they answered for."""

    ref = serializers.UUIDField()
    left_at = serializers.DateTimeField()
    applications = ProgressShape(many=True)
    handovers = HandoverShape(many=True)


class WouldTakeShape(serializers.Serializer[Any]):
    """One order that leaving would give."""

    role = serializers.CharField()
    is_ordered = serializers.BooleanField(help_text="False: it has not begun and is called off")


class WouldHappenShape(serializers.Serializer[Any]):
    """What would happen in one application."""

    application = serializers.CharField(source="application.slug")
    orders = WouldTakeShape(many=True)
    accounts = serializers.SerializerMethodField()
    by_hand = serializers.BooleanField()
    is_stuck = serializers.BooleanField()
    unexplained = serializers.BooleanField()

    def get_accounts(self, part: Any) -> list[str]:
        """Return the names of the accounts."""
        return [account.user_name for account in part.accounts]


class DrillShape(serializers.Serializer[Any]):
    """What would happen if somebody left now. Nothing of it has happened."""

    ref = serializers.UUIDField(source="person.ref")
    at = serializers.DateTimeField()
    orders = serializers.IntegerField()
    requests = serializers.IntegerField()
    tokens = serializers.IntegerField()
    applications = WouldHappenShape(many=True)
    handovers = HandoverShape(many=True)


class PlanIn(StrictSerializer):
    """When somebody leaves."""

    leaves_at = serializers.DateTimeField(allow_null=True, help_text="Null calls a planned leave off")
    note = serializers.CharField(required=False, allow_blank=True, max_length=500)


class PlannedShape(serializers.Serializer[Any]):
    """What was planned. `is_held`: too many were, and a second person decides."""

    ref = serializers.UUIDField()
    leaves_at = serializers.DateTimeField(allow_null=True)
    is_held = serializers.BooleanField()


class HoldShape(serializers.Serializer[Any]):
    """A change that is or was held."""

    ref = serializers.UUIDField(source="hold.ref")
    source = serializers.CharField(source="hold.source")  # type: ignore[assignment]  # a name of ours
    state = serializers.CharField(source="hold.state")
    opened_at = serializers.DateTimeField(source="hold.opened_at")
    decided_at = serializers.DateTimeField(source="hold.decided_at", allow_null=True)
    limit = serializers.IntegerField(source="hold.limit")
    window_hours = serializers.IntegerField(source="hold.window_hours")
    people = serializers.DictField(child=serializers.IntegerField(), source="numbers")


class HoldsShape(serializers.Serializer[Any]):
    """What waits for a decision, and the latest that were decided."""

    open = HoldShape(many=True)
    decided = HoldShape(many=True)


class HeldItemShape(serializers.Serializer[Any]):
    """One person whom a held change is about."""

    id = serializers.IntegerField()
    person = serializers.UUIDField(source="person.ref")
    display_name = serializers.CharField(source="person.display_name")
    kind = serializers.CharField(help_text="leave, loss or plan")
    state = serializers.CharField()
    signalled_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)
    done_at = serializers.DateTimeField(allow_null=True)


class HoldDecisionIn(StrictSerializer):
    """Why, and for whom: without `items` for everybody who waits."""

    reason = serializers.CharField(max_length=2000)
    items = serializers.ListField(child=serializers.IntegerField(), required=False, max_length=1000)


class DecidedShape(serializers.Serializer[Any]):
    """For how many people it was decided."""

    people = serializers.IntegerField()


class LimitsShape(serializers.Serializer[Any]):
    """The limits of a source and how much of them is used."""

    source = serializers.CharField()  # type: ignore[assignment]  # a name of ours
    share_percent = serializers.IntegerField(source="limits.share_percent")
    at_least = serializers.IntegerField(source="limits.at_least")
    at_most = serializers.IntegerField(source="limits.at_most")
    window_hours = serializers.IntegerField(source="limits.window_hours")
    people = serializers.IntegerField()
    limit = serializers.IntegerField()
    taken = serializers.IntegerField()


class LimitsIn(StrictSerializer):
    """New limits of one source."""

    source = serializers.CharField(max_length=120)  # type: ignore[assignment]  # a name of ours
    share_percent = serializers.IntegerField()
    at_least = serializers.IntegerField()
    at_most = serializers.IntegerField()
    window_hours = serializers.IntegerField()


class FileIn(StrictSerializer):
    """A file of people as text; docs/operations.md has the format."""

    name = serializers.CharField(max_length=200)
    content = serializers.CharField(trim_whitespace=False, allow_blank=True)
    is_full = serializers.BooleanField(default=False)
    dry_run = serializers.BooleanField(default=False)


class OutcomeShape(serializers.Serializer[Any]):
    """What a file did, or would do: names by what happens to them."""

    rows = serializers.IntegerField()
    joined = serializers.ListField(child=serializers.CharField())
    changed = serializers.ListField(child=serializers.CharField())
    left = serializers.ListField(child=serializers.CharField())
    planned = serializers.ListField(child=serializers.CharField())
    called_off = serializers.ListField(child=serializers.CharField())
    held = serializers.ListField(child=serializers.CharField())
    kept = serializers.ListField(child=serializers.CharField())


class Leavers(ListView):
    """People who left."""

    reads = _READERS
    shape = LeaverLines

    @extend_schema(
        operation_id="leavers_list",
        summary="Leavers and how far their removals are",
        parameters=[*PAGE_WORDS],
        responses=page_of(LeaverShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of leavers."""
        return self.page(tracking.leavers())


class OneLeaver(DoorView):
    """One leaver."""

    reads = _READERS

    @extend_schema(summary="One leaver, application by application", responses=OneLeaverShape)
    def get(self, request: Request, ref: uuid.UUID) -> Response:
        """Return how far each removal is. 409 for somebody who has not left: ask for the drill."""
        person = person_by_ref(ref)
        if person.status != Status.LEFT:
            raise Conflict(f"{person.display_name} has not left.")
        said = {
            "ref": person.ref,
            "left_at": person.left_at,
            "applications": tracking.progress_of(person),
            "handovers": tracking.handovers_of(person),
        }
        return Response(OneLeaverShape(said).data)


class Drill(DoorView):
    """What would happen."""

    reads = _READERS

    @extend_schema(summary="What would happen if somebody left now", responses=DrillShape)
    def get(self, request: Request, ref: uuid.UUID) -> Response:
        """Return every order, account and handover that leaving would cause. Nothing is written."""
        person = person_by_ref(ref)
        if person.status == Status.LEFT:
            raise Conflict(f"{person.display_name} left already.")
        return Response(DrillShape(drill(person)).data)


class PlanLeave(DoorView):
    """A planned leave date."""

    needs = _WRITERS

    @extend_schema(summary="Plan when somebody leaves, move it, or call it off", request=PlanIn, responses=PlannedShape)
    def post(self, request: Request, ref: uuid.UUID) -> Response:
        """Write when a person leaves."""
        said = PlanIn(data=request.data)
        said.is_valid(raise_exception=True)
        if person_by_ref(ref).pk == self.person.pk:
            raise Invalid({"ref": "Somebody else has to plan that you leave."})
        leaves_at, note = said.validated_data["leaves_at"], said.validated_data.get("note", "")
        is_held = False
        with transaction.atomic():
            person = Person.objects.select_for_update(no_key=True).get(ref=ref)
            if leaves_at is None:
                planning.call_off(person, note=note, actor=self.actor)
            else:
                is_held = not planning.plan(person, leaves_at, note=note, actor=self.actor)
        return Response(PlannedShape({"ref": ref, "leaves_at": person.leaves_at, "is_held": is_held}).data)


class Settle(DoorView):
    """A handover."""

    needs = _WRITERS

    @extend_schema(summary="Note that somebody decided who answers for it", request=NothingIn, responses=HandoverShape)
    def post(self, request: Request, handover_id: int) -> Response:
        """Settle what had no heir."""
        NothingIn(data=request.data).is_valid(raise_exception=True)
        return Response(HandoverShape(handing_over.settle(handover_id, by=self.person, actor=self.actor)).data)


class Holds(DoorView):
    """Held changes."""

    reads = _READERS

    @extend_schema(summary="What is held, and what was decided", responses=HoldsShape)
    def get(self, request: Request) -> Response:
        """Return the open holds and the latest that were decided."""
        said = {name: holds_queries.holds(is_open=name == "open") for name in ("open", "decided")}
        return Response(HoldsShape(said).data)


class HeldItems(ListView):
    """Whom a hold is about."""

    reads = _READERS
    shape = HeldItemShape

    @extend_schema(
        operation_id="hold_items_list",
        summary="The people a hold is about",
        parameters=[*PAGE_WORDS],
        responses=page_of(HeldItemShape),
    )
    def get(self, request: Request, ref: uuid.UUID) -> Response:
        """Return one page of the people a hold is about."""
        return self.page(HeldItem.objects.filter(hold=holds_queries.hold_line(ref).hold).select_related("person"))


class Release(DoorView):
    """Let what is held happen."""

    needs = _WRITERS

    @extend_schema(summary="Release what is held", request=HoldDecisionIn, responses=DecidedShape)
    def post(self, request: Request, ref: uuid.UUID) -> Response:
        """Release; somebody else than who gave the signal has to."""
        said = _decision(request)
        number = holding.release(ref, said.get("items"), by=self.person, reason=said["reason"], actor=self.actor)
        return Response(DecidedShape({"people": number}).data)


class Refuse(DoorView):
    """Decide that what is held must not happen."""

    needs = _WRITERS

    @extend_schema(summary="Refuse what is held", request=HoldDecisionIn, responses=DecidedShape)
    def post(self, request: Request, ref: uuid.UUID) -> Response:
        """Refuse; these people stay as they are."""
        said = _decision(request)
        number = holding.refuse(ref, said.get("items"), by=self.person, reason=said["reason"], actor=self.actor)
        return Response(DecidedShape({"people": number}).data)


class HoldLimits(DoorView):
    """The limits of sources."""

    reads = _READERS
    needs = _WRITERS

    @extend_schema(summary="From how many people on each source is held", responses=LimitsShape(many=True))
    def get(self, request: Request) -> Response:
        """Return the limits of every source."""
        return Response(LimitsShape(holds_queries.sources(), many=True).data)

    @extend_schema(summary="Change the limits of one source", request=LimitsIn, responses=LimitsShape)
    def post(self, request: Request) -> Response:
        """Set the limits of a known source; 422 for another."""
        said = LimitsIn(data=request.data)
        said.is_valid(raise_exception=True)
        source = said.validated_data.pop("source")
        if source not in {line.source for line in holds_queries.sources()}:
            raise Invalid({"source": "There is no such source."})
        brake.set_limits(source, Limits(**said.validated_data), actor=self.actor)
        line = next(one for one in holds_queries.sources() if one.source == source)
        return Response(LimitsShape(line).data)


class PeopleFile(DoorView):
    """A file of people."""

    needs = _WRITERS

    @extend_schema(summary="Apply a file of people, or say what it would do", request=FileIn, responses=OutcomeShape)
    def post(self, request: Request) -> Response:
        """Apply a file, all of it or nothing; 422 with every problem by its row."""
        said = FileIn(data=request.data)
        said.is_valid(raise_exception=True)
        raw, is_full = said.validated_data["content"].encode(), said.validated_data["is_full"]
        return Response(OutcomeShape(self._outcome(raw, is_full, said.validated_data)).data)

    def _outcome(self, raw: bytes, is_full: bool, said: dict[str, Any]) -> Outcome:
        try:
            if said["dry_run"]:
                return people_file.preview(raw, is_full=is_full, actor=self.actor)
            return people_file.apply(raw, name=said["name"], is_full=is_full, actor=self.actor)
        except Unreadable as error:
            fields: dict[str, list[str]] = {}
            for problem in error.problems:
                fields.setdefault(f"row {problem.row}.{problem.field}" if problem.row else "content", []).append(
                    problem.reason
                )
            raise Invalid(fields) from error


def _decision(request: Request) -> dict[str, Any]:
    said = HoldDecisionIn(data=request.data)
    said.is_valid(raise_exception=True)
    found: dict[str, Any] = said.validated_data
    return found
