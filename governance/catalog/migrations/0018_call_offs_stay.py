"""That a version of a rule was called off must never change afterwards."""

from django.db import migrations


def insert_only(table: str) -> migrations.RunSQL:
    """Guard one table, also against sessions that switch ordinary triggers off."""
    return migrations.RunSQL(
        f"""
        CREATE TRIGGER {table}_insert_only_rows BEFORE UPDATE OR DELETE ON {table}
            FOR EACH ROW EXECUTE FUNCTION gatehouse_insert_only();
        CREATE TRIGGER {table}_insert_only_table BEFORE TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_insert_only();
        ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_insert_only_rows;
        ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_insert_only_table;
        """,
        f"""
        DROP TRIGGER {table}_insert_only_rows ON {table};
        DROP TRIGGER {table}_insert_only_table ON {table};
        """,
    )


class Migration(migrations.Migration):
    dependencies = [("catalog", "0017_rules_called_off")]
    operations = [insert_only("catalog_rulecalloff")]
