"""What takes two people takes them in the database too: fewer years of retention, and the release of a legal hold.

A rule of fewer years is taken only with a proposal that somebody else confirmed, and each proposal once. Proposals and
holds change in no other way than step by step: proposed by one, settled by another, then never again. Erasure may take
names out of what was written, as it may in revisions.
"""

from django.db import migrations, models

#: Whether a reference is that of somebody who may be one of the two.
_DECIDES = """
CREATE FUNCTION gatehouse_decides(who text) RETURNS boolean LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM identity_person AS person JOIN identity_roleassignment AS held ON held.person_id = person.id
        WHERE person.ref::text = who AND person.status = 'active' AND held.role = 'security_admin'
    )
$$;
"""
_RULE = """
CREATE FUNCTION privacy_shorter_by_two() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    years_now integer;
BEGIN
    -- One after the other, and each sees the one before.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'a retention rule is set in a transaction that sees the newest one'
            USING ERRCODE = 'restrict_violation';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('gatehouse_retention'));
    years_now := coalesce((SELECT years FROM privacy_retentionrule ORDER BY id DESC LIMIT 1), 7);
    IF NEW.id <= (SELECT max(id) FROM privacy_retentionrule) THEN
        RAISE EXCEPTION 'a retention rule comes after those before it' USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.proposal_id IS NULL THEN
        IF NEW.years < years_now THEN
            RAISE EXCEPTION '% years instead of % take two people', NEW.years, years_now
                USING ERRCODE = 'restrict_violation';
        END IF;
    ELSIF NOT EXISTS (
        SELECT FROM privacy_retentionproposal AS proposal
        WHERE proposal.id = NEW.proposal_id AND proposal.was_confirmed AND proposal.years = NEW.years
            AND proposal.decided_by_ref = NEW.set_by_ref
    ) THEN
        RAISE EXCEPTION 'nobody confirmed % years', NEW.years USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END;
$$;
"""
#: How each of the two tables changes, and what the trigger is called on both.
_PROPOSAL = """
CREATE FUNCTION privacy_retentionproposal_by_two() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    is_allowed boolean := false;
BEGIN
    IF TG_OP = 'INSERT' THEN
        is_allowed := NEW.decided_at IS NULL AND NEW.decided_by_ref = '' AND NOT NEW.was_confirmed
            AND gatehouse_decides(NEW.proposed_by_ref);
    ELSIF TG_OP = 'UPDATE' THEN
        is_allowed := {is_erasure} OR OLD.decided_at IS NULL AND NEW.decided_at IS NOT NULL
            AND gatehouse_decides(NEW.decided_by_ref)
            AND ROW(NEW.id, NEW.years, NEW.why, NEW.proposed_by_ref, NEW.proposed_at)
                IS NOT DISTINCT FROM ROW(OLD.id, OLD.years, OLD.why, OLD.proposed_by_ref, OLD.proposed_at);
    END IF;
    {refuse}
END;
$$;
"""
_HOLD = """
CREATE FUNCTION privacy_legalhold_by_two() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    is_allowed boolean := false;
BEGIN
    IF TG_OP = 'INSERT' THEN
        is_allowed := NEW.release_proposed_by_ref = '' AND NEW.released_at IS NULL;
    ELSIF TG_OP = 'UPDATE' THEN
        is_allowed := {is_erasure} OR OLD.released_at IS NULL
            AND ROW(NEW.id, NEW.ref, NEW.name, NEW.reason, NEW.people, NEW.applications, NEW.placed_by_ref, NEW.placed_at)
                IS NOT DISTINCT FROM ROW(
                    OLD.id, OLD.ref, OLD.name, OLD.reason, OLD.people, OLD.applications, OLD.placed_by_ref, OLD.placed_at)
            AND CASE
                WHEN NEW.released_at IS NOT NULL THEN OLD.release_proposed_by_ref NOT IN ('', NEW.released_by_ref)
                    AND NEW.release_proposed_by_ref = OLD.release_proposed_by_ref
                    AND gatehouse_decides(NEW.released_by_ref)
                WHEN NEW.release_proposed_by_ref <> '' THEN OLD.release_proposed_by_ref = ''
                    AND gatehouse_decides(NEW.release_proposed_by_ref)
                ELSE true END;
    END IF;
    {refuse}
END;
$$;
"""
_REFUSE = """IF NOT is_allowed THEN
        RAISE EXCEPTION '% of % takes two people, one step after the other', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;"""
#: The role that changes the row owns the table: it is the function that erases. The setting alone is of no use.
_IS_ERASURE = """(current_setting('gatehouse.erasing', true) = 'on'
            AND current_user = (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = TG_RELID))"""


def _guard(table: str, function: str, events: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"""
        CREATE TRIGGER {table}_by_two BEFORE {events} ON {table} FOR EACH ROW EXECUTE FUNCTION {function}();
        ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_by_two;
        """,
        f"DROP TRIGGER {table}_by_two ON {table};",
    )


def _function(text: str, name: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        text.replace("{is_erasure}", _IS_ERASURE).replace("{refuse}", _REFUSE), f"DROP FUNCTION {name};"
    )


class Migration(migrations.Migration):
    dependencies = [("privacy", "0005_restriction"), ("identity", "0013_names_aside")]
    operations = [
        migrations.AddField(
            "retentionrule",
            "proposal",
            models.OneToOneField(
                blank=True, null=True, on_delete=models.deletion.PROTECT, related_name="+", to="privacy.retentionproposal"
            ),
        ),
        migrations.RemoveConstraint("legalhold", "legal_hold_is_released_by_two"),
        migrations.AddConstraint(
            "legalhold",
            models.CheckConstraint(
                condition=models.Q(released_at__isnull=True)
                | (
                    ~models.Q(release_proposed_by_ref="")
                    & ~models.Q(released_by_ref="")
                    & ~models.Q(released_by_ref=models.F("release_proposed_by_ref"))
                ),
                name="legal_hold_is_released_by_two",
            ),
        ),
        _function(_DECIDES, "gatehouse_decides(text)"),
        _function(_RULE, "privacy_shorter_by_two()"),
        _function(_PROPOSAL, "privacy_retentionproposal_by_two()"),
        _function(_HOLD, "privacy_legalhold_by_two()"),
        _guard("privacy_retentionrule", "privacy_shorter_by_two", "INSERT"),
        _guard("privacy_retentionproposal", "privacy_retentionproposal_by_two", "INSERT OR UPDATE OR DELETE"),
        _guard("privacy_legalhold", "privacy_legalhold_by_two", "INSERT OR UPDATE OR DELETE"),
    ]
