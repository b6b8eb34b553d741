"""What a governed table's triggers do: write the rows of a statement into the outbox, without anything personal.

The arguments of the triggers are the table's name, its key columns, its public columns, its volatile columns, the
column that names the person whose secret is used, and, in the table of people itself, the column with their permanent
reference. A column that no argument names is treated as personal: forgetting to declare one cannot leak it.

The helpers are in PL/pgSQL: a function in SQL that PostgreSQL cannot inline is planned anew by every statement that calls
it, which costs more than all of the rest. A statement about one row, which is what actions write, has a way of its own.
"""

# ruff: noqa: S608 -- put together from the constants of this file.

from django.db import migrations

#: A row whose image is larger has its long values named by their digest.
LONG_IMAGE, LONG_VALUE = 8_000, 1_000
#: Rows and bytes of one captured element; an entry holds 60,000 bytes.
ROWS, BYTES = 50, 40_000

HELPERS = f"""
CREATE FUNCTION ledger_commitment(secret bytea, secret_id bigint, place text, value jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    -- That there is nothing is no secret.
    IF value IN ('null', '""') THEN
        RETURN value;
    END IF;
    RETURN jsonb_build_object('key', secret_id, 'sha256', rtrim(translate(encode(
        sha256(secret || convert_to(place || '=' || (value #>> '{{}}'), 'UTF8')), 'base64'), '+/', '-_'), '='));
END
$$;

-- The image with commitments in place of what is not public, and digests in place of what is too long.
CREATE FUNCTION ledger_image(image jsonb, open text[], name text, person bigint) RETURNS jsonb
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    secret ledger_subjectkey;
BEGIN
    IF image - open <> '{{}}' THEN
        IF person IS NOT NULL THEN
            SELECT * INTO secret FROM ledger_subjectkey AS known WHERE known.subject_id = person;
        END IF;
        IF secret.id IS NULL THEN
            SELECT * INTO secret FROM ledger_subjectkey AS known WHERE known.subject_ref = '';
        END IF;
        IF secret.id IS NULL THEN
            INSERT INTO ledger_subjectkey (subject_ref, secret) VALUES ('', ledger_new_secret()) ON CONFLICT DO NOTHING;
            SELECT * INTO STRICT secret FROM ledger_subjectkey AS known WHERE known.subject_ref = '';
        END IF;
        SELECT jsonb_object_agg(said.key, CASE WHEN said.key = ANY(open) THEN said.value
            ELSE ledger_commitment(secret.secret, secret.id, name || '.' || said.key, said.value) END)
        INTO image FROM jsonb_each(image) AS said;
    END IF;
    IF pg_column_size(image) > {LONG_IMAGE} THEN
        SELECT jsonb_object_agg(said.key, CASE WHEN length(said.value::text) <= {LONG_VALUE} THEN said.value ELSE
            jsonb_build_object('characters', length(said.value::text),
                'sha256', encode(sha256(convert_to(said.value::text, 'UTF8')), 'hex')) END)
        INTO image FROM jsonb_each(image) AS said;
    END IF;
    RETURN image;
END
$$;

-- Two random UUIDs of the core: 244 random bits in 32 bytes, without an extension.
CREATE FUNCTION ledger_new_secret() RETURNS bytea LANGUAGE sql VOLATILE AS $$
    SELECT uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
$$;
"""

#: The key as text; keys of several columns are joined by commas.
KEY = "concat_ws(',', {row} ->> keys[1], {row} ->> keys[2], {row} ->> keys[3])"
#: The first rows of a transition table: none, one, or more. The alias is no column of ours, which would win over it.
FIRST = """
    SELECT array_agg(to_jsonb(ledger_row)) INTO {into} FROM (SELECT * FROM {rows} LIMIT 2) AS ledger_row;
"""
#: All rows as JSON, computed once: OFFSET 0 keeps the planner from repeating it.
WHOLE = "(SELECT to_jsonb(ledger_row) AS whole FROM {rows} AS ledger_row OFFSET 0) AS {rows}"
INTO = 'INSERT INTO ledger_captured ("table", operation, database_role, application, rows)'
FROM_WHOM = "session_user, current_setting('application_name')"
#: What a row is made of that comes, and one that goes. What that one had in its personal columns is in the entries
#: before; their commitments are not repeated.
CAME = f"""jsonb_build_object('key', {KEY}, 'new', ledger_image({{row}} - hidden, open, name, ({{row}} ->> owner)::bigint))"""
WENT = f"""
    jsonb_build_object('key', {KEY}, 'old', ledger_image(
        {{row}} - hidden - ARRAY(SELECT jsonb_object_keys({{row}} - open - hidden)), open, name, NULL))
"""


def one(operation: str, element: str) -> str:
    """Return the statement that writes one row."""
    return f"{INTO} VALUES (name, '{operation}', {FROM_WHOM}, jsonb_build_array({element}));"


def many(elements: str) -> str:
    """Return the statement that writes what the query of (operation, element) selects, in portions."""
    return f"""
    {INTO}
    SELECT name, portion.operation, {FROM_WHOM}, jsonb_agg(portion.element)
    FROM (
        SELECT kept.operation, kept.element,
            (row_number() OVER place - 1) / {ROWS} AS by_number,
            sum(pg_column_size(kept.element)) OVER place / {BYTES} AS by_size
        FROM ({elements}) AS kept
        WINDOW place AS (PARTITION BY kept.operation ROWS UNBOUNDED PRECEDING)
    ) AS portion
    GROUP BY portion.operation, portion.by_number, portion.by_size
    ORDER BY portion.operation, portion.by_number, portion.by_size;
    """


BODY = """
CREATE FUNCTION ledger_capture_{operation}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT SET timezone = 'UTC' SET intervalstyle = 'iso_8601' SET bytea_output = 'hex' SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    name text := TG_ARGV[0];
    keys text[] := string_to_array(TG_ARGV[1], ',');
    open text[] := string_to_array(TG_ARGV[2], ',');
    hidden text[] := keys || string_to_array(TG_ARGV[3], ',');
    owner text := TG_ARGV[4];
    reference text := TG_ARGV[5];
    before jsonb[];
    after jsonb[];
    old_image jsonb;
    new_image jsonb;
BEGIN
    {work}
    RETURN NULL;
END;
$$;
"""
SECRETS_OF_PEOPLE = f"""
    IF reference <> '' THEN
        INSERT INTO ledger_subjectkey (subject_ref, subject_id, secret)
        SELECT new_rows.whole ->> reference, (new_rows.whole ->> owner)::bigint, ledger_new_secret()
        FROM {WHOLE.format(rows="new_rows")}
        WHERE NOT EXISTS (SELECT FROM ledger_subjectkey AS known WHERE known.subject_ref = new_rows.whole ->> reference)
        ORDER BY 1 ON CONFLICT DO NOTHING;
    END IF;
"""

INSERTED = f"""
    {FIRST.format(rows="new_rows", into="after")}
    IF after IS NULL THEN
        RETURN NULL;
    END IF;
    {SECRETS_OF_PEOPLE}
    IF cardinality(after) = 1 THEN
        {one("inserted", CAME.format(row="after[1]"))}
    ELSE
        {many(f"SELECT 'inserted' AS operation, {CAME.format(row='new_rows.whole')} AS element FROM {WHOLE.format(rows='new_rows')}")}
    END IF;
"""

#: What is different, before and after. Columns that are not there any more were dropped by a migration.
CHANGES = """
    SELECT jsonb_object_agg(said.key, coalesce({old} -> said.key, 'null')), jsonb_object_agg(said.key, said.value) {into}
    FROM jsonb_each({new} - hidden) AS said WHERE said.value IS DISTINCT FROM {old} -> said.key
"""
CHANGED = f"""jsonb_build_object('key', {KEY},
    'old', ledger_image({{old}}, open, name, ({{row}} ->> owner)::bigint),
    'new', ledger_image({{new}}, open, name, ({{row}} ->> owner)::bigint))
"""
#: A row whose key was changed is one that went and one that came.
PAIRS = f"""
    SELECT CASE WHEN old_rows.whole IS NULL THEN 'inserted' WHEN new_rows.whole IS NULL THEN 'deleted' ELSE 'updated' END
        AS operation,
        CASE WHEN old_rows.whole IS NULL THEN {CAME.format(row="new_rows.whole")}
            WHEN new_rows.whole IS NULL THEN {WENT.format(row="old_rows.whole")}
            ELSE {CHANGED.format(row="new_rows.whole", old="changes.old", new="changes.new")} END AS element
    FROM {WHOLE.format(rows="old_rows")} FULL JOIN {WHOLE.format(rows="new_rows")}
        ON {KEY.format(row="new_rows.whole")} = {KEY.format(row="old_rows.whole")}
    CROSS JOIN LATERAL ({CHANGES.format(old="old_rows.whole", new="new_rows.whole", into="")}) AS changes (old, new)
    WHERE changes.new IS NOT NULL OR new_rows.whole IS NULL
"""
UPDATED = f"""
    {FIRST.format(rows="new_rows", into="after")}
    IF after IS NULL THEN
        RETURN NULL;
    END IF;
    IF cardinality(after) = 1 THEN
        {FIRST.format(rows="old_rows", into="before")}
        IF before[1] - hidden = after[1] - hidden AND {KEY.format(row="before[1]")} = {KEY.format(row="after[1]")} THEN
            RETURN NULL;
        END IF;
    END IF;
    {SECRETS_OF_PEOPLE}
    IF cardinality(after) = 1 AND {KEY.format(row="before[1]")} = {KEY.format(row="after[1]")} THEN
        {CHANGES.format(old="before[1]", new="after[1]", into="INTO old_image, new_image")};
        {one("updated", CHANGED.format(row="after[1]", old="old_image", new="new_image"))}
    ELSE
        {many(PAIRS)}
    END IF;
"""

DELETED = f"""
    {FIRST.format(rows="old_rows", into="before")}
    IF cardinality(before) = 1 THEN
        {one("deleted", WENT.format(row="before[1]"))}
    ELSIF before IS NOT NULL THEN
        {many(f"SELECT 'deleted' AS operation, {WENT.format(row='old_rows.whole')} AS element FROM {WHOLE.format(rows='old_rows')}")}
    END IF;
"""

REFUSE_TRUNCATE = """
CREATE FUNCTION ledger_refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is governed: its rows are captured one by one, TRUNCATE refused', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END;
$$;
"""
#: A migration is what may change rows without an action. It says so itself, in the transaction that it works in:
#: Django notes an applied migration inside of the migration's own transaction, when that only moves data.
MIGRATED = """
CREATE FUNCTION ledger_record_migration() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT AS $$
DECLARE
    said record;
BEGIN
    IF TG_OP = 'INSERT' THEN said := NEW; ELSE said := OLD; END IF;
    -- Before the ledger has begun there is nothing that a migration could have changed unseen.
    IF EXISTS (SELECT FROM ledger_checkpoint) OR EXISTS (SELECT FROM ledger_captured) THEN
        INSERT INTO ledger_pending (body) SELECT jsonb_build_object(
            'v', 2, 'event', CASE TG_OP WHEN 'INSERT' THEN 'schema.migrated' ELSE 'schema.unmigrated' END,
            'at', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'actor', jsonb_build_object('kind', 'system', 'ref', session_user, 'door', 'database'),
            'correlation', '',
            'subjects', jsonb_build_array(jsonb_build_object('kind', 'migration', 'ref', said.app || '.' || said.name)),
            'data', '{}'::jsonb, 'private', '{}'::jsonb);
    END IF;
    RETURN NULL;
END;
$$;
"""
#: Functions that run with their owner's rights find tables in this schema only, and a temporary table last.
BEGIN = """
SELECT set_config('ledger.search_path', current_setting('search_path'), true);
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);
"""
END = "SELECT set_config('search_path', current_setting('ledger.search_path'), true);"

FUNCTIONS = "\n".join(
    (
        BEGIN,
        HELPERS,
        BODY.format(operation="inserted", work=INSERTED),
        BODY.format(operation="updated", work=UPDATED),
        BODY.format(operation="deleted", work=DELETED),
        REFUSE_TRUNCATE,
        MIGRATED,
        END,
    )
)
UNDO = """
DROP FUNCTION ledger_capture_inserted(), ledger_capture_updated(), ledger_capture_deleted(), ledger_refuse_truncate(),
    ledger_record_migration() CASCADE;
DROP FUNCTION ledger_commitment(bytea, bigint, text, jsonb), ledger_image(jsonb, text[], text, bigint),
    ledger_new_secret();
"""


def guard(table: str, rows: str) -> migrations.RunSQL:
    """Refuse what the outbox refuses: changes of these columns, and TRUNCATE."""
    return migrations.RunSQL(
        f"""
        CREATE TRIGGER {table}_insert_only_rows BEFORE UPDATE {rows} ON {table}
            FOR EACH ROW EXECUTE FUNCTION ledger_insert_only();
        CREATE TRIGGER {table}_insert_only_table BEFORE TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION ledger_insert_only();
        ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_insert_only_rows;
        ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_insert_only_table;
        """,
        f"DROP TRIGGER {table}_insert_only_rows ON {table}; DROP TRIGGER {table}_insert_only_table ON {table};",
    )


class Migration(migrations.Migration):
    dependencies = [("ledger", "0004_row_capture")]
    operations = [
        migrations.RunSQL(FUNCTIONS, UNDO),
        guard("ledger_captured", ""),
        guard("ledger_subjectkey", "OF id, subject_ref, subject_id, secret"),
    ]
