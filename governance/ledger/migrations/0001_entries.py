"""The outbox, the entries with what they are about, the tree over them, its signed heads, and the vault."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="LogKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("verifier_key", models.CharField(max_length=300, unique=True)),
                ("first_size", models.BigIntegerField()),
                ("created_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Pending",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("body", models.JSONField()),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name="Checkpoint",
            fields=[
                ("size", models.BigIntegerField(primary_key=True, serialize=False)),
                ("root", models.BinaryField()),
                ("note", models.TextField()),
                ("at", models.DateTimeField(db_index=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("size__gte", 1)), name="checkpoints_cover_an_entry")
                ]
            },
        ),
        migrations.CreateModel(
            name="Entry",
            fields=[
                ("index", models.BigIntegerField(primary_key=True, serialize=False)),
                ("body", models.TextField()),
                ("leaf_hash", models.BinaryField()),
                ("event", models.CharField(max_length=80)),
                ("actor_kind", models.CharField(max_length=20)),
                ("actor_ref", models.CharField(max_length=200)),
                ("door", models.CharField(max_length=20)),
                ("at", models.DateTimeField(db_index=True)),
                ("correlation_id", models.CharField(max_length=80)),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["event", "-index"],
                        name="ledger_entry_event",
                        opclasses=["text_pattern_ops", "int8_ops"],
                    ),
                    models.Index(fields=["actor_ref", "-index"], name="ledger_entry_actor"),
                    models.Index(fields=["correlation_id"], name="ledger_entry_correlation"),
                ],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("index__gte", 0)), name="entries_are_numbered_from_0")
                ],
            },
        ),
        migrations.CreateModel(
            name="Node",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "level", "index", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("level", models.PositiveSmallIntegerField()),
                ("index", models.BigIntegerField()),
                ("hash", models.BinaryField()),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("index__gte", 0), ("level__gte", 1)), name="nodes_start_at_level_1"
                    )
                ]
            },
        ),
        migrations.CreateModel(
            name="EntrySubject",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "entry_id", "position", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("position", models.PositiveSmallIntegerField()),
                ("kind", models.CharField(max_length=40)),
                ("ref", models.CharField(max_length=200)),
                (
                    "entry",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="subjects",
                        to="ledger.entry",
                    ),
                ),
            ],
            options={"indexes": [models.Index(fields=["kind", "ref", "-entry"], name="ledger_subject")]},
        ),
    ]
