"""Revisions are insert-only: the database refuses to change or remove them, whoever asks."""

from django.db import migrations

FUNCTION = """
CREATE FUNCTION gatehouse_insert_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is insert-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END;
$$;
"""


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
    dependencies = [("identity", "0001_initial")]
    operations = [
        migrations.RunSQL(FUNCTION, "DROP FUNCTION gatehouse_insert_only();"),
        insert_only("identity_personrevision"),
        insert_only("identity_membershiprevision"),
    ]
