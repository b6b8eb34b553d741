"""Where the triggers of governed tables write, the secrets of their commitments, and the transaction of each entry."""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0003_insert_only'),
    ]

    operations = [
        migrations.CreateModel(
            name='Captured',
            fields=[
                ('id', models.BigIntegerField(db_default=models.Func(output_field=models.BigIntegerField(), template="nextval('ledger_pending_id_seq')"), primary_key=True, serialize=False)),
                ('table', models.CharField(max_length=63)),
                ('operation', models.CharField(max_length=10)),
                ('database_role', models.CharField(max_length=63)),
                ('application', models.CharField(max_length=63)),
                ('rows', models.JSONField()),
                ('created_at', models.DateTimeField(db_default=models.Func(output_field=models.DateTimeField(), template='clock_timestamp()'))),
                ('xid', models.BigIntegerField(db_default=models.Func(output_field=models.BigIntegerField(), template='pg_current_xact_id()::text::bigint'))),
            ],
        ),
        migrations.CreateModel(
            name='SubjectKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('subject_ref', models.CharField(blank=True, max_length=200, unique=True)),
                ('subject_id', models.BigIntegerField(null=True, unique=True)),
                ('secret', models.BinaryField()),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.AddField(
            model_name='entry',
            name='transaction',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='pending',
            name='xid',
            field=models.BigIntegerField(db_default=models.Func(output_field=models.BigIntegerField(), template='pg_current_xact_id()::text::bigint')),
        ),
        migrations.AddIndex(
            model_name='entry',
            index=models.Index(fields=['transaction'], name='ledger_entry_transaction'),
        ),
    ]
