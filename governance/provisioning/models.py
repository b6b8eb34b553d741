"""Tables of orders to applications and of what was seen there. Only `provisioning.actions` writes them."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from governance.catalog.models import Application, Entitlement
from governance.identity.models import Person


class ConnectorKind(models.TextChoices):
    """How an application is reached."""

    SCIM2 = "scim2", "SCIM 2.0"
    MANUAL = "manual", "By hand"


class Connector(models.Model):
    """How Gatehouse reaches one application. Its secret is encrypted at rest and never shown again."""

    application = models.OneToOneField(Application, on_delete=models.PROTECT, related_name="connector")
    kind = models.CharField(max_length=12, choices=ConnectorKind.choices)
    base_url = models.CharField(max_length=500, blank=True)
    secret_encrypted = models.TextField(blank=True)
    #: Non-secret options of the kind, for instance which attribute matches an account.
    options = models.JSONField(default=dict, blank=True)
    timeout_seconds = models.PositiveSmallIntegerField(default=20)
    #: Since when the circuit is open; nothing is sent until `circuit_retry_at`.
    circuit_opened_at = models.DateTimeField(null=True, blank=True)
    circuit_retry_at = models.DateTimeField(null=True, blank=True)
    failures_in_a_row = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=500, blank=True)
    next_step = models.CharField(max_length=300, blank=True)
    #: Somebody asked for a reading, and until when the one that runs holds its claim.
    read_requested_at = models.DateTimeField(null=True, blank=True)
    reading_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    disabled_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.application_id}: {self.kind}"


class SyncRun(models.Model):
    """One reading of an application, with the proof of how much of it was read."""

    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="sync_runs")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    pages = models.PositiveIntegerField(default=0)
    announced = models.PositiveIntegerField(null=True, blank=True, help_text="How many the application says it has")
    received = models.PositiveIntegerField(default=0)
    holdings_received = models.PositiveIntegerField(default=0)
    #: SHA-256 over the sorted ids received, hexadecimal.
    digest = models.CharField(max_length=64, blank=True)
    is_complete = models.BooleanField(default=False)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        indexes = [models.Index(fields=["application", "-started_at"], name="sync_run_latest")]

    def __str__(self) -> str:
        return f"{self.application_id} at {self.started_at:%Y-%m-%d %H:%M}"


class AccountKind(models.TextChoices):
    """Whose login it is."""

    HUMAN = "human", "Person"
    SERVICE = "service", "Service account"
    SHARED = "shared", "Shared account"


class Account(models.Model):
    """A login inside an application, as last seen there, with or without a known person."""

    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="accounts")
    target_id = models.CharField(max_length=320, help_text="The application's own id of the account")
    user_name = models.CharField(max_length=320)
    display_name = models.CharField(max_length=320, blank=True)
    email = models.CharField(max_length=320, blank=True)
    kind = models.CharField(max_length=10, choices=AccountKind.choices, default=AccountKind.HUMAN)
    is_active = models.BooleanField(default=True)
    person = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="accounts")
    #: How the person was found: created (by us), user_name, email, by_hand.
    linked_by = models.CharField(max_length=20, blank=True)
    first_seen_at = models.DateTimeField()
    confirmed_at = models.DateTimeField()
    gone_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["application", "target_id"], name="account_target_once"),
        ]
        indexes = [
            models.Index(fields=["person", "application"], name="account_person"),
            models.Index(
                fields=["application", "user_name"],
                name="account_orphan",
                condition=Q(person__isnull=True, gone_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.user_name


class Holding(models.Model):
    """An entitlement seen on an account: first seen, confirmed last, gone. Gone ones stay."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="holdings")
    entitlement = models.ForeignKey(Entitlement, on_delete=models.PROTECT, related_name="holdings")
    first_seen_at = models.DateTimeField()
    confirmed_at = models.DateTimeField()
    gone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "entitlement"], condition=Q(gone_at__isnull=True), name="holding_current_once"
            ),
            models.CheckConstraint(
                condition=Q(confirmed_at__gte=F("first_seen_at")), name="holding_confirmed_after_seen"
            ),
        ]
        indexes = [models.Index(fields=["entitlement", "account"], name="holding_entitlement")]

    def __str__(self) -> str:
        return f"{self.account_id}: {self.entitlement_id}"


class OperationKind(models.TextChoices):
    """What is ordered."""

    GIVE = "give", "Give"
    TAKE = "take", "Take away"


class OperationState(models.TextChoices):
    """How far an order has come. Only `verified` means that the application was asked again."""

    WAITING = "waiting", "Ordered"
    SENDING = "sending", "Being sent"
    DELIVERED = "delivered", "Sent"
    VERIFIED = "verified", "Read back"
    FAILED = "failed", "Failed"


class Operation(models.Model):
    """One order to one application about one person and one entitlement: a row of the outbox.

    Orders about one person in one application run one after the other, by id. `attempts`, `next_attempt_at` and
    `last_error` are the back-off; Celery messages only wake the worker.
    """

    # Nobody looks for orders by these but through the indexes below, and each index costs every order.
    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="operations", db_index=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="operations", db_index=False)
    entitlement = models.ForeignKey(Entitlement, on_delete=models.PROTECT, related_name="operations", db_index=False)
    kind = models.CharField(max_length=8, choices=OperationKind.choices)
    state = models.CharField(max_length=10, choices=OperationState.choices, default=OperationState.WAITING)
    #: What caused it, for instance `grant:4711`.
    origin = models.CharField(max_length=80)
    #: Nothing else is left for the person in the application, so the account is closed as the connector says.
    closes_account = models.BooleanField(default=False)
    idempotency_key = models.CharField(max_length=120)
    correlation_id = models.CharField(max_length=32)
    ordered_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    #: Who works on it and until when; a worker that dies loses its claim then.
    claimed_by = models.CharField(max_length=80, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    #: Who says that it was done by hand; such an order is never read back, so it stays `delivered`.
    confirmed_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    failed_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    #: What a person can do about a failure, in one sentence.
    next_step = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            # As a constraint, not `unique=True`, which adds a second index for LIKE.
            models.UniqueConstraint(fields=["idempotency_key"], name="operation_ordered_once"),
            models.CheckConstraint(
                condition=~Q(state="verified") | Q(verified_at__isnull=False), name="operation_verified_has_its_time"
            ),
            models.CheckConstraint(
                condition=~Q(state="failed") | Q(failed_at__isnull=False), name="operation_failed_has_its_time"
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at", "id"],
                name="operation_due",
                condition=Q(state__in=["waiting", "sending", "delivered"]),
            ),
            models.Index(
                fields=["application", "person", "id"],
                name="operation_account_order",
                condition=Q(state__in=["waiting", "sending", "delivered"]),
            ),
            models.Index(fields=["person", "-id"], name="operation_person"),
            models.Index(fields=["application", "-failed_at"], name="operation_failed", condition=Q(state="failed")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.entitlement_id} for {self.person_id}"


class WhenSilent(models.TextChoices):
    """What becomes of a request whose ticket could not be looked up."""

    REFUSE = "refuse", "Refuse the request until it answers"
    FLAG = "flag", "Accept the request, and show that the ticket was not looked up"


class TicketSystem(models.Model):
    """Where tickets of one form are looked up. Its secret is encrypted at rest and never shown again."""

    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=120)
    #: Regular expression that a whole ticket number has to match to be looked up here.
    pattern = models.CharField(max_length=200)
    #: Where a ticket is read; `{ticket}` stands for its number.
    url_template = models.CharField(max_length=500)
    header_name = models.CharField(max_length=80, blank=True)
    secret_encrypted = models.TextField(blank=True)
    #: Where in the JSON its state stands (`fields.status.name`) and which values are good; empty: the status suffices.
    json_path = models.CharField(max_length=200, blank=True)
    good_values = ArrayField(models.CharField(max_length=120), default=list, blank=True)
    when_silent = models.CharField(max_length=8, choices=WhenSilent.choices, default=WhenSilent.REFUSE)
    timeout_seconds = models.PositiveSmallIntegerField(default=5)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name
