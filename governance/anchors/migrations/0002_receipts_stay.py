"""What an anchor gave must never change afterwards."""

from django.db import migrations

TABLE = "anchors_anchorreceipt"


class Migration(migrations.Migration):
    dependencies = [("anchors", "0001_anchors"), ("identity", "0002_insert_only")]
    operations = [
        migrations.RunSQL(
            f"""
            CREATE TRIGGER {TABLE}_insert_only_rows BEFORE UPDATE OR DELETE ON {TABLE}
                FOR EACH ROW EXECUTE FUNCTION gatehouse_insert_only();
            CREATE TRIGGER {TABLE}_insert_only_table BEFORE TRUNCATE ON {TABLE}
                FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_insert_only();
            ALTER TABLE {TABLE} ENABLE ALWAYS TRIGGER {TABLE}_insert_only_rows;
            ALTER TABLE {TABLE} ENABLE ALWAYS TRIGGER {TABLE}_insert_only_table;
            """,
            f"""
            DROP TRIGGER {TABLE}_insert_only_rows ON {TABLE};
            DROP TRIGGER {TABLE}_insert_only_table ON {TABLE};
            """,
        )
    ]
