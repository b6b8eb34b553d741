"""The function that takes away again what a restored backup brought back although the log says that it is gone (ADR 26).

It looks at sealed entries only: texts that a disposal names, people who were erased, bundles that were withdrawn. So it
does no more than was done before, whoever calls it. Until it ran, nothing is disposed of by age: a second disposal of
the same texts could never be verified.
"""

# ruff: noqa: S608, SLF001 -- put together from the constants of this file and of 0003.

from importlib import import_module

from django.db import migrations

before = import_module("governance.privacy.migrations.0003_pruning")
#: Shorter words would be found in what others wrote about something else.
SHORTEST_WORD = 6
WITHDRAWN = "Withdrawn: it named somebody whose data was erased. Build it again."
GROUND = "Erased before the database was restored from a backup; the ledger says so."

_WORDS = f"""
CREATE FUNCTION gatehouse_words(who bigint) RETURNS text[] LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    WITH said (word, is_name) AS (
        SELECT word, is_name FROM identity_person AS person, LATERAL (VALUES
            (person.email, false), (person.user_name, false), (person.external_id, false),
            (person.employee_number, false), (person.display_name, true),
            (btrim(person.given_name || ' ' || person.family_name), true)
        ) AS one (word, is_name) WHERE person.id = who
        UNION ALL
        SELECT word, is_name FROM identity_personrevision AS revision, LATERAL (VALUES
            (revision.email, false), (revision.user_name, false), (revision.display_name, true)
        ) AS one (word, is_name) WHERE revision.person_id = who
        UNION ALL
        SELECT word, is_name FROM identity_asidename AS aside, LATERAL (VALUES
            (aside.email, false), (aside.user_name, false), (aside.display_name, true),
            (btrim(aside.given_name || ' ' || aside.family_name), true)
        ) AS one (word, is_name) WHERE aside.person_id = who
    )
    -- One word alone may be anybody's name.
    SELECT coalesce(array_agg(word ORDER BY length(word) DESC, word), '{{}}') FROM (
        SELECT DISTINCT word FROM said
        WHERE length(word) >= {SHORTEST_WORD} AND (NOT is_name OR position(' ' IN btrim(word)) > 0)
    ) AS known
$$;
"""

#: What pruning does with the texts that go; a hash may be there already where somebody put a text back.
_DISPOSE = """
CREATE FUNCTION gatehouse_dispose(doomed bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM ledger_disclosure WHERE digest IN (
        SELECT private.value FROM ledger_entry, jsonb_each_text(body::jsonb -> 'private') AS private
        WHERE index = ANY(doomed)
    );
    INSERT INTO ledger_node (level, index, hash)
    SELECT 0, index, leaf_hash FROM ledger_entry WHERE index = ANY(doomed) ON CONFLICT DO NOTHING;
    PERFORM set_config('gatehouse.pruning', 'on', true);
    DELETE FROM ledger_entrysubject WHERE entry_id = ANY(doomed);
    DELETE FROM ledger_entry WHERE index = ANY(doomed);
    PERFORM set_config('gatehouse.pruning', '', true);
END;
$$;
"""
_BACK = """
CREATE FUNCTION gatehouse_back_texts() RETURNS TABLE (index bigint)
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT entry.index
    FROM ledger_entry AS said, jsonb_array_elements(said.body::jsonb #> '{data,ranges}') AS stretch (ends),
        ledger_entry AS entry
    WHERE said.event = 'ledger.pruned'
        AND entry.index >= (stretch.ends ->> 0)::bigint AND entry.index < (stretch.ends ->> 1)::bigint
$$;
-- People who were erased, and of whom no row here says so.
CREATE FUNCTION gatehouse_back_people() RETURNS TABLE (id bigint, ref text, erased_at timestamptz, asked_by text)
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT DISTINCT ON (person.id) person.id, person.ref::text, said.at, said.actor_ref
    FROM ledger_entry AS said
    JOIN ledger_entrysubject AS about ON about.entry_id = said.index AND about.kind = 'person'
    JOIN identity_person AS person ON person.ref::text = about.ref
    WHERE said.event = 'subject.erased'
        AND NOT EXISTS (SELECT FROM privacy_erasure WHERE person_id = person.id AND state = 'erased')
    ORDER BY person.id, said.index DESC
$$;
-- Bundles that were withdrawn after they were built, and can be had.
CREATE FUNCTION gatehouse_back_bundles() RETURNS TABLE (id bigint)
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT DISTINCT bundle.id
    FROM ledger_entry AS said
    JOIN ledger_entrysubject AS about ON about.entry_id = said.index AND about.kind = 'bundle'
    JOIN evidence_evidencebundle AS bundle ON bundle.ref::text = about.ref
    WHERE said.event = 'bundle.withdrawn' AND bundle.state = 'ready' AND bundle.ready_at <= said.at
$$;
CREATE FUNCTION gatehouse_what_is_back(OUT texts bigint, OUT people bigint, OUT bundles bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT (SELECT count(*) FROM gatehouse_back_texts()), (SELECT count(*) FROM gatehouse_back_people()),
        (SELECT count(*) FROM gatehouse_back_bundles())
$$;
"""
_AGAIN = f"""
CREATE FUNCTION gatehouse_take_away_again() RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    doomed bigint[];
    withdrawn bigint;
    person record;
    words text[];
    done jsonb;
    refs text[] := '{{}}';
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('gatehouse_prune'));
    doomed := ARRAY(SELECT index FROM gatehouse_back_texts());
    IF cardinality(doomed) > 0 THEN
        PERFORM gatehouse_dispose(doomed);
    END IF;
    UPDATE evidence_evidencebundle SET state = 'failed', last_error = '{WITHDRAWN}'
    WHERE id IN (SELECT id FROM gatehouse_back_bundles());
    GET DIAGNOSTICS withdrawn = ROW_COUNT;
    -- Holds and duties were looked at when it was decided; what a backup says of them is older.
    FOR person IN SELECT * FROM gatehouse_back_people() LOOP
        words := gatehouse_words(person.id);
        DELETE FROM identity_asidename WHERE person_id = person.id;
        done := gatehouse_erase(person.id, words);
        UPDATE privacy_erasure SET state = 'erased', settled_at = person.erased_at, places = done, hindered_by = ''
        WHERE person_id = person.id AND state = 'restricted';
        IF NOT FOUND THEN
            INSERT INTO privacy_erasure
                (person_id, state, ground, duty, due_at, asked_by_ref, asked_at, settled_at, hindered_by, places)
            VALUES (person.id, 'erased', '{GROUND}', '', person.erased_at, person.asked_by, person.erased_at,
                person.erased_at, '', done);
        END IF;
        refs := refs || person.ref;
    END LOOP;
    IF cardinality(doomed) = 0 AND withdrawn = 0 AND cardinality(refs) = 0 THEN
        RETURN NULL;
    END IF;
    RETURN jsonb_build_object('texts', cardinality(doomed), 'people', to_jsonb(refs), 'bundles', withdrawn);
END;
$$;
"""

_GOES = before._PRUNE[
    before._PRUNE.index("    DELETE FROM ledger_disclosure") : before._PRUNE.index("    INSERT INTO ledger_captured")
]
_LOCKED = "    PERFORM pg_advisory_xact_lock(hashtext('gatehouse_prune'));\n"
_FIRST = (
    _LOCKED
    + """    IF EXISTS (SELECT FROM gatehouse_back_texts()) THEN
        RAISE EXCEPTION 'texts are there that the log says have gone: they are taken away again first'
            USING ERRCODE = 'restrict_violation';
    END IF;
"""
)
_WAS = before._PRUNE.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION").replace(
    "{STRETCHES}", str(before.STRETCHES)
)
_PRUNE = _WAS.replace(_GOES, "    PERFORM gatehouse_dispose(doomed);\n").replace(_LOCKED, _FIRST)


class Migration(migrations.Migration):
    dependencies = [
        ("privacy", "0006_two_people"),
        ("identity", "0013_names_aside"),
        ("evidence", "__first__"),
        ("ledger", "0007_disposal"),
    ]
    operations = [
        migrations.RunSQL(_WORDS, "DROP FUNCTION gatehouse_words(bigint);"),
        migrations.RunSQL(
            _BACK,
            "DROP FUNCTION gatehouse_what_is_back(), gatehouse_back_texts(), gatehouse_back_people(),"
            " gatehouse_back_bundles();",
        ),
        migrations.RunSQL(_DISPOSE, "DROP FUNCTION gatehouse_dispose(bigint[]);"),
        migrations.RunSQL(_AGAIN, "DROP FUNCTION gatehouse_take_away_again();"),
        migrations.RunSQL(_PRUNE, _WAS),
    ]
