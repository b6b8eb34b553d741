"""What readings found and what was said about exceptions stays as it was, by the database."""

from django.db import migrations

_TABLES = ("exceptions_reading", "exceptions_reportreading", "exceptions_statement")


def _keep(table: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"""
        CREATE TRIGGER {table}_insert_only_rows BEFORE UPDATE OR DELETE ON {table}
            FOR EACH ROW EXECUTE FUNCTION gatehouse_insert_only();
        CREATE TRIGGER {table}_insert_only_table BEFORE TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_insert_only();
        ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_insert_only_rows;
        ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_insert_only_table;
        """,
        f"DROP TRIGGER {table}_insert_only_rows ON {table}; DROP TRIGGER {table}_insert_only_table ON {table};",
    )


class Migration(migrations.Migration):
    dependencies = [("exceptions", "0001_exceptions"), ("identity", "0002_insert_only")]
    operations = [_keep(table) for table in _TABLES]
