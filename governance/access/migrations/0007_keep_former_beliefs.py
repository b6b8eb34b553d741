"""A revision that takes the place of another leaves what was believed before, by the database."""

from django.db import migrations

KEEPING = """
CREATE FUNCTION gatehouse_keep_former_beliefs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Most statements write first revisions only, which take nobody's place.
    IF EXISTS (SELECT FROM written WHERE number > 1) THEN
        INSERT INTO access_formerbelief
            (grant_id, number, person_id, entitlement_id, starts_at, ends_at, known_from, known_until)
        SELECT former.grant_id, former.number, held.person_id, held.entitlement_id, former.starts_at, former.ends_at,
            former.recorded_at, written.recorded_at
        FROM written
        JOIN access_grantrevision former ON former.grant_id = written.grant_id AND former.number = written.number - 1
        -- Without a grant the row is refused, rather than left out.
        LEFT JOIN access_grant held ON held.id = written.grant_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER access_grantrevision_former_beliefs AFTER INSERT ON access_grantrevision
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_keep_former_beliefs();
ALTER TABLE access_grantrevision ENABLE ALWAYS TRIGGER access_grantrevision_former_beliefs;
"""
NOT_KEEPING = """
DROP TRIGGER access_grantrevision_former_beliefs ON access_grantrevision;
DROP FUNCTION gatehouse_keep_former_beliefs();
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
    dependencies = [("access", "0006_former_beliefs"), ("identity", "0002_insert_only")]
    operations = [migrations.RunSQL(KEEPING, NOT_KEEPING), insert_only("access_formerbelief")]
