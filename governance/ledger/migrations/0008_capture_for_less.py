"""The functions of migration 0005 anew: they write the same for about half of what it cost.

A statement about one row reads it as JSON once, looks at one column after the other in PL/pgSQL (a query costs as much as
forty such looks), and asks for a secret only when a personal column changed, once for both images. A set has
the secrets of people beside its rows, where each row called for its own twice.
"""

# ruff: noqa: S608 -- put together from the constants of this file and of 0005.

from importlib import import_module

from django.db import migrations

before = import_module("governance.ledger.migrations.0005_capture_functions")
KEY, WHOLE = before.KEY, before.WHOLE

HELPERS = f"""
-- The secret that personal columns are committed with: the person's, else the log's own.
CREATE FUNCTION ledger_secret(person bigint) RETURNS ledger_subjectkey LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    secret ledger_subjectkey;
BEGIN
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
    RETURN secret;
END
$$;

-- The image with digests in place of what is too long.
CREATE FUNCTION ledger_shortened(image jsonb) RETURNS jsonb LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    IF pg_column_size(image) > {before.LONG_IMAGE} THEN
        SELECT jsonb_object_agg(said.key, CASE WHEN length(said.value::text) <= {before.LONG_VALUE} THEN said.value ELSE
            jsonb_build_object('characters', length(said.value::text),
                'sha256', encode(sha256(convert_to(said.value::text, 'UTF8')), 'hex')) END)
        INTO image FROM jsonb_each(image) AS said;
    END IF;
    RETURN image;
END
$$;

CREATE OR REPLACE FUNCTION ledger_image(image jsonb, open text[], name text, person bigint) RETURNS jsonb
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    personal text[];
    place text;
    secret ledger_subjectkey;
BEGIN
    IF image - open <> '{{}}' THEN
        secret := ledger_secret(person);
        personal := ARRAY(SELECT jsonb_object_keys(image - open));
        FOREACH place IN ARRAY personal LOOP
            image := image || jsonb_build_object(
                place, ledger_commitment(secret.secret, secret.id, name || '.' || place, image -> place));
        END LOOP;
    END IF;
    RETURN ledger_shortened(image);
END
$$;
"""

INTO, FROM_WHOM = before.INTO, before.FROM_WHOM
#: The first row of a transition table as JSON, and whether there are more. The alias is no column of ours, which would
#: win over it.
FIRST = """
    SELECT to_jsonb(ledger_row), EXISTS (SELECT FROM {rows} OFFSET 1) INTO {into}, are_many
    FROM {rows} AS ledger_row LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
"""
SECRETS_OF_PEOPLE = f"""
    IF reference <> '' THEN
        IF NOT are_many THEN
            PERFORM FROM ledger_subjectkey AS known WHERE known.subject_ref = after ->> reference;
        END IF;
        IF are_many OR NOT FOUND THEN
            INSERT INTO ledger_subjectkey (subject_ref, subject_id, secret)
            SELECT new_rows.whole ->> reference, (new_rows.whole ->> owner)::bigint, ledger_new_secret()
            FROM {WHOLE.format(rows="new_rows")}
            WHERE NOT EXISTS (
                SELECT FROM ledger_subjectkey AS known WHERE known.subject_ref = new_rows.whole ->> reference)
            ORDER BY 1 ON CONFLICT DO NOTHING;
        END IF;
    END IF;
"""
#: The person's secret beside each row of a set. OFFSET 0 keeps the planner from joining by hash, which loses the order.
SECRETS = """
    LEFT JOIN LATERAL (
        SELECT * FROM ledger_subjectkey AS one WHERE one.subject_id = ({row} ->> owner)::bigint OFFSET 0
    ) AS known ON true
"""


def committed(value: str) -> str:
    """Return the SQL of what `ledger_commitment` returns, without a call for each value."""
    return f"""
    CASE WHEN {value} IN ('null', '""') THEN {value} ELSE jsonb_build_object(
        'key', coalesce(known.id, own.id),
        'sha256', rtrim(translate(encode(sha256(coalesce(known.secret, own.secret)
            || convert_to(name || '.' || said.key || '=' || ({value} #>> '{{}}'), 'UTF8')), 'base64'), '+/', '-_'), '=')
    ) END
    """


def came(row: str) -> str:
    """Return the SQL of the element for a row of a set that came."""
    return f"""
    jsonb_build_object('key', {KEY.format(row=row)}, 'new', ledger_shortened(
        CASE WHEN {row} - hidden - open = '{{}}' THEN {row} - hidden ELSE (
            SELECT jsonb_object_agg(said.key, CASE WHEN said.key = ANY(open) THEN said.value
                ELSE {committed("said.value")} END)
            FROM jsonb_each({row} - hidden) AS said
        ) END))
    """


def many(elements: str) -> str:
    """Return what 0005 does with the rows of a set. OFFSET 0 keeps the planner from making each element twice."""
    return before.many(f"{elements} OFFSET 0")


INSERTED = f"""
    {FIRST.format(rows="new_rows", into="after")}
    {SECRETS_OF_PEOPLE}
    IF NOT are_many THEN
        {before.one("inserted", before.CAME.format(row="after"))}
        RETURN NULL;
    END IF;
    own := ledger_secret(NULL);
    {
    before.many(f'''
        SELECT 'inserted' AS operation, {came("new_rows.whole")} AS element
        FROM {WHOLE.format(rows="new_rows")} {SECRETS.format(row="new_rows.whole")}
    ''')
}
"""

#: What is different in a row of a set, before and after. Columns that are not there any more were dropped by a migration.
CHANGES = f"""
    SELECT jsonb_object_agg(said.key, CASE WHEN said.key = ANY(open) THEN said.old
            ELSE {committed("said.old")} END),
        jsonb_object_agg(said.key, CASE WHEN said.key = ANY(open) THEN said.value
            ELSE {committed("said.value")} END)
    FROM (
        SELECT one.key, one.value, coalesce(old_rows.whole -> one.key, 'null') AS old
        FROM jsonb_each(new_rows.whole - hidden) AS one
        WHERE one.value IS DISTINCT FROM old_rows.whole -> one.key
    ) AS said
"""
#: A row whose key was changed is one that went and one that came.
PAIRS = f"""
    SELECT CASE WHEN old_rows.whole IS NULL THEN 'inserted' WHEN new_rows.whole IS NULL THEN 'deleted' ELSE 'updated' END
        AS operation,
        CASE WHEN old_rows.whole IS NULL THEN {came("new_rows.whole")}
            WHEN new_rows.whole IS NULL THEN {before.WENT.format(row="old_rows.whole")}
            ELSE jsonb_build_object('key', {KEY.format(row="new_rows.whole")},
                'old', ledger_shortened(changes.old), 'new', ledger_shortened(changes.new)) END AS element
    FROM {WHOLE.format(rows="old_rows")} FULL JOIN {WHOLE.format(rows="new_rows")}
        ON {KEY.format(row="new_rows.whole")} = {KEY.format(row="old_rows.whole")}
    {SECRETS.format(row="new_rows.whole")}
    CROSS JOIN LATERAL ({CHANGES}) AS changes (old, new)
    WHERE changes.new IS NOT NULL OR new_rows.whole IS NULL
"""
#: What is different in the row, column by column.
COMPARED = """
    FOREACH place IN ARRAY open LOOP
        IF before -> place IS DISTINCT FROM after -> place THEN
            old_image := old_image || jsonb_build_object(place, coalesce(before -> place, 'null'));
            new_image := new_image || jsonb_build_object(place, after -> place);
        END IF;
    END LOOP;
    personal := after - hidden - open;
    IF personal <> before - hidden - open THEN
        own := ledger_secret((after ->> owner)::bigint);
        places := ARRAY(SELECT jsonb_object_keys(personal));
        FOREACH place IN ARRAY places LOOP
            IF before -> place IS DISTINCT FROM personal -> place THEN
                old_image := old_image || jsonb_build_object(place, ledger_commitment(
                    own.secret, own.id, name || '.' || place, coalesce(before -> place, 'null')));
                new_image := new_image || jsonb_build_object(place, ledger_commitment(
                    own.secret, own.id, name || '.' || place, personal -> place));
            END IF;
        END LOOP;
    END IF;
"""
CHANGED = f"""jsonb_build_object('key', {KEY.format(row="after")},
    'old', ledger_shortened(old_image), 'new', ledger_shortened(new_image))"""
UPDATED = f"""
    {FIRST.format(rows="new_rows", into="after")}
    IF NOT are_many THEN
        SELECT to_jsonb(ledger_row) INTO before FROM old_rows AS ledger_row LIMIT 1;
    END IF;
    IF NOT are_many AND {KEY.format(row="before")} = {KEY.format(row="after")} THEN
        IF before - hidden = after - hidden THEN
            RETURN NULL;
        END IF;
        {SECRETS_OF_PEOPLE}
        {COMPARED}
        {before.one("updated", CHANGED)}
        RETURN NULL;
    END IF;
    {SECRETS_OF_PEOPLE}
    own := ledger_secret(NULL);
    {many(PAIRS)}
"""

DELETED = f"""
    {FIRST.format(rows="old_rows", into="before")}
    IF NOT are_many THEN
        {before.one("deleted", before.WENT.format(row="before"))}
    ELSE
        {many(f"SELECT 'deleted' AS operation, {before.WENT.format(row='old_rows.whole')} AS element FROM {WHOLE.format(rows='old_rows')}")}
    END IF;
"""

BODY = """
CREATE OR REPLACE FUNCTION ledger_capture_{operation}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
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
    before jsonb;
    after jsonb;
    are_many boolean;
    old_image jsonb := '{{}}';
    new_image jsonb := '{{}}';
    personal jsonb;
    places text[];
    place text;
    own ledger_subjectkey;
BEGIN
    {work}
    RETURN NULL;
END;
$$;
"""
FUNCTIONS = "\n".join(
    (
        before.BEGIN,
        HELPERS,
        BODY.format(operation="inserted", work=INSERTED),
        BODY.format(operation="updated", work=UPDATED),
        BODY.format(operation="deleted", work=DELETED),
        before.END,
    )
)
UNDO = (
    before.FUNCTIONS.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
    + "DROP FUNCTION ledger_secret(bigint), ledger_shortened(jsonb);"
)


class Migration(migrations.Migration):
    dependencies = [("ledger", "0007_disposal")]
    operations = [migrations.RunSQL(FUNCTIONS, UNDO)]
