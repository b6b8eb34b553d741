"""Places that keep heads of the ledger, and what each gave in return."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q


class AnchorKind(models.TextChoices):
    """How a head gets out of our reach."""

    MAIL = "mail", "E-mail"
    GIT = "git", "Git repository"
    OBJECT_LOCK = "object_lock", "Object storage with a lock"
    TIMESTAMP = "timestamp", "Timestamp authority"
    WITNESS = "witness", "Witness"


class Anchor(models.Model):
    """One place. `settings` is what may be seen, by its kind; a token or key is kept encrypted."""

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=20, choices=AnchorKind.choices)
    name = models.CharField(max_length=80, unique=True)
    settings = models.JSONField(default=dict)
    secret_encrypted = models.TextField(blank=True)
    #: How long after one head the next is kept; for a witness, after how long it is missed.
    every_seconds = models.PositiveIntegerField()
    created_at = models.DateTimeField()
    paused_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    next_at = models.DateTimeField()
    claimed_until = models.DateTimeField(null=True, blank=True)
    failures_in_a_row = models.PositiveIntegerField(default=0)
    trouble_since = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    #: The size of the newest head that is kept there, and since when.
    last_size = models.BigIntegerField(default=0)
    last_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(every_seconds__gte=60), name="anchors_are_a_minute_apart_at_least")
        ]

    def __str__(self) -> str:
        return self.name


class AnchorReceipt(models.Model):
    """A head that is kept elsewhere, and what shows it: a commit, a version, a token, a cosignature. Insert-only."""

    anchor = models.ForeignKey(Anchor, on_delete=models.PROTECT, related_name="receipts")
    size = models.BigIntegerField()
    root = models.BinaryField()
    #: The signed head as it was handed over.
    note = models.TextField()
    #: What can be said about it in words: the name of the commit, the time that an authority states.
    said = models.JSONField(default=dict)
    #: The receipt itself, base64, where there is one to check: a timestamp token, a cosignature line.
    proof = models.TextField(blank=True)
    at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["anchor", "-size", "-id"], name="anchor_receipt_newest"),
            models.Index(fields=["size"], name="anchor_receipt_size"),
        ]
        constraints = [models.CheckConstraint(condition=Q(size__gte=1), name="receipts_are_of_a_head")]
