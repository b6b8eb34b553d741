"""Who answered for a report stays as it was said, by the database."""

from django.db import migrations

_TABLE = "exceptions_reportowner"


class Migration(migrations.Migration):
    dependencies = [("exceptions", "0003_report_owners")]
    operations = [
        migrations.RunSQL(
            f"""
            CREATE TRIGGER {_TABLE}_insert_only_rows BEFORE UPDATE OR DELETE ON {_TABLE}
                FOR EACH ROW EXECUTE FUNCTION gatehouse_insert_only();
            CREATE TRIGGER {_TABLE}_insert_only_table BEFORE TRUNCATE ON {_TABLE}
                FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_insert_only();
            ALTER TABLE {_TABLE} ENABLE ALWAYS TRIGGER {_TABLE}_insert_only_rows;
            ALTER TABLE {_TABLE} ENABLE ALWAYS TRIGGER {_TABLE}_insert_only_table;
            """,
            f"DROP TRIGGER {_TABLE}_insert_only_rows ON {_TABLE}; DROP TRIGGER {_TABLE}_insert_only_table ON {_TABLE};",
        )
    ]
