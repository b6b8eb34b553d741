"""Owners say how long at most a session outlives its access."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0018_call_offs_stay'),
    ]

    operations = [
        migrations.AddField(
            model_name='application',
            name='session_hours',
            field=models.PositiveSmallIntegerField(blank=True, null=True),
        ),
    ]
