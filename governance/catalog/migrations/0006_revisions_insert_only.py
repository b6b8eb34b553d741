"""The first revision is written with its row, by the database, and none is ever changed."""

from django.db import migrations

_APPLICATION = "name, risk, data_classes"
_ENTITLEMENT = "name, sentence, risk, data_classes, is_privileged"


def first_revision(kind: str, said: str) -> migrations.RunSQL:
    """Have every new row of a table say for the record what it says, from when it was made."""
    return migrations.RunSQL(
        f"""
        CREATE FUNCTION gatehouse_first_{kind}_revision() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO catalog_{kind}revision
                ({kind}_id, number, effective_at, recorded_at, change, correlation_id, {said})
            SELECT id, 1, created_at, created_at, 'added', '', {said} FROM written;
            RETURN NULL;
        END $$;
        CREATE TRIGGER catalog_{kind}_first_revision AFTER INSERT ON catalog_{kind}
            REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_first_{kind}_revision();
        ALTER TABLE catalog_{kind} ENABLE ALWAYS TRIGGER catalog_{kind}_first_revision;
        """,  # noqa: S608 - names of the code
        f"""
        DROP TRIGGER catalog_{kind}_first_revision ON catalog_{kind};
        DROP FUNCTION gatehouse_first_{kind}_revision();
        """,
    )


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
    dependencies = [("catalog", "0005_revisions"), ("identity", "0002_insert_only")]
    operations = [
        first_revision("application", _APPLICATION),
        first_revision("entitlement", _ENTITLEMENT),
        insert_only("catalog_applicationrevision"),
        insert_only("catalog_entitlementrevision"),
    ]
