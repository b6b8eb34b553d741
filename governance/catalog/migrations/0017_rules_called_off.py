"""A planned version of a birthright rule can be called off before it begins."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0016_adding_again'),
    ]

    operations = [
        migrations.CreateModel(
            name='RuleCallOff',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField()),
                ('by_ref', models.CharField(max_length=120)),
                ('correlation_id', models.CharField(max_length=32)),
                ('version', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='call_off', to='catalog.birthrightruleversion')),
            ],
        ),
    ]
