"""Tables of who was told what. Rows go after half a year: the ledger is the history, these are letters."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from governance.identity.models import Person


class Bookmark(models.Model):
    """Up to where the ledger was read: the index of the next entry. One row."""

    next_index = models.BigIntegerField()
    moved_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return str(self.next_index)


class LetterState(models.TextChoices):
    """What became of something that is sent out."""

    WAITING = "waiting", "Waiting"
    SENT = "sent", "Sent"
    FAILED = "failed", "Failed"
    DROPPED = "dropped", "Not needed any more"


class Mail(models.Model):
    """One mail to one person about one or several notices: the outbox. `address` is where it went."""

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", db_index=False)
    state = models.CharField(max_length=8, choices=LetterState.choices, default=LetterState.WAITING)
    address = models.CharField(max_length=320, blank=True)
    subject = models.CharField(max_length=300, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()
    next_attempt_at = models.DateTimeField()
    claimed_until = models.DateTimeField(null=True, blank=True)
    #: When it was sent, failed for good, or was found not to be needed any more.
    settled_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state="waiting", settled_at__isnull=True)
                | (~Q(state="waiting") & Q(settled_at__isnull=False)),
                name="mail_settled_exactly_when_not_waiting",
            ),
        ]
        indexes = [
            models.Index(fields=["next_attempt_at", "id"], name="mail_due", condition=Q(state="waiting")),
            models.Index(fields=["-settled_at"], name="mail_failed", condition=Q(state="failed")),
            models.Index(fields=["settled_at"], name="mail_settled", condition=Q(settled_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return str(self.ref)


class PostOffice(models.Model):
    """How the mail server does: since when it is in trouble, and when it is tried again. One row."""

    trouble_since = models.DateTimeField(null=True, blank=True)
    failures_in_a_row = models.PositiveIntegerField(default=0)
    retry_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    last_sent_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.last_error or "fine"


class Notice(models.Model):
    """One person is told one thing. `cause` is what it comes from, so that nobody is told twice.

    `about` names what it is about (`request:2041`), so that it can be settled when that is over. `facts` are the names
    and instants its words need, as they were then.
    """

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="notices", db_index=False)
    kind = models.CharField(max_length=40)
    cause = models.CharField(max_length=120)
    about = models.CharField(max_length=60, blank=True)
    facts = models.JSONField(default=dict)
    #: When it happened, and when this row was written.
    at = models.DateTimeField()
    created_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)
    #: What it asked for or warned of is over: somebody answered, it was extended.
    settled_at = models.DateTimeField(null=True, blank=True)
    #: When it goes by mail; none when it does not.
    mail_due_at = models.DateTimeField(null=True, blank=True)
    mail = models.ForeignKey(Mail, null=True, blank=True, on_delete=models.SET_NULL, related_name="notices")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "kind", "cause"], name="notice_once")]
        indexes = [
            models.Index(fields=["person", "-id"], name="notice_latest"),
            models.Index(fields=["person"], name="notice_unread", condition=Q(read_at__isnull=True)),
            models.Index(fields=["about", "kind"], name="notice_open", condition=Q(settled_at__isnull=True)),
            models.Index(
                fields=["mail_due_at"],
                name="notice_mail_due",
                condition=Q(mail__isnull=True, mail_due_at__isnull=False),
            ),
            models.Index(fields=["created_at"], name="notice_created"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.person_id}"


class Preferences(models.Model):
    """How one person wants to be told by mail. Who has no row has the defaults."""

    person = models.OneToOneField(Person, on_delete=models.CASCADE, related_name="+", primary_key=True)
    #: Topic → pace, where it differs from the default.
    paces = models.JSONField(default=dict)
    #: The hour of the daily mail, in the person's time zone.
    daily_hour = models.PositiveSmallIntegerField(default=8)
    time_zone = models.CharField(max_length=64, blank=True, help_text="Empty: what the directory says, else UTC")
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(daily_hour__lt=24), name="preferences_hour_is_of_a_day")]

    def __str__(self) -> str:
        return f"{self.person_id}"


class Webhook(models.Model):
    """Another system that is told: an address, a secret to sign with, and the kinds it wants (none: all)."""

    name = models.CharField(max_length=80, unique=True)
    url = models.CharField(max_length=500)
    secret_encrypted = models.CharField(max_length=500)
    #: The secret before, with which messages are signed as well until `former_until`.
    former_secret_encrypted = models.CharField(max_length=500, blank=True)
    former_until = models.DateTimeField(null=True, blank=True)
    kinds = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    created_at = models.DateTimeField()
    paused_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class WebhookMessage(models.Model):
    """One message to one webhook: the outbox, and what the page shows of the last ones."""

    webhook = models.ForeignKey(Webhook, on_delete=models.PROTECT, related_name="messages", db_index=False)
    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=40)
    cause = models.CharField(max_length=120)
    body = models.JSONField()
    state = models.CharField(max_length=8, choices=LetterState.choices, default=LetterState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()
    next_attempt_at = models.DateTimeField()
    claimed_until = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    #: What the other side answered last, and why that is no success.
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["webhook", "kind", "cause"], name="webhook_message_once"),
            models.CheckConstraint(
                condition=Q(state="waiting", settled_at__isnull=True)
                | (~Q(state="waiting") & Q(settled_at__isnull=False)),
                name="webhook_message_settled_exactly_when_not_waiting",
            ),
        ]
        indexes = [
            models.Index(fields=["webhook", "-id"], name="webhook_message_latest"),
            models.Index(fields=["next_attempt_at", "id"], name="webhook_message_due", condition=Q(state="waiting")),
            models.Index(fields=["created_at"], name="webhook_message_created"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.webhook_id}"
