"""Tables of erasure, legal holds and retention. Nobody's name stands in them."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from governance.identity.models import Person

#: The law that most of our users keep records under (HIPAA, 45 CFR 164.316(b)(2)(i)) asks for six years.
FEWEST_YEARS, USUAL_YEARS, MOST_YEARS = 6, 7, 30


class RetentionRule(models.Model):
    """How long records of who had which access are kept after somebody left. The newest holds. Insert-only.

    The database takes one of fewer years than the one before only with a proposal that a second person confirmed.
    """

    years = models.PositiveSmallIntegerField()
    why = models.TextField(max_length=1000)
    set_by_ref = models.CharField(max_length=120)
    set_at = models.DateTimeField()
    #: What two people agreed on; each proposal is carried out once. None where one person is enough.
    proposal = models.OneToOneField(
        "RetentionProposal", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(years__gte=FEWEST_YEARS, years__lte=MOST_YEARS), name="retention_years_are_in_bounds"
            )
        ]

    def __str__(self) -> str:
        return f"{self.years} years"


class RetentionProposal(models.Model):
    """Records are to be kept for fewer years: more would go, so a second person confirms it (or says no)."""

    years = models.PositiveSmallIntegerField()
    why = models.TextField(max_length=1000)
    proposed_by_ref = models.CharField(max_length=120)
    proposed_at = models.DateTimeField()
    decided_by_ref = models.CharField(max_length=120, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    was_confirmed = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(years__gte=FEWEST_YEARS, years__lte=MOST_YEARS), name="proposed_years_are_in_bounds"
            ),
            models.UniqueConstraint(
                models.Value(1), condition=Q(decided_at__isnull=True), name="fewer_years_are_proposed_once_at_a_time"
            ),
            models.CheckConstraint(
                condition=Q(was_confirmed=False)
                | (~Q(decided_by_ref="") & ~Q(decided_by_ref=models.F("proposed_by_ref"))),
                name="fewer_years_are_confirmed_by_two",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.years} years, proposed"


class ErasureState(models.TextChoices):
    """Where an erasure stands."""

    RESTRICTED = "restricted", "Kept until a day"
    ERASED = "erased", "Erased"
    CANCELLED = "cancelled", "Cancelled"


class Erasure(models.Model):
    """Somebody's data is to go: at once, or once the law lets it go."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=10, choices=ErasureState.choices)
    #: Why it goes, and for what it is kept until then.
    ground = models.TextField(max_length=1000)
    duty = models.TextField(max_length=1000, blank=True)
    due_at = models.DateTimeField()
    asked_by_ref = models.CharField(max_length=120)
    asked_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)
    #: Why the last try when it was due did not happen; empty when there was none.
    hindered_by = models.CharField(max_length=500, blank=True)
    #: Table and column → how many rows, as it was done.
    places = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["person"], condition=Q(state="restricted"), name="erasure_waits_once")
        ]
        indexes: ClassVar = [models.Index(fields=["due_at"], condition=Q(state="restricted"), name="erasure_due")]

    def __str__(self) -> str:
        return f"{self.person_id}: {self.state}"


class LegalHold(models.Model):
    """Something must be kept whatever else is said: people, applications, or everything."""

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=120)
    reason = models.TextField(max_length=1000)
    #: References of people, and short names of applications; both empty: everything.
    people = ArrayField(models.CharField(max_length=120), default=list, blank=True)
    applications = ArrayField(models.CharField(max_length=120), default=list, blank=True)
    placed_by_ref = models.CharField(max_length=120)
    placed_at = models.DateTimeField()
    release_proposed_by_ref = models.CharField(max_length=120, blank=True)
    release_proposed_at = models.DateTimeField(null=True, blank=True)
    release_reason = models.TextField(max_length=1000, blank=True)
    released_by_ref = models.CharField(max_length=120, blank=True)
    released_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(released_at__isnull=True)
                | (
                    ~Q(release_proposed_by_ref="")
                    & ~Q(released_by_ref="")
                    & ~Q(released_by_ref=models.F("release_proposed_by_ref"))
                ),
                name="legal_hold_is_released_by_two",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_about_everything(self) -> bool:
        """Tell whether it names neither people nor applications."""
        return not self.people and not self.applications
