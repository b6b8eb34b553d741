"""Systems that get the entries of the ledger as they are sealed, and how far each of them is."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q


class DestinationKind(models.TextChoices):
    """How entries are brought."""

    WEBHOOK = "webhook", "Signed webhook"
    SYSLOG = "syslog", "Syslog over TLS"


class Shape(models.TextChoices):
    """What an entry looks like on the way."""

    OCSF = "ocsf", "OCSF events"
    ENTRY = "entry", "Entries as they were hashed"


class Destination(models.Model):
    """One system. What signs (a webhook) or the client's key (syslog) is kept encrypted.

    `next_index` is the cursor: the first entry that has not arrived. It only moves once a batch has.
    """

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=10, choices=DestinationKind.choices)
    name = models.CharField(max_length=80, unique=True)
    #: An address (https://…) of a webhook, host:port of a syslog server.
    address = models.CharField(max_length=500)
    shape = models.CharField(max_length=10, choices=Shape.choices, default=Shape.OCSF)
    #: Names of people, roles and applications go along; without it only references leave the house.
    with_names = models.BooleanField(default=False)
    #: The rows that statements changed (`rows.…`) go along: many, and of use to few.
    with_rows = models.BooleanField(default=False)
    secret_encrypted = models.TextField(blank=True)
    #: PEM: whom a syslog server is checked against (empty: the usual authorities), and what we show it.
    authorities = models.TextField(blank=True)
    client_certificate = models.TextField(blank=True)
    created_at = models.DateTimeField()
    paused_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    next_index = models.BigIntegerField(default=0)
    next_at = models.DateTimeField()
    failures_in_a_row = models.PositiveIntegerField(default=0)
    trouble_since = models.DateTimeField(null=True, blank=True)
    #: Since when it counts as stopped: the trouble has lasted, and people were told.
    stopped_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    last_sent_at = models.DateTimeField(null=True, blank=True)
    #: A test that was asked for, when it was tried, and what came of it; empty when it arrived.
    test_asked_at = models.DateTimeField(null=True, blank=True)
    tested_at = models.DateTimeField(null=True, blank=True)
    test_error = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(next_index__gte=0), name="streams_start_at_an_entry"),
            models.CheckConstraint(
                condition=Q(stopped_at__isnull=True) | Q(trouble_since__isnull=False),
                name="stopped_streams_are_in_trouble",
            ),
        ]

    def __str__(self) -> str:
        return self.name
