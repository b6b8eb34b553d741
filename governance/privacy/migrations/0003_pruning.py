"""The functions that dispose of old texts of the ledger, with the rights of the owner of the tables (ADR 26).

`gatehouse_prune` looks at everything itself: the rule, the legal holds, what is still in force, and that it continues
where it ended. So it does no more than the rule allows, whoever calls it. What it did is put into the outbox by it and
by nobody else, in the same transaction.
"""

# ruff: noqa: S608 -- put together from the constants of this file.

from django.db import migrations

#: The last word on these stays: what is set stays set until somebody sets it otherwise.
_SET = (
    "anchor", "application", "brake", "client", "configuration", "connection", "connector", "engagement", "entitlement",
    "package", "policy", "risk_weights", "rule", "sod_exception", "sod_rule", "stream", "ticket_system", "token", "webhook",
)  # fmt: skip

_MINIMUM = """
CREATE FUNCTION gatehouse_minimum() RETURNS bigint LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT coalesce(greatest(
        (SELECT (body::jsonb #>> '{data,minimum}')::bigint FROM ledger_entry
         WHERE event = 'ledger.pruned' ORDER BY index DESC LIMIT 1),
        (SELECT (rows #>> '{data,minimum}')::bigint FROM ledger_captured
         WHERE operation = 'pruned' ORDER BY id DESC LIMIT 1)
    ), 0)
$$;
"""

#: Why an entry has to stay, for those of a range that do.
_KEPT = f"""
CREATE FUNCTION gatehouse_kept(since bigint, until bigint, ended_before timestamptz)
RETURNS TABLE (kept bigint, because text) LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    WITH one AS MATERIALIZED (
        SELECT entry.index, entry.event, entry.body FROM ledger_entry AS entry
        WHERE entry.index >= since AND entry.index < until
    ), subject AS MATERIALIZED (
        SELECT about.* FROM ledger_entrysubject AS about
        WHERE about.entry_id >= since AND about.entry_id < until
    ), element AS MATERIALIZED (
        SELECT one.index AS at, subject.ref AS name, said.value ->> 'key' AS key
        FROM one JOIN subject ON subject.entry_id = one.index AND subject.kind = 'table',
            jsonb_array_elements(one.body::jsonb #> '{{data,rows}}') AS said
        WHERE one.event LIKE 'rows.%' AND to_regclass(quote_ident(subject.ref)) IS NOT NULL
    ), heard AS (
        SELECT entry.index AS at, about.ref AS name, entry.body::jsonb #> '{{data,rows}}' AS rows
        FROM ledger_entrysubject AS about JOIN ledger_entry AS entry ON entry.index = about.entry_id
        WHERE about.kind = 'table' AND about.ref IN (SELECT name FROM element) AND entry.event LIKE 'rows.%'
        UNION ALL
        SELECT 4611686018427387904 + id, "table", rows FROM ledger_captured
        WHERE "table" IN (SELECT name FROM element)
    ), spoken AS MATERIALIZED (
        SELECT heard.at, heard.name, word.place, word.value ->> 'key' AS key, word.value -> 'new' AS new
        FROM heard, jsonb_array_elements(heard.rows) WITH ORDINALITY AS word (value, place)
    ), said AS MATERIALIZED (
        SELECT * FROM spoken WHERE (name, key) IN (SELECT element.name, element.key FROM element)
    ), newest AS MATERIALIZED (
        SELECT DISTINCT ON (name, key) name, key, at, new IS NOT NULL AS is_there
        FROM said ORDER BY name, key, at DESC, place DESC
    ), word AS (
        SELECT DISTINCT ON (said.name, said.key, word.name) said.name, said.key, said.at
        FROM said, jsonb_object_keys(said.new) AS word (name)
        ORDER BY said.name, said.key, word.name, said.at DESC, said.place DESC
    )
    SELECT index, 'the log itself' FROM one
    WHERE event LIKE 'log.%' AND event NOT IN ('log.heartbeat_signed', 'log.searched', 'log.read', 'log.fetched')
        OR event IN ('ledger.pruned', 'retention.changed', 'evidence.exported')
        OR event = 'schema.noted'
            AND NOT EXISTS (SELECT FROM ledger_entry AS later WHERE later.event = one.event AND later.index > one.index)
    UNION ALL
    SELECT subject.entry_id, 'a legal hold' FROM subject
    JOIN privacy_legalhold AS hold ON hold.ref::text = subject.ref AND hold.released_at IS NULL
    WHERE subject.kind = 'legal_hold'
    UNION ALL
    SELECT subject.entry_id, 'an erasure that waits' FROM subject
    JOIN one ON one.index = subject.entry_id AND one.event = 'subject.restricted'
    JOIN identity_person AS person ON person.ref::text = subject.ref
    JOIN privacy_erasure AS erasure ON erasure.person_id = person.id AND erasure.state = 'restricted'
    WHERE subject.kind = 'person'
    UNION ALL
    SELECT subject.entry_id, 'access' FROM subject
    JOIN access_grant AS given ON given.id::text = subject.ref AND given.ends_at > ended_before
    WHERE subject.kind = 'grant'
    UNION ALL
    SELECT subject.entry_id, 'access' FROM subject
    JOIN access_accessrequest AS request ON request.number::text = subject.ref
    WHERE subject.kind = 'request' AND (
        request.state = 'pending'
        OR EXISTS (SELECT FROM access_grant AS given WHERE given.request_id = request.id AND given.ends_at > ended_before)
        OR request.state = 'approved'
            AND NOT EXISTS (SELECT FROM access_grant AS given WHERE given.request_id = request.id)
    )
    UNION ALL
    SELECT subject.entry_id, 'a role in Gatehouse' FROM subject
    JOIN one ON one.index = subject.entry_id AND one.event = 'role.assigned'
    JOIN identity_person AS person ON person.ref::text = subject.ref
    JOIN identity_roleassignment AS assigned
        ON assigned.person_id = person.id AND assigned.role = one.body::jsonb #>> '{{data,role}}'
    WHERE subject.kind = 'person'
    UNION ALL
    SELECT subject.entry_id, 'the last word on a setting' FROM subject JOIN one ON one.index = subject.entry_id
    WHERE subject.position = 0 AND split_part(one.event, '.', 1) IN ({", ".join(f"'{noun}'" for noun in _SET)})
        AND NOT EXISTS (
            SELECT FROM ledger_entrysubject AS same JOIN ledger_entry AS later ON later.index = same.entry_id
            WHERE same.kind = subject.kind AND same.ref = subject.ref AND same.entry_id > subject.entry_id
                AND later.event = one.event
        )
    UNION ALL
    -- The newest word on a column of a row that is there, and that a row went while something older still names it:
    -- without them the rows could not be compared with the ledger.
    SELECT word.at, 'a row' FROM word JOIN newest USING (name, key)
    WHERE newest.is_there AND word.at >= since AND word.at < until
    UNION ALL
    SELECT newest.at, 'a row' FROM newest
    WHERE newest.at >= since AND newest.at < until AND (newest.is_there OR EXISTS (
        SELECT FROM said WHERE said.name = newest.name AND said.key = newest.key AND said.at < newest.at
    ))
$$;
"""

#: The first entry of a range that a legal hold keeps, or the range's end. Entries about somebody are those that name
#: them, that they caused, that are about their rows, and what was committed together with the first of these.
_HELD = r"""
CREATE FUNCTION gatehouse_held(since bigint, until bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
DECLARE
    held text[];
    person_ids text;
    application_ids text[];
    first bigint;
    rows_of text;
BEGIN
    IF EXISTS (SELECT FROM privacy_legalhold WHERE released_at IS NULL AND people = '{}' AND applications = '{}') THEN
        RETURN since;
    END IF;
    SELECT array_agg(DISTINCT one.named) INTO held
    FROM privacy_legalhold AS hold, unnest(hold.people) AS one (named) WHERE released_at IS NULL;
    SELECT array_agg(DISTINCT application.id::text) INTO application_ids
    FROM privacy_legalhold AS hold JOIN catalog_application AS application ON application.slug = ANY(hold.applications)
    WHERE released_at IS NULL;
    IF held IS NULL AND application_ids IS NULL THEN
        RETURN until;
    END IF;
    SELECT string_agg(id::text, '|') INTO person_ids FROM identity_person WHERE ref::text = ANY(held);
    rows_of := nullif(concat_ws('|',
        '"[a-z_]+_id":(' || person_ids || ')[,}]',
        '"application_id":(' || array_to_string(application_ids, '|') || ')[,}]'), '');
    SELECT min(index) INTO first FROM (
        SELECT min(entry_id) AS index FROM ledger_entrysubject
        WHERE entry_id >= since AND entry_id < until
            AND (kind = 'person' AND ref = ANY(held) OR kind = 'application' AND ref = ANY(application_ids))
        UNION ALL
        SELECT min(index) FROM ledger_entry
        WHERE index >= since AND index < until AND (actor_ref = ANY(held) OR event LIKE 'rows.%' AND (
            body ~ rows_of
            OR body LIKE '%"table":"identity_person"%' AND body ~ ('"key":"(' || person_ids || ')"')
            OR body LIKE '%"table":"catalog_application"%'
                AND body ~ ('"key":"(' || array_to_string(application_ids, '|') || ')"')
        ))
    ) AS found;
    IF first IS NULL THEN
        RETURN until;
    END IF;
    RETURN (SELECT coalesce(min(beside.index), first) FROM ledger_entry AS beside
        WHERE beside.index >= since AND beside.index < first
            AND beside.transaction = (SELECT transaction FROM ledger_entry WHERE index = first));
END;
$$;
"""

#: Up to where a range may go: what was sealed long enough ago, and was looked at for changes without an action.
_RIPE = """
CREATE FUNCTION gatehouse_ripe(OUT years integer, OUT sealed_until timestamptz, OUT until bigint)
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    WITH rule AS (
        SELECT coalesce((SELECT years FROM privacy_retentionrule ORDER BY id DESC LIMIT 1), 7)::integer AS years
    )
    SELECT rule.years, now() - make_interval(years => rule.years), least(
        coalesce((SELECT max(size) FROM ledger_checkpoint WHERE at <= now() - make_interval(years => rule.years)), 0),
        coalesce((SELECT next_index FROM ledger_watch ORDER BY id LIMIT 1), 0)
    ) FROM rule
$$;
"""

#: Stretches that one entry names; it holds 60,000 bytes.
STRETCHES = 2_000
_PRUNE = """
CREATE FUNCTION gatehouse_prune(since bigint, wanted bigint, who jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    minimum bigint;
    rule record;
    until bigint;
    doomed bigint[];
    beyond bigint;
    said jsonb;
BEGIN
    -- One at a time, and nobody places a hold or changes the rule meanwhile.
    PERFORM pg_advisory_xact_lock(hashtext('gatehouse_prune'));
    LOCK TABLE privacy_legalhold, privacy_retentionrule, privacy_erasure IN SHARE MODE;
    minimum := gatehouse_minimum();
    IF since < 0 OR since > minimum THEN
        RAISE EXCEPTION 'pruning continues at entry %, not at %', minimum, since USING ERRCODE = 'restrict_violation';
    END IF;
    SELECT * INTO rule FROM gatehouse_ripe();
    until := least(wanted, rule.until);
    IF until > since THEN
        until := gatehouse_held(since, until);
    END IF;
    IF until <= since THEN
        RETURN NULL;
    END IF;
    doomed := ARRAY(
        SELECT index FROM ledger_entry AS entry WHERE entry.index >= since AND entry.index < until
            AND entry.index NOT IN (SELECT kept FROM gatehouse_kept(since, until, rule.sealed_until))
        ORDER BY index
    );
    -- No more stretches than one entry can name.
    SELECT start INTO beyond FROM (
        SELECT index AS start, index - lag(index) OVER (ORDER BY index) AS step FROM unnest(doomed) AS index
    ) AS doom WHERE step > 1 ORDER BY start OFFSET {STRETCHES} - 1 LIMIT 1;
    IF beyond IS NOT NULL THEN
        until := beyond;
        doomed := ARRAY(SELECT index FROM unnest(doomed) AS index WHERE index < beyond ORDER BY index);
    END IF;
    IF until <= minimum AND cardinality(doomed) = 0 THEN
        RETURN NULL;
    END IF;
    said := jsonb_build_object(
        'minimum', greatest(minimum, until), 'entries', cardinality(doomed), 'years', rule.years,
        'rule', coalesce((SELECT max(id) FROM privacy_retentionrule), 0),
        'sealed_until', to_char(rule.sealed_until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'sha256', (SELECT encode(sha256(coalesce(string_agg(leaf_hash, '' ORDER BY index), '')), 'hex')
            FROM ledger_entry WHERE index = ANY(doomed)),
        'ranges', (SELECT coalesce(jsonb_agg(jsonb_build_array(first, last + 1) ORDER BY first), '[]') FROM (
            SELECT min(index) AS first, max(index) AS last
            FROM (SELECT index, index - row_number() OVER (ORDER BY index) AS run FROM unnest(doomed) AS index) AS numbered
            GROUP BY run
        ) AS stretch)
    );
    DELETE FROM ledger_disclosure WHERE digest IN (
        SELECT private.value FROM ledger_entry, jsonb_each_text(body::jsonb -> 'private') AS private
        WHERE index = ANY(doomed)
    );
    INSERT INTO ledger_node (level, index, hash) SELECT 0, index, leaf_hash FROM ledger_entry WHERE index = ANY(doomed);
    PERFORM set_config('gatehouse.pruning', 'on', true);
    DELETE FROM ledger_entrysubject WHERE entry_id = ANY(doomed);
    DELETE FROM ledger_entry WHERE index = ANY(doomed);
    PERFORM set_config('gatehouse.pruning', '', true);
    INSERT INTO ledger_captured ("table", operation, database_role, application, rows)
    VALUES ('ledger_entry', 'pruned', session_user, current_setting('application_name'), jsonb_build_object(
        'data', said, 'correlation', coalesce(who ->> 'correlation', ''), 'actor', jsonb_build_object(
            'kind', coalesce(who ->> 'kind', 'system'), 'ref', coalesce(who ->> 'ref', session_user),
            'door', coalesce(who ->> 'door', 'database'))));
    RETURN said;
END;
$$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("privacy", "0002_erase"),
        ("ledger", "0007_disposal"),
        ("access", "__first__"),
        ("catalog", "__first__"),
    ]
    operations = [
        migrations.RunSQL(_MINIMUM, "DROP FUNCTION gatehouse_minimum();"),
        migrations.RunSQL(_KEPT, "DROP FUNCTION gatehouse_kept(bigint, bigint, timestamptz);"),
        migrations.RunSQL(_HELD, "DROP FUNCTION gatehouse_held(bigint, bigint);"),
        migrations.RunSQL(_RIPE, "DROP FUNCTION gatehouse_ripe();"),
        migrations.RunSQL(_PRUNE.replace("{STRETCHES}", str(STRETCHES)), "DROP FUNCTION gatehouse_prune(bigint, bigint, jsonb);"),
    ]
