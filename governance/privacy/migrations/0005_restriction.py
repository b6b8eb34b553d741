"""The functions that put somebody's names aside while a duty keeps them, and back; with the rights of the tables' owner.

Revisions refuse changes; these are let through as erasure is (ADR 24). It is undone by the second function, from what was
put aside.
"""

from django.db import migrations

_WITHHOLD = """
CREATE FUNCTION gatehouse_withhold(who bigint, shown text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    person identity_person;
BEGIN
    SELECT * INTO STRICT person FROM identity_person WHERE id = who FOR UPDATE;
    IF person.status <> 'left'
        OR NOT EXISTS (SELECT FROM privacy_erasure WHERE person_id = who AND state = 'restricted') THEN
        RAISE EXCEPTION 'nothing restricts what is shown of person %', who USING ERRCODE = 'restrict_violation';
    END IF;
    PERFORM set_config('gatehouse.erasing', 'on', true);
    INSERT INTO identity_asidename (person_id, number, user_name, display_name, given_name, family_name, email)
    SELECT who, 0, person.user_name, person.display_name, person.given_name, person.family_name, person.email
    UNION ALL
    SELECT who, number, user_name, display_name, '', '', email FROM identity_personrevision
    WHERE person_id = who AND display_name <> shown
    ON CONFLICT (person_id, number) DO UPDATE SET user_name = EXCLUDED.user_name, display_name = EXCLUDED.display_name,
        given_name = EXCLUDED.given_name, family_name = EXCLUDED.family_name, email = EXCLUDED.email;
    UPDATE identity_person SET user_name = 'restricted-' || ref, display_name = shown, given_name = '', family_name = '',
        email = '' WHERE id = who;
    UPDATE identity_personrevision SET user_name = 'restricted-' || person.ref, display_name = shown, email = ''
    WHERE person_id = who AND display_name <> shown;
    DELETE FROM notices_notice WHERE person_id = who;
    UPDATE notices_notice SET facts = replace(facts::text, btrim(to_json(person.display_name)::text, '"'), shown)::jsonb
    WHERE position(btrim(to_json(person.display_name)::text, '"') IN facts::text) > 0;
    PERFORM set_config('gatehouse.erasing', '', true);
END;
$$;
"""
_RESTORE = """
CREATE FUNCTION gatehouse_restore(who bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM set_config('gatehouse.erasing', 'on', true);
    UPDATE identity_person AS person SET user_name = aside.user_name, display_name = aside.display_name,
        given_name = aside.given_name, family_name = aside.family_name, email = aside.email
    FROM identity_asidename AS aside
    WHERE person.id = who AND aside.person_id = who AND aside.number = 0
        AND person.user_name = 'restricted-' || person.ref;
    UPDATE identity_personrevision AS revision SET user_name = aside.user_name, display_name = aside.display_name,
        email = aside.email
    FROM identity_asidename AS aside
    WHERE revision.person_id = who AND aside.person_id = who AND aside.number = revision.number;
    DELETE FROM identity_asidename WHERE person_id = who;
    PERFORM set_config('gatehouse.erasing', '', true);
END;
$$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("privacy", "0004_shorter_retention"),
        ("identity", "0013_names_aside"),
        ("notices", "__first__"),
    ]
    operations = [
        migrations.RunSQL(_WITHHOLD, "DROP FUNCTION gatehouse_withhold(bigint, text);"),
        migrations.RunSQL(_RESTORE, "DROP FUNCTION gatehouse_restore(bigint);"),
    ]
