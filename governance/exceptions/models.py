"""Tables of exceptions: the readings that look for them, each as a row that lives, and what was said about it."""

from __future__ import annotations

import uuid
from datetime import date
from enum import StrEnum
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from governance.catalog.models import Application
from governance.identity.models import Person


class Outcome(models.TextChoices):
    """What became of one report in a reading. Only `read` and `partly` say anything about exceptions."""

    READ = "read", "Read"
    PARTLY = "partly", "Read, without some sources"
    UNREADABLE = "unreadable", "Could not be read"


class Turn(models.TextChoices):
    """What a reading made of an exception when it last changed."""

    OPENED = "opened", "Found for the first time"
    REOPENED = "reopened", "Found again"
    CHANGED = "changed", "Found with something else to look at"
    GONE = "gone", "No longer found"


class State(StrEnum):
    """How an exception stands on a day. `fixed`: a reading that could see it no longer found it."""

    OPEN = "open"
    EXPLAINED = "explained"
    OVERDUE = "overdue"
    ACCEPTED = "accepted"
    FIXED = "fixed"


STATE_WORDS = {
    State.OPEN: "Open",
    State.EXPLAINED: "Explained",
    State.OVERDUE: "Overdue",
    State.ACCEPTED: "Risk accepted",
    State.FIXED: "Fixed",
}


class Reading(models.Model):
    """All reports that can have exceptions, read over one period at one cut. Insert-only.

    It is finished when each of `reports` has its row in `ReportReading`.
    """

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    first_day = models.DateField()
    last_day = models.DateField()
    zone = models.CharField(max_length=64)
    #: The cut: nothing recorded later, or sealed at or behind this size of the ledger, is seen.
    known_at = models.DateTimeField()
    ledger_size = models.BigIntegerField()
    #: The reports that are to be read, in their order.
    reports = ArrayField(models.CharField(max_length=20))
    #: The applications whose last complete reading is missing or too old: what is gone there cannot be seen.
    unseen = ArrayField(models.CharField(max_length=120), default=list, blank=True)
    #: The day whose daily reading it is; none: somebody asked for it.
    turn_of = models.DateField(null=True, blank=True)
    asked_by_ref = models.CharField(max_length=120, blank=True)
    begun_at = models.DateTimeField()
    correlation_id = models.CharField(max_length=32)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["first_day", "turn_of"], condition=Q(turn_of__isnull=False), name="reading_once_a_day"
            ),
            models.CheckConstraint(condition=Q(last_day__gte=models.F("first_day")), name="reading_days_are_in_order"),
        ]

    def __str__(self) -> str:
        return f"{self.first_day} to {self.last_day}, known at {self.known_at:%Y-%m-%d %H:%M}"


class ReportReading(models.Model):
    """What a reading found in one report. Insert-only; written with the changes of exceptions it caused."""

    reading = models.ForeignKey(Reading, on_delete=models.PROTECT, related_name="report_readings")
    report = models.CharField(max_length=20)
    #: The SHA-256 of the report's query.
    version = models.CharField(max_length=64)
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    #: Why it could not be read.
    why = models.CharField(max_length=300, blank=True)
    #: None when it could not be read: never zero.
    rows = models.BigIntegerField(null=True, blank=True)
    exceptions = models.BigIntegerField(null=True, blank=True)
    opened = models.BigIntegerField(null=True, blank=True)
    reopened = models.BigIntegerField(null=True, blank=True)
    changed = models.BigIntegerField(null=True, blank=True)
    gone = models.BigIntegerField(null=True, blank=True)
    #: Applications in which it could not see whether something is gone.
    unseen = ArrayField(models.CharField(max_length=120), default=list, blank=True)
    read_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["reading", "report"], name="report_once_in_a_reading"),
            models.CheckConstraint(
                condition=Q(outcome="unreadable", rows__isnull=True, exceptions__isnull=True) & ~Q(why="")
                | ~Q(outcome="unreadable") & Q(rows__isnull=False, exceptions__isnull=False, gone__isnull=False),
                name="report_reading_counts_what_was_read",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["report", "-id"], name="report_reading_latest")]

    def __str__(self) -> str:
        return f"{self.report}: {self.outcome}"


class Attempt(models.Model):
    """Somebody began to read a report. What kills its reader over and over is given up, and said to be unreadable."""

    reading = models.ForeignKey(Reading, on_delete=models.CASCADE, related_name="+")
    report = models.CharField(max_length=20)
    begun_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.report


class ControlException(models.Model):
    """One row of a report that has something to look at, from when a reading first found it. Never deleted.

    It is told by report and row id. Names are not kept: they are read from what it refers to.
    The last statement about it is kept here too, so that lists need not look for it.
    """

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    report = models.CharField(max_length=20)
    row_id = models.CharField(max_length=300)
    #: What there is to look at, codes separated by a space, as the last reading that found it says.
    codes = models.CharField(max_length=300)
    application = models.ForeignKey(Application, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    #: Whom the row is about, if anybody.
    person = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    #: The first and last ledger entry that support the row, at its last turn.
    first_entry = models.BigIntegerField(null=True, blank=True)
    last_entry = models.BigIntegerField(null=True, blank=True)
    #: The first day of the last period in which it was found.
    period_first = models.DateField()
    first_seen_at = models.DateTimeField()
    #: Found since, without a break: of the last reading that opened it.
    open_since = models.DateTimeField()
    gone_at = models.DateTimeField(null=True, blank=True)
    turn = models.CharField(max_length=10, choices=Turn.choices)
    turned_by = models.ForeignKey(Reading, on_delete=models.PROTECT, related_name="+")

    owner = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    explanation = models.TextField(max_length=4000, blank=True)
    fix_by = models.DateField(null=True, blank=True)
    #: The last day on which somebody with the right to do so carries the risk.
    accepted_until = models.DateField(null=True, blank=True)
    statements_made = models.PositiveIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["report", "row_id"], name="exception_of_a_row_once"),
            models.CheckConstraint(
                condition=Q(turn="gone", gone_at__isnull=False) | (~Q(turn="gone") & Q(gone_at__isnull=True)),
                name="exception_is_gone_exactly_when_it_says_when",
            ),
            models.CheckConstraint(
                condition=Q(accepted_until__isnull=True) | ~Q(explanation=""),
                name="exception_is_accepted_with_a_reason",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["report", "-id"], name="exception_open", condition=Q(gone_at__isnull=True)),
            models.Index(fields=["turned_by", "report"], name="exception_turned"),
            models.Index(fields=["application"], name="exception_application", condition=Q(gone_at__isnull=True)),
            models.Index(fields=["owner"], name="exception_owner", condition=Q(gone_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.report} {self.row_id}"

    def state_on(self, today: date) -> State:
        """Return how it stands on a day."""
        if self.gone_at is not None:
            return State.FIXED
        if self.accepted_until is not None and self.accepted_until >= today:
            return State.ACCEPTED
        if self.fix_by is not None and self.fix_by < today:
            return State.OVERDUE
        return State.EXPLAINED if self.explanation else State.OPEN


class Statement(models.Model):
    """What somebody said about an exception: all of it as it was from then on. Insert-only."""

    exception = models.ForeignKey(ControlException, on_delete=models.PROTECT, related_name="statements")
    number = models.PositiveIntegerField()
    owner = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    explanation = models.TextField(max_length=4000, blank=True)
    fix_by = models.DateField(null=True, blank=True)
    accepted_until = models.DateField(null=True, blank=True)
    said_by_ref = models.CharField(max_length=120)
    said_at = models.DateTimeField()
    correlation_id = models.CharField(max_length=32)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["exception", "number"], name="statement_numbers_are_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.exception_id} {self.number}"


class ReportOwner(models.Model):
    """Who answers for exceptions of a report where nobody is named and no application has an owner. Insert-only.

    The newest of a report holds; without an owner they fall to security again.
    """

    report = models.CharField(max_length=20)
    owner = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    said_by_ref = models.CharField(max_length=120)
    said_at = models.DateTimeField()
    correlation_id = models.CharField(max_length=32)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["report", "-id"], name="report_owner_latest")]

    def __str__(self) -> str:
        return f"{self.report}: {self.owner_id}"
