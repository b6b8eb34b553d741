"""A proposal is answered once: what it says never changes, an answer is final, and nothing is deleted."""

from django.db import migrations

_SQL = """
CREATE FUNCTION catalog_policyproposal_answered_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'UPDATE' OR OLD.state <> 'pending'
        OR (NEW.id, NEW.slug, NEW.name, NEW.base_id, NEW.terms, NEW.why, NEW.proposed_by_id, NEW.proposed_at, NEW.is_alone)
        IS DISTINCT FROM
           (OLD.id, OLD.slug, OLD.name, OLD.base_id, OLD.terms, OLD.why, OLD.proposed_by_id, OLD.proposed_at, OLD.is_alone)
    THEN
        RAISE EXCEPTION 'catalog_policyproposal is answered once: % refused', TG_OP
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END;
$$;
CREATE TRIGGER catalog_policyproposal_rows BEFORE UPDATE OR DELETE ON catalog_policyproposal
    FOR EACH ROW EXECUTE FUNCTION catalog_policyproposal_answered_once();
CREATE TRIGGER catalog_policyproposal_table BEFORE TRUNCATE ON catalog_policyproposal
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_policyproposal_answered_once();
ALTER TABLE catalog_policyproposal ENABLE ALWAYS TRIGGER catalog_policyproposal_rows;
ALTER TABLE catalog_policyproposal ENABLE ALWAYS TRIGGER catalog_policyproposal_table;
"""
_BACK = """
DROP TRIGGER catalog_policyproposal_rows ON catalog_policyproposal;
DROP TRIGGER catalog_policyproposal_table ON catalog_policyproposal;
DROP FUNCTION catalog_policyproposal_answered_once();
"""


class Migration(migrations.Migration):
    dependencies = [("catalog", "0010_policy_proposals")]
    operations = [migrations.RunSQL(_SQL, _BACK)]
