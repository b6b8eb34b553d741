"""That the sequencer stopped sealing, and why, for whoever looks."""

import django.db.models.expressions
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ledger", "0008_capture_for_less")]
    operations = [
        migrations.CreateModel(
            name="Halt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.expressions.Func(
                            template="clock_timestamp()", output_field=models.DateTimeField()
                        )
                    ),
                ),
                ("size", models.BigIntegerField()),
                ("sentence", models.TextField()),
            ],
        ),
        migrations.RunSQL(
            """
            CREATE TRIGGER ledger_halt_insert_only_rows BEFORE UPDATE OR DELETE ON ledger_halt
                FOR EACH ROW EXECUTE FUNCTION ledger_insert_only();
            CREATE TRIGGER ledger_halt_insert_only_table BEFORE TRUNCATE ON ledger_halt
                FOR EACH STATEMENT EXECUTE FUNCTION ledger_insert_only();
            ALTER TABLE ledger_halt ENABLE ALWAYS TRIGGER ledger_halt_insert_only_rows;
            ALTER TABLE ledger_halt ENABLE ALWAYS TRIGGER ledger_halt_insert_only_table;
            """,
            """
            DROP TRIGGER ledger_halt_insert_only_rows ON ledger_halt;
            DROP TRIGGER ledger_halt_insert_only_table ON ledger_halt;
            """,
        ),
    ]
