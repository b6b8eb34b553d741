"""The function that erases a person, with the rights of the owner of the tables; and what was said about retention stays.

Two halves. What is known to be the person's is emptied. Then every text, JSON and array column of every table is looked
through for the words that name the person, and they are replaced: what others wrote keeps its sense and loses the name.
Left out are what is sealed (it holds commitments only) and the outbox (the caller waits until it is empty of them).
"""

from django.db import migrations

_ERASE = r"""
CREATE FUNCTION gatehouse_erase(who bigint, words text[]) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    person_ref text;
    place record;
    pattern text;
    touched bigint;
    places jsonb := '{}';
    cell text;
BEGIN
    PERFORM set_config('gatehouse.erasing', 'on', true);
    SELECT ref::text INTO STRICT person_ref FROM identity_person WHERE id = who FOR UPDATE;

    UPDATE identity_person SET
        user_name = 'erased-' || person_ref, user_name_key = 'erased-' || person_ref, display_name = 'Erased person',
        external_id = '', given_name = '', family_name = '', email = '', title = '', department = '',
        person_type = '', employee_number = '', time_zone = '', manager_hint = '', password = '!',
        document = '{}', document_key = '{}', is_listed = false, sessions_end_at = now(), last_login = NULL
    WHERE id = who;
    UPDATE identity_personrevision SET user_name = 'erased-' || person_ref, display_name = 'Erased person',
        email = '', title = '', department = '', person_type = '' WHERE person_id = who;
    UPDATE provisioning_account SET target_id = 'erased-' || id, user_name = 'erased', display_name = 'Erased person',
        email = '' WHERE person_id = who;
    UPDATE access_requestset SET reason = 'Erased.' WHERE person_id = who;
    UPDATE access_accessrequest SET reason = 'Erased.', ticket = '' WHERE person_id = who;
    UPDATE access_turn SET text = 'Erased.' WHERE by_id = who;
    UPDATE access_absence SET reason = '' WHERE person_id = who;
    UPDATE access_breakglass SET reason = 'Erased.' WHERE person_id = who;
    UPDATE lifecycle_leaveplan SET note = '' WHERE person_id = who;
    DELETE FROM notices_notice WHERE person_id = who;
    DELETE FROM notices_mail WHERE person_id = who
        AND NOT EXISTS (SELECT FROM notices_notice WHERE mail_id = notices_mail.id);
    places := places || jsonb_build_object('identity_person', 1);

    IF cardinality(words) > 0 THEN
        SELECT string_agg(regexp_replace(word, '(\W)', '\\\1', 'g'), '|') INTO pattern
        FROM unnest(words) AS word;
        FOR place IN
            SELECT class.relname AS table_name, attribute.attname AS column_name, type.typname AS kind
            FROM pg_class AS class
            JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid AND attribute.attnum > 0
                AND NOT attribute.attisdropped AND attribute.attgenerated = ''
            JOIN pg_type AS type ON type.oid = attribute.atttypid
            WHERE class.relnamespace = 'public'::regnamespace AND class.relkind IN ('r', 'p')
                AND NOT class.relispartition
                AND type.typname IN ('text', 'varchar', 'jsonb', '_text', '_varchar')
                -- Shorter than any of the words: a state, a kind.
                AND (type.typname <> 'varchar' OR attribute.atttypmod < 0
                    OR attribute.atttypmod - 4 >= (SELECT min(length(word)) FROM unnest(words) AS word))
                AND class.relname NOT LIKE 'ledger\_%' AND class.relname NOT LIKE 'django\_%'
                AND class.relname NOT LIKE 'auth\_%'
            ORDER BY 1, 2
        LOOP
            cell := format('regexp_replace(%I::text, $1, ''erased'', ''gi'')', place.column_name);
            IF place.kind = 'jsonb' THEN
                cell := format('(%s)::jsonb', cell);
            ELSIF place.kind IN ('_text', '_varchar') THEN
                cell := format('(%s)::%s[]', cell, substr(place.kind, 2));
            END IF;
            EXECUTE format('UPDATE %I SET %I = %s WHERE %I::text ~* $1',
                place.table_name, place.column_name, cell, place.column_name) USING pattern;
            GET DIAGNOSTICS touched = ROW_COUNT;
            IF touched > 0 THEN
                places := places || jsonb_build_object(place.table_name || '.' || place.column_name, touched);
            END IF;
        END LOOP;
        DELETE FROM ledger_disclosure WHERE value ~* pattern AND subject_ref <> person_ref;
        GET DIAGNOSTICS touched = ROW_COUNT;
        places := places || jsonb_build_object('ledger_disclosure of others', touched);
    END IF;

    DELETE FROM ledger_disclosure WHERE subject_ref = person_ref;
    GET DIAGNOSTICS touched = ROW_COUNT;
    places := places || jsonb_build_object('ledger_disclosure', touched);
    -- Last: what changed above is committed to with the old secret, and with it gone nobody can open it.
    DELETE FROM ledger_subjectkey WHERE subject_id = who OR subject_ref = person_ref;
    DELETE FROM django_session WHERE expire_date < now();
    PERFORM set_config('gatehouse.erasing', '', true);
    RETURN places;
END;
$$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("privacy", "0001_erasure"),
        ("identity", "0012_erasure"),
        ("notices", "__first__"),
    ]
    operations = [
        migrations.RunSQL(_ERASE, "DROP FUNCTION gatehouse_erase(bigint, text[]);"),
        migrations.RunSQL(
            """
            CREATE TRIGGER privacy_retentionrule_insert_only_rows BEFORE UPDATE OR DELETE ON privacy_retentionrule
                FOR EACH ROW EXECUTE FUNCTION gatehouse_insert_only();
            CREATE TRIGGER privacy_retentionrule_insert_only_table BEFORE TRUNCATE ON privacy_retentionrule
                FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_insert_only();
            ALTER TABLE privacy_retentionrule ENABLE ALWAYS TRIGGER privacy_retentionrule_insert_only_rows;
            ALTER TABLE privacy_retentionrule ENABLE ALWAYS TRIGGER privacy_retentionrule_insert_only_table;
            """,
            """
            DROP TRIGGER privacy_retentionrule_insert_only_rows ON privacy_retentionrule;
            DROP TRIGGER privacy_retentionrule_insert_only_table ON privacy_retentionrule;
            """,
        ),
    ]
