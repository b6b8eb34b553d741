"""Tables of reviews of the log: how often, and each review with what was counted and found."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from governance.identity.models import Person

#: Every day at most, every quarter at least. A week unless somebody says otherwise.
SHORTEST_DAYS, USUAL_DAYS, LONGEST_DAYS = 1, 7, 92


class Cadence(models.Model):
    """How often the log is looked through, in days. The newest holds. Insert-only."""

    days = models.PositiveSmallIntegerField()
    set_by_ref = models.CharField(max_length=120)
    set_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(days__gte=SHORTEST_DAYS, days__lte=LONGEST_DAYS), name="log_review_cadence_is_in_bounds"
            )
        ]

    def __str__(self) -> str:
        return f"every {self.days} days"


class LogReview(models.Model):
    """A stretch of the log that somebody has to look through: [starts_at, ends_at)."""

    starts_at = models.DateTimeField(unique=True)
    ends_at = models.DateTimeField()
    due_at = models.DateTimeField()
    opened_at = models.DateTimeField()
    signed_at = models.DateTimeField(null=True, blank=True)
    signed_by = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    #: What there was to look at when it was signed: event → entries.
    counts = models.JSONField(default=dict, blank=True)
    findings = models.TextField(max_length=4000, blank=True)
    follow_up = models.TextField(max_length=4000, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="log_review_has_a_length"),
            models.CheckConstraint(
                condition=Q(signed_at__isnull=True, signed_by__isnull=True)
                | (Q(signed_at__isnull=False, signed_by__isnull=False) & ~Q(findings="")),
                name="log_review_is_signed_with_findings",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["due_at"], condition=Q(signed_at__isnull=True), name="log_review_unsigned")
        ]

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d} to {self.ends_at:%Y-%m-%d}"
