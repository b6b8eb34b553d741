"""Tables of leaving: what the brake counts and holds, planned leave dates, handovers. Only actions write."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from governance.identity.models import Person


class Kind(models.TextChoices):
    """What a source does to somebody. Each is counted apart."""

    LEAVE = "leave", "Leaves"
    LOSS = "loss", "Loses access by role"
    PLAN = "plan", "Gets a leave date"


class SourceBrake(models.Model):
    """From how many people on a change of one source is held, and how many people it is about.

    The limit is a share of the people, but at least `at_least` and at most `at_most`, where `at_least` wins.
    """

    #: `scim:<connection>`, `file:hr`, `page`, `api`.
    source = models.CharField(max_length=120, unique=True)
    at_least = models.PositiveIntegerField(default=10, help_text="So many are never held")
    share_percent = models.PositiveSmallIntegerField(default=5, help_text="Of the people the source speaks of")
    at_most = models.PositiveIntegerField(default=500, help_text="More than so many are always held")
    window_hours = models.PositiveSmallIntegerField(default=24)
    #: Active people the source speaks of, the leavers of the window included; counted anew every minute.
    people = models.PositiveIntegerField(default=0)
    counted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(share_percent__lte=100), name="brake_share_is_a_percentage"),
            models.CheckConstraint(condition=Q(window_hours__range=(1, 168)), name="brake_window_is_1_to_168_hours"),
            models.CheckConstraint(
                condition=Q(at_least__gte=1, at_most__gte=1), name="brake_never_holds_a_single_person"
            ),
        ]

    def __str__(self) -> str:
        return self.source

    @property
    def limit(self) -> int:
        """Return how many people may be taken from within the window before anything is held."""
        return max(self.at_least, min(self.at_most, self.people * self.share_percent // 100))


class SignalCount(models.Model):
    """How many people one source took from in one hour. In slots, so that writers at once do not wait."""

    source = models.CharField(max_length=120)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    hour = models.DateTimeField()
    slot = models.PositiveSmallIntegerField()
    signals = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "kind", "hour", "slot"], name="signal_count_slot_once")
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.kind} {self.hour:%Y-%m-%d %H}h"


class HoldState(models.TextChoices):
    """Where a hold stands."""

    OPEN = "open", "Waits for a decision"
    DECIDED = "decided", "Decided"


class Hold(models.Model):
    """A change of too many people by one source: one decision, with the names as its items. Permanent."""

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    source = models.CharField(max_length=120)
    state = models.CharField(max_length=8, choices=HoldState.choices, default=HoldState.OPEN)
    opened_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    #: What was seen when it was opened.
    limit = models.PositiveIntegerField()
    people = models.PositiveIntegerField()
    window_hours = models.PositiveSmallIntegerField()
    correlation_id = models.CharField(max_length=32)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source"], condition=Q(state="open"), name="hold_open_once_a_source"),
            models.CheckConstraint(
                condition=Q(state="open", decided_at__isnull=True) | Q(state="decided", decided_at__isnull=False),
                name="hold_decided_exactly_when_there_is_a_time",
            ),
        ]
        indexes = [models.Index(fields=["-opened_at", "-id"], name="hold_latest")]

    def __str__(self) -> str:
        return f"{self.source} {self.opened_at:%Y-%m-%d %H:%M}"


class ItemState(models.TextChoices):
    """What became of one held change."""

    WAITING = "waiting", "Held"
    RELEASED = "released", "Released"
    CONFIRMED = "confirmed", "Named by another source"
    REFUSED = "refused", "Refused"
    WITHDRAWN = "withdrawn", "Taken back"


class HeldItem(models.Model):
    """One person whom a held change is about."""

    hold = models.ForeignKey(Hold, on_delete=models.PROTECT, related_name="items")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="held_items")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    state = models.CharField(max_length=10, choices=ItemState.choices, default=ItemState.WAITING)
    #: The directory deleted the person; they leave SCIM when they leave.
    unlist = models.BooleanField(default=False)
    #: When they left or will leave, according to the source.
    effective_at = models.DateTimeField(null=True, blank=True)
    #: The grants that run on meanwhile.
    grant_ids = ArrayField(models.BigIntegerField(), default=list)
    signalled_at = models.DateTimeField()
    #: Who gave the signal: a person's reference, or the name of a connection. They do not release it.
    signalled_by_ref = models.CharField(max_length=120)
    correlation_id = models.CharField(max_length=32)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    #: The other source that named the person.
    confirmed_by = models.CharField(max_length=120, blank=True)
    reason = models.TextField(max_length=2000, blank=True)
    #: When what was released or confirmed has happened.
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["person", "kind"], condition=Q(state="waiting"), name="held_item_waits_once_a_person"
            ),
            models.CheckConstraint(
                condition=Q(state="waiting", decided_at__isnull=True)
                | (~Q(state="waiting") & Q(decided_at__isnull=False)),
                name="held_item_decided_exactly_when_there_is_a_time",
            ),
        ]
        indexes = [
            models.Index(fields=["hold", "state", "id"], name="held_item_hold"),
            models.Index(fields=["id"], name="held_item_to_do", condition=Q(state="released", done_at__isnull=True)),
            models.Index(fields=["person", "-id"], name="held_item_person"),
        ]

    def __str__(self) -> str:
        return f"{self.person_id}: {self.kind} {self.state}"


class LeavePlan(models.Model):
    """What was said about when somebody will leave; None: called off. Insert-only, the latest counts."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="leave_plans")
    leaves_at = models.DateTimeField(null=True)
    source = models.CharField(max_length=120)
    note = models.CharField(max_length=500, blank=True)
    set_at = models.DateTimeField()
    set_by_ref = models.CharField(max_length=120)
    correlation_id = models.CharField(max_length=32)

    class Meta:
        indexes = [models.Index(fields=["person", "-id"], name="leave_plan_person")]

    def __str__(self) -> str:
        return f"{self.person_id}: {self.leaves_at}"


class HandoverKind(models.TextChoices):
    """What a leaver answered for."""

    APPLICATION = "application", "Application"
    REPORT = "report", "Person who reported to them"
    ROLE = "role", "Role in Gatehouse"
    DUTY_RULE = "duty_rule", "Rule about duties"
    DUTY_EXCEPTION = "duty_exception", "Exception from a rule about duties"
    DEPUTY = "deputy", "Stands in for somebody who is away"


class HeirRule(models.TextChoices):
    """By which rule somebody took over."""

    MANAGER = "manager", "Their manager"
    OTHERS = "others", "The other owners"
    SECURITY = "security", "Security, until somebody is named"
    NOBODY = "nobody", "Nobody: decide"


class Handover(models.Model):
    """One thing a leaver answered for, and who answers for it since. `settled_*`: somebody decided what had no heir."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="handovers")
    kind = models.CharField(max_length=16, choices=HandoverKind.choices)
    #: The key or slug of the thing, for a link.
    subject_ref = models.CharField(max_length=120)
    #: What it is called; for a person their reference, so that no name stands here.
    subject_name = models.CharField(max_length=320)
    heir = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    rule = models.CharField(max_length=10, choices=HeirRule.choices)
    made_at = models.DateTimeField()
    correlation_id = models.CharField(max_length=32)
    settled_at = models.DateTimeField(null=True, blank=True)
    settled_by = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        indexes = [
            models.Index(fields=["person", "id"], name="handover_person"),
            models.Index(
                fields=["id"],
                name="handover_undecided",
                condition=Q(rule__in=["nobody", "security"], settled_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person_id}: {self.kind} {self.subject_ref}"


class PeopleDraft(models.Model):
    """A file that somebody uploaded and looks at before it is applied. Gone when it is, or after a day."""

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=200)
    content = models.BinaryField()
    is_full = models.BooleanField()
    uploaded_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    uploaded_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class PeopleFile(models.Model):
    """A file of people that was applied. Insert-only; the rows are in the ledger as what they changed."""

    name = models.CharField(max_length=200)
    digest = models.CharField(max_length=64, help_text="SHA-256, hexadecimal")
    is_full = models.BooleanField()
    rows = models.PositiveIntegerField()
    joined = models.PositiveIntegerField()
    changed = models.PositiveIntegerField()
    left = models.PositiveIntegerField()
    planned = models.PositiveIntegerField()
    held = models.PositiveIntegerField()
    applied_at = models.DateTimeField()
    applied_by_ref = models.CharField(max_length=120)
    correlation_id = models.CharField(max_length=32)

    class Meta:
        indexes = [models.Index(fields=["-id"], name="people_file_latest")]

    def __str__(self) -> str:
        return self.name
