"""A run of a rule that fails pauses, and is put aside when it failed too often."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('access', '0021_glass_reviews_insert_only'),
        ('catalog', '0017_rules_called_off'),
    ]

    operations = [
        migrations.AddField(
            model_name='rulerun',
            name='cause',
            field=models.CharField(blank=True, max_length=300),
        ),
        migrations.AddField(
            model_name='rulerun',
            name='failures',
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='rulerun',
            name='parked_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='rulerun',
            name='retry_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddConstraint(
            model_name='rulerun',
            constraint=models.CheckConstraint(condition=models.Q(('parked_at__isnull', True), models.Q(('failures__gt', 0), models.Q(('cause', ''), _negated=True)), _connector='OR'), name='rule_run_is_parked_for_a_cause'),
        ),
    ]
