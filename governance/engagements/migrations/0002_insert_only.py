"""What an auditor was given stays as it was given, by the database."""

from django.db import migrations

_TABLES = ("engagements_population", "engagements_auditsample")


def _guard(table: str) -> migrations.RunSQL:
    rows, whole = f"{table}_insert_only_rows", f"{table}_insert_only_table"
    return migrations.RunSQL(
        f"""
        CREATE TRIGGER {rows} BEFORE UPDATE OR DELETE ON {table}
            FOR EACH ROW EXECUTE FUNCTION gatehouse_insert_only();
        CREATE TRIGGER {whole} BEFORE TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_insert_only();
        ALTER TABLE {table} ENABLE ALWAYS TRIGGER {rows};
        ALTER TABLE {table} ENABLE ALWAYS TRIGGER {whole};
        """,
        f"DROP TRIGGER {rows} ON {table}; DROP TRIGGER {whole} ON {table};",
    )


class Migration(migrations.Migration):
    dependencies = [("engagements", "0001_engagements"), ("identity", "0002_insert_only")]
    operations = [_guard(table) for table in _TABLES]
