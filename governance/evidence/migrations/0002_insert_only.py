"""A manifest that the ledger was told of stays known, by the database."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("evidence", "0001_bundles"), ("identity", "0002_insert_only")]
    operations = [
        migrations.RunSQL(
            """
            CREATE TRIGGER evidence_exportedmanifest_insert_only_rows
                BEFORE UPDATE OR DELETE ON evidence_exportedmanifest
                FOR EACH ROW EXECUTE FUNCTION gatehouse_insert_only();
            CREATE TRIGGER evidence_exportedmanifest_insert_only_table
                BEFORE TRUNCATE ON evidence_exportedmanifest
                FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_insert_only();
            ALTER TABLE evidence_exportedmanifest
                ENABLE ALWAYS TRIGGER evidence_exportedmanifest_insert_only_rows;
            ALTER TABLE evidence_exportedmanifest
                ENABLE ALWAYS TRIGGER evidence_exportedmanifest_insert_only_table;
            """,
            """
            DROP TRIGGER evidence_exportedmanifest_insert_only_rows ON evidence_exportedmanifest;
            DROP TRIGGER evidence_exportedmanifest_insert_only_table ON evidence_exportedmanifest;
            """,
        ),
    ]
