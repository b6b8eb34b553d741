"""Whom an entitlement reached at an instant, from the index alone. Built beside the writers, who wait for nothing."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("access", "0008_former_beliefs_of_before")]
    operations = [
        AddIndexConcurrently(
            model_name="grant",
            index=models.Index(
                fields=["entitlement", "ends_at"],
                include=("starts_at", "created_at", "person", "id"),
                name="grant_entitlement_end",
            ),
        ),
        RemoveIndexConcurrently(model_name="grant", name="grant_entitlement"),
    ]
