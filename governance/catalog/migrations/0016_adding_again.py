"""A role that was retired can be added again under the name it has in the application."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catalog", "0015_risk_weights_stay")]
    operations = [
        migrations.AddConstraint(
            model_name="entitlement",
            constraint=models.UniqueConstraint(
                condition=models.Q(("retired_at__isnull", True)),
                fields=("application", "kind", "target_ref"),
                name="entitlement_in_use_target_once",
            ),
        ),
        migrations.RemoveConstraint(model_name="entitlement", name="entitlement_target_once"),
        migrations.AlterField(
            model_name="entitlementrevision",
            name="change",
            field=models.CharField(help_text="added, changed, retired", max_length=20),
        ),
    ]
