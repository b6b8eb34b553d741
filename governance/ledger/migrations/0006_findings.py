"""Findings and who looks into them, what was compared, and how far looking and taking in came."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0005_capture_functions'),
    ]

    operations = [
        migrations.CreateModel(
            name='Baseline',
            fields=[
                ('table', models.CharField(max_length=63, primary_key=True, serialize=False)),
                ('columns', models.TextField()),
                ('last_key', models.BigIntegerField(null=True)),
                ('rows', models.BigIntegerField(default=0)),
                ('finished_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Comparison',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('started_at', models.DateTimeField()),
                ('finished_at', models.DateTimeField()),
                ('size', models.BigIntegerField()),
                ('tables', models.IntegerField()),
                ('rows', models.BigIntegerField()),
                ('differences', models.BigIntegerField()),
                ('left_out', models.IntegerField()),
                ('schema_sha256', models.CharField(max_length=64)),
            ],
        ),
        migrations.CreateModel(
            name='Watch',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('next_index', models.BigIntegerField()),
                ('looked_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='Finding',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('out_of_band', 'Changed without an action'), ('differs', 'Differs from the ledger'), ('schema', 'Schema was changed'), ('trigger', 'Capture was switched off')], max_length=12)),
                ('cause', models.CharField(max_length=300, unique=True)),
                ('table', models.CharField(max_length=63)),
                ('row', models.CharField(blank=True, max_length=200)),
                ('rows', models.IntegerField(default=1)),
                ('columns', models.CharField(blank=True, max_length=500)),
                ('operation', models.CharField(blank=True, max_length=10)),
                ('database_role', models.CharField(blank=True, max_length=63)),
                ('application', models.CharField(blank=True, max_length=63)),
                ('entry_index', models.BigIntegerField(null=True)),
                ('first_seen_at', models.DateTimeField()),
                ('last_seen_at', models.DateTimeField()),
                ('owner_ref', models.CharField(blank=True, max_length=120)),
                ('explanation', models.TextField(blank=True, max_length=2000)),
                ('fixed_by', models.CharField(blank=True, max_length=200)),
                ('closed_at', models.DateTimeField(null=True)),
                ('closed_by_ref', models.CharField(blank=True, max_length=120)),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('closed_at', None)), fields=['-id'], name='ledger_finding_open')],
                'constraints': [models.CheckConstraint(condition=models.Q(('closed_at', None), models.Q(('explanation', ''), _negated=True), _connector='OR'), name='closed_findings_are_explained')],
            },
        ),
    ]
