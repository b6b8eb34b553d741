"""Tables of engagements: who comes from outside, what they ask, what they were given, and what was said about it.

What was given is never changed: a population and a sample are pinned to an instant and a size of the ledger, and hold
a digest instead of rows, so that nothing personal is kept here twice.
"""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from governance.evidence.models import EvidenceBundle
from governance.evidence.periods import Period
from governance.identity.models import Person


class Engagement(models.Model):
    """An audit: a framework and a period, the applications it is about, and until when its guests may look."""

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=120)
    framework = models.CharField(max_length=20)
    first_day = models.DateField()
    last_day = models.DateField()
    zone = models.CharField(max_length=64)
    #: Short names of the applications in scope; none: all.
    applications = ArrayField(models.CharField(max_length=120), default=list, blank=True)
    #: Guests see nothing of it from this instant on.
    ends_at = models.DateTimeField()
    opened_at = models.DateTimeField()
    opened_by_ref = models.CharField(max_length=120)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(last_day__gte=F("first_day")), name="engagement_days_are_in_order")
        ]
        indexes: ClassVar = [models.Index(fields=["-opened_at", "-id"], name="engagement_newest")]

    def __str__(self) -> str:
        return self.name

    @property
    def period(self) -> Period:
        """Return the stretch of time it is about."""
        return Period(self.first_day, self.last_day, self.zone)


class Guest(models.Model):
    """Somebody who is invited to an engagement, and, once they accepted, who they are."""

    engagement = models.ForeignKey(Engagement, on_delete=models.PROTECT, related_name="guests")
    name = models.CharField(max_length=120)
    email = models.CharField(max_length=320)
    #: SHA-256 of the token in the link, hexadecimal. The link works once.
    token_digest = models.CharField(max_length=64, unique=True)
    invited_at = models.DateTimeField()
    invited_by_ref = models.CharField(max_length=120)
    expires_at = models.DateTimeField()
    person = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    accepted_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(person__isnull=True, accepted_at__isnull=True)
                | Q(person__isnull=False, accepted_at__isnull=False),
                name="guest_who_accepted_is_somebody",
            ),
            models.UniqueConstraint(
                fields=["engagement", "person"], condition=Q(withdrawn_at__isnull=True), name="guest_comes_once"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class RequestState(models.TextChoices):
    """Where a request stands. The company answers, the auditor accepts or flags what was given."""

    OPEN = "open", "Open"
    ANSWERED = "answered", "Answered"
    ACCEPTED = "accepted", "Accepted"
    FLAGGED = "flagged", "Flagged"


#: States in which the company has something to do.
WAITS_FOR_COMPANY = (RequestState.OPEN, RequestState.FLAGGED)


class AuditRequest(models.Model):
    """Something the auditor asks for: one of the usual requests, or one in their own words."""

    engagement = models.ForeignKey(Engagement, on_delete=models.PROTECT, related_name="requests")
    number = models.PositiveIntegerField()
    #: P1 to P23; empty for one in the auditor's own words.
    code = models.CharField(max_length=4, blank=True)
    #: The report that answers it; empty when none does by itself.
    report = models.CharField(max_length=4, blank=True)
    wording = models.TextField(max_length=2000)
    due_on = models.DateField(null=True, blank=True)
    state = models.CharField(max_length=10, choices=RequestState.choices, default=RequestState.OPEN)
    asked_by_ref = models.CharField(max_length=120)
    asked_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["engagement", "number"], name="audit_request_number_once")
        ]

    def __str__(self) -> str:
        return f"{self.number}. {self.wording[:80]}"


class Population(models.Model):
    """A report as it was at one cut: how many rows, and the digest of all of them. Insert-only."""

    request = models.ForeignKey(AuditRequest, on_delete=models.PROTECT, related_name="populations")
    report = models.CharField(max_length=4)
    known_at = models.DateTimeField()
    ledger_size = models.BigIntegerField()
    rows = models.BigIntegerField()
    exceptions = models.BigIntegerField()
    #: SHA-256 of the CSV, hexadecimal: what a bundle with the same cut holds.
    sha256 = models.CharField(max_length=64)
    taken_by_ref = models.CharField(max_length=120)
    taken_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.report}: {self.rows} rows at {self.ledger_size}"


class AuditSample(models.Model):
    """Rows of a population that the auditor's seed chose. Insert-only; the rows follow from the seed."""

    population = models.ForeignKey(Population, on_delete=models.PROTECT, related_name="samples")
    seed = models.CharField(max_length=200)
    number = models.PositiveIntegerField()
    #: SHA-256 of the chosen row ids, each followed by a line feed, in their order; hexadecimal.
    sha256 = models.CharField(max_length=64)
    taken_by_ref = models.CharField(max_length=120)
    taken_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.number} rows by {self.seed}"


class MessageKind(models.TextChoices):
    """What a line of the thread is."""

    SAID = "said", "Said"
    ANSWERED = "answered", "Answered"
    ACCEPTED = "accepted", "Accepted"
    FLAGGED = "flagged", "Flagged"


class Message(models.Model):
    """One line of what was said about a request, with what was given."""

    request = models.ForeignKey(AuditRequest, on_delete=models.PROTECT, related_name="messages")
    kind = models.CharField(max_length=10, choices=MessageKind.choices)
    text = models.TextField(max_length=4000, blank=True)
    population = models.ForeignKey(Population, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    bundle = models.ForeignKey(EvidenceBundle, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%Y-%m-%d}"


class EngagementBundle(models.Model):
    """A bundle that was built for an engagement."""

    engagement = models.ForeignKey(Engagement, on_delete=models.PROTECT, related_name="bundles")
    bundle = models.OneToOneField(EvidenceBundle, on_delete=models.PROTECT, related_name="+")

    def __str__(self) -> str:
        return str(self.bundle_id)
