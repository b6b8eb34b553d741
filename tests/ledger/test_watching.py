"""A hand at the database is found: by rows that nobody recorded, and by rows that are not as the ledger says."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from governance.catalog.models import AccessPolicy
from governance.core.actor import Actor, ActorKind, Door
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid, NotFound
from governance.identity.models import Person, RoleAssignment
from governance.ledger import findings, queries, schema
from governance.ledger.models import Baseline, Captured, Finding, Pending, SubjectKey
from governance.ledger.notes import Signer
from governance.ledger.recording import Subject, record
from governance.ledger.sequencer import seal_everything, seal_pending
from governance.ledger.taking_in import take_in_everything, waiting_tables
from governance.ledger.triggers import put_in_place
from governance.ledger.watching import compare_with_ledger, look_for_out_of_band
from tests import cast

SAM = Actor(ActorKind.PERSON, "0e6a1b2c-0000-4000-8000-000000000001", Door.WEB)


def run(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@transaction.atomic
def past_the_triggers(table: str, *statements: str) -> None:
    """Do as somebody who owns the tables and covers their tracks."""
    run("SET CONSTRAINTS ALL IMMEDIATE", f"ALTER TABLE {table} DISABLE TRIGGER USER", *statements)
    run(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    for trigger in ("capture_inserted", "capture_updated", "capture_deleted", "refuse_truncate"):
        run(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER ledger_{trigger}")


def seen() -> list[tuple[str, str, str, str]]:
    return [(one.kind, one.table, one.row, one.operation) for one in Finding.objects.order_by("id")]


@pytest.fixture
def ada(db: None) -> Person:
    return cast.hire("Ada Lovelace")


# Out of band


@pytest.mark.django_db(transaction=True)
def test_a_row_that_changes_without_an_action_is_a_finding(signer: Signer) -> None:
    with transaction.atomic():
        record("policy.named", actor=SAM, subjects=[Subject("policy", "a")])
        AccessPolicy.objects.create(slug="a", name="A", created_at=now())
    run("UPDATE catalog_accesspolicy SET name = 'B'")
    with transaction.atomic():
        run(
            "INSERT INTO catalog_accesspolicy (slug, name, created_at) SELECT n, n, now() FROM generate_series(1, 70) n"
        )
    seal_everything(signer=signer)

    assert look_for_out_of_band() == 2
    assert look_for_out_of_band() == 0
    edit, many = Finding.objects.order_by("id")
    policy = AccessPolicy.objects.get(slug="a")
    assert (edit.kind, edit.table, edit.row, edit.operation) == (
        "out_of_band", "catalog_accesspolicy", str(policy.pk), "updated"
    )  # fmt: skip
    assert (many.operation, many.rows) == ("inserted", 70)
    assert queries.entry(edit.entry_index or 0).entry.data["rows"][0]["new"] == {"name": "B"}
    assert (edit.database_role, edit.application) == (connection.settings_dict["USER"], "gatehouse")


@pytest.mark.django_db(transaction=True)
def test_an_entry_that_is_sealed_later_explains_the_rows_of_its_transaction(signer: Signer) -> None:
    with transaction.atomic():
        AccessPolicy.objects.create(slug="a", name="A", created_at=now())
        record("policy.named", actor=SAM, subjects=[Subject("policy", "a")])

    assert seal_pending(1, signer=signer) == 2
    assert Pending.objects.filter(body__event="policy.named").exists()
    assert look_for_out_of_band() == 0
    seal_everything(signer=signer)
    assert look_for_out_of_band() == 0


@pytest.mark.django_db(transaction=True)
def test_what_actions_do_is_no_finding(signer: Signer) -> None:
    person = cast.hire("Ada Lovelace")
    cast.make_auditor(person)
    seal_everything(signer=signer)

    assert look_for_out_of_band() == 0


# Comparing


@pytest.fixture
def taken_in(ada: Person) -> Person:
    """Everything that is there is in the ledger."""
    list(take_in_everything())
    return ada


@pytest.mark.django_db
def test_rows_as_the_ledger_has_them_do_not_differ(taken_in: Person, signer: Signer) -> None:
    Person.objects.filter(pk=taken_in.pk).update(title="Countess", given_name="")
    role = RoleAssignment.objects.create(person=taken_in, role="auditor", assigned_at=now(), assigned_by_ref="x")
    gone = RoleAssignment.objects.create(person=taken_in, role="reviewer", assigned_at=now(), assigned_by_ref="x")
    gone.delete()
    seal_everything(signer=signer)
    RoleAssignment.objects.filter(pk=role.pk).update(assigned_by_ref="y")

    result = compare_with_ledger()

    assert (result.differences, result.left_out) == (0, 0)
    assert result.rows >= 3
    assert not Finding.objects.exists()
    assert Pending.objects.filter(body__event="ledger.compared").exists()


OWNER = "identity_roleassignment"
HIDDEN = [
    pytest.param("UPDATE identity_roleassignment SET role = 'security_admin'", "changed", "role", id="a public column"),
    pytest.param("DELETE FROM identity_roleassignment", "missing", "", id="a row taken out"),
    pytest.param(
        "INSERT INTO identity_roleassignment (person_id, role, assigned_at, assigned_by_ref)"
        " SELECT person_id, 'security_admin', now(), '' FROM identity_roleassignment",
        "extra",
        "",
        id="a row slipped in",
    ),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("statement", "what", "columns"), HIDDEN)
def test_what_was_done_past_the_triggers_is_found_in_the_rows(
    taken_in: Person, signer: Signer, statement: str, what: str, columns: str
) -> None:
    RoleAssignment.objects.create(person=taken_in, role="auditor", assigned_at=now(), assigned_by_ref="x")
    seal_everything(signer=signer)

    past_the_triggers(OWNER, statement)
    result = compare_with_ledger()

    assert result.differences == 1
    finding = Finding.objects.get()
    assert (finding.kind, finding.table, finding.operation, finding.columns) == ("differs", OWNER, what, columns)
    assert compare_with_ledger().differences == 1
    assert Finding.objects.count() == 1


@pytest.mark.django_db
def test_a_personal_column_that_was_changed_past_the_triggers_is_named(taken_in: Person) -> None:
    past_the_triggers("identity_person", f"UPDATE identity_person SET email = 'mallory@x' WHERE id = {taken_in.pk}")

    compare_with_ledger()

    assert [(one.row, one.columns) for one in Finding.objects.all()] == [(str(taken_in.pk), "email")]


@pytest.mark.django_db
def test_after_erasure_nothing_is_said_of_personal_columns(taken_in: Person) -> None:
    SubjectKey.objects.filter(subject_id=taken_in.pk).delete()
    past_the_triggers("identity_person", "UPDATE identity_person SET email = 'mallory@x', version = 9")

    compare_with_ledger()

    assert [one.columns for one in Finding.objects.all()] == ["version"]


@pytest.mark.django_db
def test_rows_of_before_are_taken_in_once_and_where_it_stopped(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        cast.hire(f"P{number} Person")
    Captured.objects.all().delete()
    SubjectKey.objects.all().delete()
    monkeypatch.setattr("governance.ledger.taking_in.BATCH", 3)
    assert "identity_person" in waiting_tables()

    first = take_in_everything()
    assert next(first) == ("identity_person", Person.objects.count())
    assert Captured.objects.filter(table="identity_person").count() == 3
    assert SubjectKey.objects.filter(subject_id=ada.pk).exists()
    rest = dict(take_in_everything())

    assert "identity_person" not in rest
    assert waiting_tables() == frozenset()
    assert dict(take_in_everything()) == {}
    assert compare_with_ledger().differences == 0
    assert Pending.objects.filter(body__event="capture.rows_taken_in").exists()


@pytest.mark.django_db
def test_a_table_with_another_column_is_taken_in_again(taken_in: Person) -> None:
    Baseline.objects.filter(table="identity_person").update(columns="id", last_key=10**9)

    assert waiting_tables() == {"identity_person"}
    assert compare_with_ledger().left_out == 1
    assert dict(take_in_everything()) == {"identity_person": 1}


@pytest.mark.django_db
def test_a_trigger_that_is_off_is_a_finding_until_it_is_closed(taken_in: Person) -> None:
    run("SET CONSTRAINTS ALL IMMEDIATE", "ALTER TABLE access_grant DISABLE TRIGGER ledger_capture_deleted")
    compare_with_ledger()
    compare_with_ledger()
    put_in_place()
    schema.note(actor=SAM)
    (first,) = Finding.objects.filter(kind="trigger")
    findings.close(first.pk, "A restore.", actor=SAM)

    run("ALTER TABLE access_grant DISABLE TRIGGER ledger_capture_deleted")
    compare_with_ledger()

    assert [(one.table, one.columns) for one in Finding.objects.filter(kind="trigger")] == [
        ("access_grant", "ledger_capture_deleted")
    ] * 2


@pytest.mark.django_db
def test_a_schema_that_changed_without_a_migration_is_a_finding(taken_in: Person) -> None:
    compare_with_ledger()
    run("SET CONSTRAINTS ALL IMMEDIATE", "ALTER TABLE catalog_accesspolicy ADD backdoor text")
    run("CREATE OR REPLACE FUNCTION ledger_new_secret() RETURNS bytea LANGUAGE sql AS $$ SELECT '\\x00'::bytea $$")

    compare_with_ledger()

    assert {one.table for one in Finding.objects.filter(kind="schema")} == {
        "catalog_accesspolicy",
        "function ledger_new_secret",
    }
    compare_with_ledger()
    assert Finding.objects.filter(kind="schema").count() == 2


@pytest.mark.django_db
def test_a_migration_says_so_in_its_own_transaction(signer: Signer) -> None:
    run("INSERT INTO django_migrations (app, name, applied) VALUES ('catalog', '9999_before', now())")
    assert not Pending.objects.filter(body__event="schema.migrated").exists()
    seal_everything(signer=signer)

    run("INSERT INTO django_migrations (app, name, applied) VALUES ('catalog', '9999_data', now())")
    run("DELETE FROM django_migrations WHERE name = '9999_data'")
    seal_everything(signer=signer)

    said = queries.entries(event="schema").entries
    assert [(one.event, one.subjects) for one in said] == [
        ("schema.unmigrated", (Subject("migration", "catalog.9999_data"),)),
        ("schema.migrated", (Subject("migration", "catalog.9999_data"),)),
    ]


# What becomes of a finding


@pytest.fixture
def finding(db: None) -> Finding:
    at = now()
    return Finding.objects.create(
        kind="differs", cause="differs:x:1", table="x", row="1", first_seen_at=at, last_seen_at=at
    )


def test_a_finding_is_taken_explained_and_closed_on_record(finding: Finding) -> None:
    Pending.objects.all().delete()

    findings.take(finding.pk, actor=SAM)
    findings.explain(finding.pk, "A restore of Tuesday.", fixed_by="OPS-12", actor=SAM)
    closed = findings.close(finding.pk, "A restore of Tuesday.", fixed_by="OPS-12", actor=SAM)

    assert (closed.owner_ref, closed.closed_by_ref, closed.fixed_by) == (SAM.ref, SAM.ref, "OPS-12")
    assert [one.body["event"] for one in Pending.objects.order_by("id")] == [
        "finding.taken", "finding.explained", "finding.closed"
    ]  # fmt: skip
    assert "Tuesday" not in str(list(Pending.objects.values_list("body", flat=True)))
    assert list(findings.open_findings()) == []


def test_a_finding_is_not_closed_without_a_word_nor_twice(finding: Finding) -> None:
    with pytest.raises(Invalid):
        findings.close(finding.pk, "  ", actor=SAM)
    with pytest.raises(Invalid):
        findings.explain(finding.pk, "x" * 2001, actor=SAM)
    with pytest.raises(NotFound):
        findings.take(0, actor=SAM)
    findings.close(finding.pk, "Known.", actor=SAM)

    for act in (lambda: findings.close(finding.pk, "Again.", actor=SAM), lambda: findings.take(finding.pk, actor=SAM)):
        with pytest.raises(Conflict):
            act()


@pytest.mark.django_db
def test_the_command_names_table_row_and_column(
    taken_in: Person, signer: Signer, capsys: pytest.CaptureFixture[str]
) -> None:
    seal_everything(signer=signer)
    call_command("verify_ledger", "--replay")
    assert "0 differ" in capsys.readouterr().out

    past_the_triggers("identity_person", "UPDATE identity_person SET email = 'mallory@x'")
    with pytest.raises(SystemExit) as left:
        call_command("verify_ledger", "--replay")

    assert left.value.code == 1
    assert f"DIFFERS: identity_person {taken_in.pk}: differs in email, last in entry" in capsys.readouterr().out
