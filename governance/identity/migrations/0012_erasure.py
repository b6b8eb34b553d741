"""Revisions still refuse every change, but that of erasure, which only the owner of the tables can begin.

`gatehouse_erase` (governance.privacy) runs with the owner's rights and sets `gatehouse.erasing` for itself alone. Setting
it is of no use to anybody else: the role that changes the row has to own the table, and could drop the trigger as well.
"""

from django.db import migrations

_REFUSE = """
CREATE OR REPLACE FUNCTION gatehouse_insert_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {unless}RAISE EXCEPTION '% is insert-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END;
$$;
"""
_UNLESS = """IF TG_OP = 'UPDATE' AND current_setting('gatehouse.erasing', true) = 'on'
        AND current_user = (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = TG_RELID)
    THEN
        RETURN NEW;
    END IF;
    """


class Migration(migrations.Migration):
    dependencies = [("identity", "0011_guests")]
    operations = [migrations.RunSQL(_REFUSE.format(unless=_UNLESS), _REFUSE.format(unless=""))]
