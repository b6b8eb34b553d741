"""What applications and entitlements said of themselves, so that a class of data can be asked as of a date."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0004_sod_insert_only'),
    ]

    operations = [
        migrations.CreateModel(
            name='ApplicationRevision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('effective_at', models.DateTimeField()),
                ('recorded_at', models.DateTimeField()),
                ('name', models.CharField(max_length=120)),
                ('risk', models.PositiveSmallIntegerField(choices=[(1, 'Low'), (2, 'Medium'), (3, 'High'), (4, 'Critical')])),
                ('data_classes', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('phi', 'Patient data'), ('pii', 'Personal data'), ('financial', 'Financial data'), ('source_code', 'Source code')], max_length=20), default=list, size=None)),
                ('change', models.CharField(help_text='added, changed', max_length=20)),
                ('correlation_id', models.CharField(blank=True, max_length=32)),
                ('application', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='revisions', to='catalog.application')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('application', 'number'), name='application_revision_once')],
            },
        ),
        migrations.CreateModel(
            name='EntitlementRevision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('effective_at', models.DateTimeField()),
                ('recorded_at', models.DateTimeField()),
                ('name', models.CharField(max_length=120)),
                ('sentence', models.CharField(max_length=300)),
                ('risk', models.PositiveSmallIntegerField(choices=[(1, 'Low'), (2, 'Medium'), (3, 'High'), (4, 'Critical')])),
                ('data_classes', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('phi', 'Patient data'), ('pii', 'Personal data'), ('financial', 'Financial data'), ('source_code', 'Source code')], max_length=20), default=list, size=None)),
                ('is_privileged', models.BooleanField(default=False)),
                ('change', models.CharField(help_text='added, changed', max_length=20)),
                ('correlation_id', models.CharField(blank=True, max_length=32)),
                ('entitlement', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='revisions', to='catalog.entitlement')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('entitlement', 'number'), name='entitlement_revision_once')],
            },
        ),
    ]
