"""Texts of old entries may be disposed of; their leaf hashes stay, as nodes of level 0.

Entries still refuse every change, but that of pruning, which only the owner of the tables can begin: `gatehouse_prune`
(governance.privacy) sets `gatehouse.pruning` for itself alone. Setting it is of no use to anybody else: the role that
deletes has to own the table, and could drop the trigger as well.
"""

from django.db import migrations, models

_REFUSE = """
CREATE OR REPLACE FUNCTION ledger_insert_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {unless}RAISE EXCEPTION '% is insert-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END;
$$;
"""
_UNLESS = """IF TG_OP = 'DELETE' AND TG_TABLE_NAME IN ('ledger_entry', 'ledger_entrysubject')
        AND current_setting('gatehouse.pruning', true) = 'on'
        AND current_user = (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = TG_RELID)
    THEN
        RETURN OLD;
    END IF;
    """


class Migration(migrations.Migration):
    dependencies = [("ledger", "0006_findings")]
    operations = [
        migrations.RemoveConstraint("node", "nodes_start_at_level_1"),
        migrations.AddConstraint(
            "node",
            models.CheckConstraint(condition=models.Q(index__gte=0), name="nodes_are_numbered_from_0"),
        ),
        migrations.RunSQL(_REFUSE.format(unless=_UNLESS), _REFUSE.format(unless="")),
    ]
