"""What was said about leaving, and which files were applied, stays; what was held and handed over is never removed."""

from django.db import migrations


def guarded(table: str, what: str) -> migrations.RunSQL:
    """Guard one table, also against sessions that switch ordinary triggers off."""
    return migrations.RunSQL(
        f"""
        CREATE TRIGGER {table}_insert_only_rows BEFORE {what} ON {table}
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
    dependencies = [("lifecycle", "0001_holds_plans_handovers"), ("identity", "0002_insert_only")]
    operations = [
        guarded("lifecycle_leaveplan", "UPDATE OR DELETE"),
        guarded("lifecycle_peoplefile", "UPDATE OR DELETE"),
        guarded("lifecycle_hold", "DELETE"),
        guarded("lifecycle_helditem", "DELETE"),
        guarded("lifecycle_handover", "DELETE"),
    ]
