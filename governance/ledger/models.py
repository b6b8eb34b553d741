"""The tables of the ledger. Everything but the outbox and the vault is insert-only, by triggers (migration 0003)."""

from __future__ import annotations

from typing import Any, ClassVar

from auditlog.models import AbstractLogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import Func
from django.db.models.functions import Now

from governance.ledger.configuration_log import ConfigurationChangeManager

#: The number of the database transaction (xid8): it ties together everything that one commit made true.
_THIS_TRANSACTION = Func(template="pg_current_xact_id()::text::bigint", output_field=models.BigIntegerField())
#: By the database's clock, at the statement; `now()` would be the beginning of the transaction.
_THIS_INSTANT = Func(template="clock_timestamp()", output_field=models.DateTimeField())
#: What is recorded and what is captured have one order.
_NEXT_OF_THE_OUTBOX = Func(template="nextval('ledger_pending_id_seq')", output_field=models.BigIntegerField())


class Pending(models.Model):
    """An entry that is recorded and not yet sealed: the ledger's outbox. The sequencer takes the lowest ids first."""

    id = models.BigAutoField(primary_key=True)
    body = models.JSONField()
    #: By the database's clock, so that the sealing lag is measured with one clock.
    created_at = models.DateTimeField(db_default=Now())
    xid = models.BigIntegerField(db_default=_THIS_TRANSACTION)


class Captured(models.Model):
    """Rows of one governed table that one statement changed, as its trigger saw them: the other half of the outbox.

    Written by nothing but the triggers of migration 0005. `rows` are elements {key, old, new}: docs/ledger-format.md.
    """

    id = models.BigIntegerField(primary_key=True, db_default=_NEXT_OF_THE_OUTBOX)
    table = models.CharField(max_length=63)
    operation = models.CharField(max_length=10)
    database_role = models.CharField(max_length=63)
    application = models.CharField(max_length=63)
    rows = models.JSONField()
    created_at = models.DateTimeField(db_default=_THIS_INSTANT)
    xid = models.BigIntegerField(db_default=_THIS_TRANSACTION)


class SubjectKey(models.Model):
    """The secret that commitments to a person's columns are made with; the row without a reference is the log's own.

    Made by the trigger that first sees the person's row. Erasure deletes it: from then on nobody can tell what a
    commitment stands for, nor whether two of them stand for the same.
    """

    subject_ref = models.CharField(max_length=200, unique=True, blank=True)
    #: The person's primary key, by which the rows of other tables name them.
    subject_id = models.BigIntegerField(null=True, unique=True)
    secret = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())


class Entry(models.Model):
    """A sealed entry. `body` is the text that was hashed; the other columns repeat it so that it can be searched.

    An entry whose text was disposed of has no row here any more: its leaf hash is a `Node` of level 0.
    """

    index = models.BigIntegerField(primary_key=True)
    body = models.TextField()
    leaf_hash = models.BinaryField()
    event = models.CharField(max_length=80)
    actor_kind = models.CharField(max_length=20)
    actor_ref = models.CharField(max_length=200)
    door = models.CharField(max_length=20)
    at = models.DateTimeField(db_index=True)
    correlation_id = models.CharField(max_length=80)
    #: The number of the database transaction; null in entries of version 1, which do not say it.
    transaction = models.BigIntegerField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["transaction"], name="ledger_entry_transaction"),
            models.Index(
                fields=["event", "-index"], name="ledger_entry_event", opclasses=["text_pattern_ops", "int8_ops"]
            ),
            models.Index(fields=["actor_ref", "-index"], name="ledger_entry_actor"),
            models.Index(fields=["correlation_id"], name="ledger_entry_correlation"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(index__gte=0), name="entries_are_numbered_from_0")
        ]


class EntrySubject(models.Model):
    """One thing that a sealed entry is about, in the order of the body."""

    pk = models.CompositePrimaryKey("entry_id", "position")
    entry = models.ForeignKey(Entry, on_delete=models.PROTECT, related_name="subjects", db_index=False)
    position = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=40)
    ref = models.CharField(max_length=200)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["kind", "ref", "-entry"], name="ledger_subject")]


class Node(models.Model):
    """The root of 256^level leaves, level 1 and up: the tiles of the tree.

    Level 0 is `Entry.leaf_hash`, and a row here for each entry whose text was disposed of (`disposals`).
    """

    pk = models.CompositePrimaryKey("level", "index")
    level = models.PositiveSmallIntegerField()
    index = models.BigIntegerField()
    hash = models.BinaryField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(index__gte=0), name="nodes_are_numbered_from_0")
        ]


class Checkpoint(models.Model):
    """The signed head of the ledger at a size. `note` is the C2SP checkpoint as it is served."""

    size = models.BigIntegerField(primary_key=True)
    root = models.BinaryField()
    note = models.TextField()
    #: When it was signed, by the sequencer's clock. Not covered by the signature; the entries' own times are.
    at = models.DateTimeField(db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(size__gte=1), name="checkpoints_cover_an_entry")
        ]


class LogKey(models.Model):
    """A public key that signs checkpoints from `first_size` on."""

    verifier_key = models.CharField(max_length=300, unique=True)
    first_size = models.BigIntegerField()
    created_at = models.DateTimeField()


class Halt(models.Model):
    """The sequencer stopped sealing, because somebody has to look. Over once there is another head. Insert-only."""

    at = models.DateTimeField(db_default=_THIS_INSTANT)
    #: The size of the head that was the newest then.
    size = models.BigIntegerField()
    sentence = models.TextField()


class Disclosure(models.Model):
    """The vault: what a commitment in an entry stands for. Erasure deletes rows here; no proof notices."""

    digest = models.CharField(max_length=43, primary_key=True)
    subject_ref = models.CharField(max_length=200)
    field = models.CharField(max_length=80)
    salt = models.CharField(max_length=22)
    value = models.TextField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["subject_ref"], name="ledger_disclosure_subject")]


class ConfigurationChange(AbstractLogEntry):  # type: ignore[misc]  # auditlog has no types
    """django-auditlog's row about one change of a configuration model: the readable field history.

    Insert-only. The actor is named as in the ledger, so that nothing here points at a person's row and nothing
    has to change when a person goes; addresses are not kept.
    """

    actor = None
    actor_email = None
    remote_addr = None
    remote_port = None
    content_type: models.ForeignKey[Any, Any] = models.ForeignKey(
        ContentType, on_delete=models.PROTECT, related_name="+"
    )
    actor_kind: models.CharField[str, str] = models.CharField(max_length=20)
    actor_ref: models.CharField[str, str] = models.CharField(max_length=200)
    door: models.CharField[str, str] = models.CharField(max_length=20)

    objects = ConfigurationChangeManager()

    class Meta(AbstractLogEntry.Meta):  # type: ignore[misc]
        verbose_name = "configuration change"
        verbose_name_plural = "configuration changes"


class Baseline(models.Model):
    """How far the rows that were there before their table was governed have been taken in."""

    table = models.CharField(max_length=63, primary_key=True)
    #: What was captured of a row when that began; a column that came later has the rows taken in again.
    columns = models.TextField()
    #: The key of the last row that was taken in.
    last_key = models.BigIntegerField(null=True)
    rows = models.BigIntegerField(default=0)
    finished_at = models.DateTimeField(null=True)


class Watch(models.Model):
    """Up to which entry rows were looked at for changes without an action. One row."""

    next_index = models.BigIntegerField()
    looked_at = models.DateTimeField()


class Comparison(models.Model):
    """One comparison of what the ledger says of rows with the rows that are there, and of the schema with before."""

    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    #: The size of the ledger that was replayed; rows that waited to be sealed were replayed too.
    size = models.BigIntegerField()
    tables = models.IntegerField()
    rows = models.BigIntegerField()
    differences = models.BigIntegerField()
    #: Tables that were not compared, because their rows are not all taken in.
    left_out = models.IntegerField()
    schema_sha256 = models.CharField(max_length=64)


class FindingKind(models.TextChoices):
    """What was found."""

    OUT_OF_BAND = "out_of_band", "Changed without an action"
    DIFFERS = "differs", "Differs from the ledger"
    SCHEMA = "schema", "Schema was changed"
    TRIGGER = "trigger", "Capture was switched off"


class Finding(models.Model):
    """Something in the database that no action of Gatehouse explains. Somebody owns it, explains it and closes it."""

    kind = models.CharField(max_length=12, choices=FindingKind.choices)
    #: One finding for one cause, however often it is seen.
    cause = models.CharField(max_length=300, unique=True)
    table = models.CharField(max_length=63)
    #: The key of the row, or of the first of them; empty when it is about the table.
    row = models.CharField(max_length=200, blank=True)
    #: How many rows, and which columns; the values are in the entry.
    rows = models.IntegerField(default=1)
    columns = models.CharField(max_length=500, blank=True)
    operation = models.CharField(max_length=10, blank=True)
    database_role = models.CharField(max_length=63, blank=True)
    application = models.CharField(max_length=63, blank=True)
    #: The first entry that shows it; null when no entry does.
    entry_index = models.BigIntegerField(null=True)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    #: The permanent reference of the person who looks into it.
    owner_ref = models.CharField(max_length=120, blank=True)
    explanation = models.TextField(max_length=2000, blank=True)
    #: What put it right, for instance a ticket.
    fixed_by = models.CharField(max_length=200, blank=True)
    closed_at = models.DateTimeField(null=True)
    closed_by_ref = models.CharField(max_length=120, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["-id"], condition=models.Q(closed_at=None), name="ledger_finding_open"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(closed_at=None) | ~models.Q(explanation=""), name="closed_findings_are_explained"
            )
        ]
