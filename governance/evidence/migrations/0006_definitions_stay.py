"""What a definition chose stays as it was said, by the database: a bundle of it can be built again."""

from django.db import migrations

_TABLE = "evidence_definitionversion"


class Migration(migrations.Migration):
    dependencies = [("evidence", "0005_definitions"), ("identity", "0002_insert_only")]
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
            f"""
            DROP TRIGGER {_TABLE}_insert_only_rows ON {_TABLE};
            DROP TRIGGER {_TABLE}_insert_only_table ON {_TABLE};
            """,
        )
    ]
