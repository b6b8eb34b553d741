"""The rights in the database: what each role can do to the sealed ledger, tried as that role."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import DatabaseError, connection, transaction

from governance.config.database_roles import make_roles_sql, role_of_command
from governance.core.actor import Actor
from governance.ledger.checks import sealed_ledger_is_out_of_reach
from governance.ledger.models import Entry, Pending
from governance.ledger.notes import Signer
from governance.ledger.recording import Subject, record
from governance.ledger.rights import OWNER, RUNTIME, SEALED, SEQUENCER, excess_rights, grant_rights
from governance.ledger.sequencer import seal_everything
from tests import cast

SIGNER = Signer.generate("rights.test/ledger")


def _run(text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(text)


@contextmanager
def signed_in(role: str) -> Iterator[None]:
    """Be another role of the database, as if the session had signed in with it."""
    _run(f"SET SESSION AUTHORIZATION {role}")
    try:
        yield
    finally:
        _run("RESET SESSION AUTHORIZATION")


def refused(text: str) -> str:
    """Return what the database says against the statement."""
    with pytest.raises(DatabaseError) as caught, transaction.atomic():
        _run(text)
    return str(caught.value)


def _note(name: str) -> None:
    record("ledger.tested", actor=Actor.system("test"), subjects=[Subject("test", name)])


@pytest.fixture
def roles(db: None) -> None:
    """The three roles, with their rights, and a sealed entry. All of it is rolled back after the test."""
    _run(make_roles_sql(can_sign_in=True))
    with signed_in(OWNER):
        assert grant_rights() > 80
    _note("sealed")
    seal_everything(signer=SIGNER)
    _run("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.parametrize("role", [RUNTIME, SEQUENCER])
@pytest.mark.parametrize("table", SEALED)
@pytest.mark.parametrize(
    "attempt",
    [
        "DELETE FROM {}",
        "TRUNCATE {} CASCADE",
        "ALTER TABLE {} DISABLE TRIGGER ALL",
        "DROP TABLE {} CASCADE",
        "CREATE TRIGGER slip BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION ledger_insert_only()",
    ],
)
def test_doors_and_sequencer_are_denied_what_would_change_sealed_entries(
    roles: None, role: str, table: str, attempt: str
) -> None:
    """Denied by the rights: the statement does not even come to the trigger."""
    with signed_in(role):
        said = refused(attempt.format(table))
    assert "permission denied" in said or "must be owner" in said, said


@pytest.mark.parametrize("role", [RUNTIME, SEQUENCER])
def test_an_entry_cannot_be_edited_nor_ordinary_triggers_be_switched_off(roles: None, role: str) -> None:
    """Nor does the replica role help: setting it is denied."""
    with signed_in(role):
        assert "permission denied" in refused("UPDATE ledger_entry SET body = '{}'")
        assert "permission denied" in refused("SET session_replication_role = replica")


@pytest.mark.parametrize("table", SEALED)
def test_the_owner_is_refused_by_the_triggers(roles: None, table: str) -> None:
    """The owner has the right, and the trigger says no."""
    with signed_in(OWNER):
        assert "insert-only" in refused(f"TRUNCATE {table} CASCADE")
        assert "permission denied" in refused("SET session_replication_role = replica")


def test_the_runtime_role_records_and_reads_but_neither_seals_nor_takes_back(roles: None) -> None:
    """A door may say what happened. It cannot put an entry into the log itself, nor take one out of the outbox."""
    with signed_in(RUNTIME):
        _note("by a door")
        assert Entry.objects.count() == 2
        assert Pending.objects.count() == 1
        assert "permission denied" in refused("DELETE FROM ledger_pending")
        assert "permission denied" in refused("UPDATE ledger_pending SET body = '{}'")
        assert "permission denied" in refused("INSERT INTO ledger_node (level, index, hash) VALUES (1, 0, '')")
        with pytest.raises(DatabaseError), transaction.atomic():
            seal_everything(signer=SIGNER)
        assert "permission denied" in refused("CREATE TABLE mine (id int)")


def test_the_sequencer_seals_and_sees_nothing_of_the_rest(roles: None) -> None:
    """It reads the outbox, writes entries and heads, and has no business with people."""
    _note("waiting")
    with signed_in(SEQUENCER):
        assert seal_everything(signer=SIGNER) == 1
        assert "permission denied" in refused("SELECT display_name FROM identity_personrevision")


def test_insert_only_tables_outside_the_ledger_are_so_by_right_too(roles: None) -> None:
    """Revisions are kept by their triggers; the runtime role has no right to change them either."""
    with signed_in(RUNTIME):
        assert "permission denied" in refused("DELETE FROM access_grantrevision")
        assert "permission denied" in refused("UPDATE identity_personrevision SET display_name = ''")


def test_giving_rights_again_takes_back_what_was_added_by_hand(roles: None) -> None:
    """Somebody gave more; the next upgrade takes it away, and until then the check names it."""
    with signed_in(OWNER):
        _run(f"GRANT UPDATE, TRUNCATE ON ledger_entry TO {RUNTIME}")
    with signed_in(RUNTIME):
        said = [one.sentence for one in excess_rights()]
    assert said == [f"{RUNTIME} has TRUNCATE on ledger_entry.", f"{RUNTIME} has UPDATE on ledger_entry."]
    with signed_in(OWNER):
        grant_rights()
    with signed_in(RUNTIME):
        assert excess_rights() == []


def test_the_check_at_deploy_passes_for_the_roles_and_names_what_is_wrong_for_others(roles: None) -> None:
    """`manage.py check --deploy`: the runtime and sequencer roles are fine, owner and superuser are not."""
    for role in (RUNTIME, SEQUENCER):
        with signed_in(role):
            assert sealed_ledger_is_out_of_reach() == []
    with signed_in(OWNER):
        found = [message.msg for message in sealed_ledger_is_out_of_reach()]
    assert f"{OWNER} owns ledger_entry, so it can drop the triggers that keep it." in found
    [superuser] = sealed_ledger_is_out_of_reach()
    assert "is a superuser" in superuser.msg
    _run("ALTER TABLE ledger_entry DISABLE TRIGGER ledger_entry_insert_only_rows")
    with signed_in(RUNTIME):
        [message] = sealed_ledger_is_out_of_reach()
    assert message.id == "ledger.E002"
    assert "ledger_entry_insert_only_rows" in message.msg


@pytest.mark.parametrize(
    ("command", "role"),
    [
        ("migrate", OWNER),
        ("prepare", OWNER),
        ("ledger_sequencer", SEQUENCER),
        ("verify_ledger", RUNTIME),
        ("", RUNTIME),
    ],
)
def test_each_command_signs_in_as_the_least_it_needs(command: str, role: str) -> None:
    """Only what changes tables is the owner, only the sequencer is the sequencer."""
    assert role_of_command(["manage.py", command] if command else ["manage.py"]) == role


def test_only_the_function_that_erases_changes_what_refuses_to_be_changed(roles: None) -> None:
    """Setting what the function sets is of no use to whoever does not own the table."""
    left = cast.hire("Zoe Quarter")
    with signed_in(RUNTIME):
        _run("SET LOCAL gatehouse.erasing = 'on'")
        assert "permission denied" in refused("UPDATE identity_personrevision SET display_name = 'x'")
        _run(f"SELECT gatehouse_erase({left.pk}, ARRAY['Zoe Quarter'])")
    assert set(left.revisions.values_list("display_name", flat=True)) == {"Erased person"}
    with signed_in(SEQUENCER):
        assert "permission denied" in refused(f"SELECT gatehouse_erase({left.pk}, ARRAY['Zoe Quarter'])")
