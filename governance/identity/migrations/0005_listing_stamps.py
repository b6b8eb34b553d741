"""A stamp that moves when somebody leaves a list of people or groups, comes back or changes hands, and an index that
counts without reading rows. The SCIM door keeps its way-marks under the stamp (`scim_bridge.storage.waymarks`).

The stamp is in sixteen rows, so that many deletions at once do not wait for each other, and random, so that no two
states have the same. What is added comes last in every list and moves nothing.
"""

from django.db import migrations, models

STAMPS = """
CREATE TABLE identity_listingstamp (
    table_name text NOT NULL,
    slot smallint NOT NULL,
    stamp uuid NOT NULL,
    PRIMARY KEY (table_name, slot)
);
CREATE FUNCTION gatehouse_list_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO identity_listingstamp (table_name, slot, stamp)
    VALUES (TG_TABLE_NAME, COALESCE(NEW.id, OLD.id) % 16, gen_random_uuid())
    ON CONFLICT (table_name, slot) DO UPDATE SET stamp = excluded.stamp;
    RETURN NULL;
END;
$$;
CREATE FUNCTION gatehouse_lists_seen_anew() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO identity_listingstamp (table_name, slot, stamp)
    SELECT table_name, 0, gen_random_uuid()
    FROM unnest(ARRAY['identity_group', 'identity_person']) AS table_name
    ON CONFLICT (table_name, slot) DO UPDATE SET stamp = excluded.stamp;
    RETURN NULL;
END;
$$;
CREATE TRIGGER identity_connection_seen_anew
    AFTER INSERT OR DELETE OR UPDATE OF revoked_at, name ON identity_connection
    FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_lists_seen_anew();
"""
NO_STAMPS = """
DROP TRIGGER identity_connection_seen_anew ON identity_connection;
DROP FUNCTION gatehouse_lists_seen_anew();
DROP FUNCTION gatehouse_list_moved();
DROP TABLE identity_listingstamp;
"""


def moved_by(table: str) -> migrations.RunSQL:
    """Move the stamp of one table."""
    return migrations.RunSQL(
        f"""
        CREATE TRIGGER {table}_list_moved AFTER UPDATE OF is_listed, source ON {table}
            FOR EACH ROW WHEN (OLD.is_listed <> NEW.is_listed OR OLD.source <> NEW.source)
            EXECUTE FUNCTION gatehouse_list_moved();
        CREATE TRIGGER {table}_list_shrunk AFTER DELETE ON {table}
            FOR EACH ROW EXECUTE FUNCTION gatehouse_list_moved();
        """,
        f"""
        DROP TRIGGER {table}_list_moved ON {table};
        DROP TRIGGER {table}_list_shrunk ON {table};
        """,
    )


def counting(model: str, name: str) -> migrations.AddIndex:
    """Add the index that a list is counted by."""
    index = models.Index(fields=["id"], include=["created_at", "source"], condition=models.Q(is_listed=True), name=name)
    return migrations.AddIndex(model_name=model, index=index)


class Migration(migrations.Migration):
    dependencies = [("identity", "0004_canonical_keys")]
    operations = [
        counting("person", "person_listed"),
        counting("group", "group_listed"),
        migrations.RunSQL(STAMPS, NO_STAMPS),
        moved_by("identity_person"),
        moved_by("identity_group"),
    ]
