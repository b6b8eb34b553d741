"""What was believed about grants before it was superseded, so that any date can be asked as it was known on any other."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("access", "0005_fewer_indexes"),
        ("catalog", "0005_revisions"),
        ("provisioning", "0003_fewer_indexes"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="FormerBelief",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField()),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
                ("known_from", models.DateTimeField()),
                ("known_until", models.DateTimeField()),
                (
                    "entitlement",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="catalog.entitlement",
                    ),
                ),
                (
                    "grant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="former_beliefs",
                        to="access.grant",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["entitlement", "known_until"],
                        include=("known_from", "starts_at", "ends_at", "person", "grant"),
                        name="former_belief_entitlement",
                    ),
                    models.Index(fields=["person", "known_until"], name="former_belief_person"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("grant", "number"), name="former_belief_once"),
                ],
            },
        ),
    ]
