"""Turns are insert-only, and a request knows who answered it, by the database."""

from django.db import migrations

KEEPING = """
CREATE FUNCTION gatehouse_keep_answered() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE access_accessrequest asked SET answered_ids = asked.answered_ids || given.ids
    FROM (
        SELECT request_id, array_remove(array_agg(approver_id) || array_agg(on_behalf_of_id), NULL) AS ids
        FROM written GROUP BY request_id
    ) given
    WHERE asked.id = given.request_id AND asked.state = 'pending' AND cardinality(given.ids) > 0;
    RETURN NULL;
END $$;
CREATE TRIGGER access_approval_keep_answered AFTER INSERT ON access_approval
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_keep_answered();
ALTER TABLE access_approval ENABLE ALWAYS TRIGGER access_approval_keep_answered;
"""
NOT_KEEPING = """
DROP TRIGGER access_approval_keep_answered ON access_approval;
DROP FUNCTION gatehouse_keep_answered();
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
    dependencies = [("access", "0017_answering"), ("identity", "0002_insert_only")]
    operations = [migrations.RunSQL(KEEPING, NOT_KEEPING), insert_only("access_turn")]
