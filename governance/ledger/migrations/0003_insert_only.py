"""What is sealed stays: the database refuses to change or remove it, whoever asks.

The outbox and the vault refuse changes too, but not removal: the sequencer takes rows out of one, erasure out of the other.
"""

from django.db import migrations

FUNCTION = """
CREATE FUNCTION ledger_insert_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is insert-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END;
$$;
"""


def guard(table: str, row_events: str) -> migrations.RunSQL:
    """Refuse the row events and TRUNCATE, also in sessions that switch ordinary triggers off (ENABLE ALWAYS)."""
    return migrations.RunSQL(
        f"""
        CREATE TRIGGER {table}_insert_only_rows BEFORE {row_events} ON {table}
            FOR EACH ROW EXECUTE FUNCTION ledger_insert_only();
        CREATE TRIGGER {table}_insert_only_table BEFORE TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION ledger_insert_only();
        ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_insert_only_rows;
        ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_insert_only_table;
        """,
        f"""
        DROP TRIGGER {table}_insert_only_rows ON {table};
        DROP TRIGGER {table}_insert_only_table ON {table};
        """,
    )


class Migration(migrations.Migration):
    dependencies = [("ledger", "0002_configuration_history")]
    operations = [
        migrations.RunSQL(FUNCTION, "DROP FUNCTION ledger_insert_only();"),
        guard("ledger_entry", "UPDATE OR DELETE"),
        guard("ledger_entrysubject", "UPDATE OR DELETE"),
        guard("ledger_node", "UPDATE OR DELETE"),
        guard("ledger_checkpoint", "UPDATE OR DELETE"),
        guard("ledger_logkey", "UPDATE OR DELETE"),
        guard("ledger_configurationchange", "UPDATE OR DELETE"),
        guard("ledger_pending", "UPDATE"),
        guard("ledger_disclosure", "UPDATE"),
    ]
