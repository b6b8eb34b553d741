"""Replays of a policy draft are kept, and with which one a change was proposed."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('access', '0022_parked_rule_runs'),
        ('catalog', '0018_call_offs_stay'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ReplayRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slug', models.SlugField(db_index=False, max_length=80)),
                ('terms', models.JSONField()),
                ('digest', models.CharField(max_length=64)),
                ('since', models.DateTimeField()),
                ('until', models.DateTimeField()),
                ('total', models.PositiveIntegerField()),
                ('done', models.PositiveIntegerField(default=0)),
                ('reached', models.BigIntegerField(blank=True, null=True)),
                ('tally', models.JSONField()),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('stopped_at', models.DateTimeField(blank=True, null=True)),
                ('failures', models.PositiveSmallIntegerField(default=0)),
                ('retry_at', models.DateTimeField(blank=True, null=True)),
                ('cause', models.CharField(blank=True, max_length=120)),
                ('asked_by', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='ProposedWith',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('proposal', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='proposed_with', to='catalog.policyproposal')),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='proposed', to='access.replayrun')),
            ],
        ),
        migrations.AddIndex(
            model_name='replayrun',
            index=models.Index(fields=['digest', '-id'], name='replay_run_digest'),
        ),
        migrations.AddIndex(
            model_name='replayrun',
            index=models.Index(condition=models.Q(('finished_at__isnull', True), ('stopped_at__isnull', True)), fields=['id'], name='replay_run_due'),
        ),
        migrations.AddConstraint(
            model_name='replayrun',
            constraint=models.CheckConstraint(condition=models.Q(('done__lte', models.F('total'))), name='replay_run_does_no_more_than_there_is'),
        ),
        migrations.AddConstraint(
            model_name='replayrun',
            constraint=models.CheckConstraint(condition=models.Q(('finished_at__isnull', True), ('stopped_at__isnull', True), _connector='OR'), name='replay_run_has_one_end'),
        ),
    ]
