"""Every way in which a row can change reaches the ledger, and nothing personal does."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import IntegrityError, connection, models, transaction
from django.test.utils import isolate_apps

from governance.core.actor import Actor
from governance.core.clock import now
from governance.identity.models import Person, RoleAssignment
from governance.ledger import governing, queries
from governance.ledger.governing import Governed, govern
from governance.ledger.models import Captured, SubjectKey
from governance.ledger.notes import Signer
from governance.ledger.recording import Subject, record
from governance.ledger.sequencer import seal_everything
from governance.ledger.triggers import missing_triggers, put_in_place
from governance.ledger.verification import Request, verify
from tests import cast

pytestmark = pytest.mark.django_db

PROBE = Governed(
    "probe", ("id",), ("slug", "number", "numbers", "person_id"), ("name",), ("seen_at",), person="person_id"
)
PAIR = Governed("probe_pair", ("left_id", "right_id"), (), (), ())
PARTED = Governed("probe_parted", ("id",), ("region",), (), ())
TABLES = """
    CREATE TABLE probe (id bigint PRIMARY KEY, slug text, number bigint, numbers bigint[], name text,
        seen_at timestamptz, person_id bigint);
    CREATE TABLE probe_pair (left_id bigint REFERENCES probe ON DELETE CASCADE, right_id bigint,
        PRIMARY KEY (left_id, right_id));
    CREATE TABLE probe_parted (id bigint, region text) PARTITION BY LIST (region);
    CREATE TABLE probe_north PARTITION OF probe_parted FOR VALUES IN ('north');
    CREATE TABLE probe_south PARTITION OF probe_parted FOR VALUES IN ('south');
"""


class Captures:
    """What the triggers saw since the last look."""

    def __init__(self) -> None:
        self.new()

    def new(self) -> list[tuple[str, str, list[dict[str, Any]]]]:
        """Return (table, operation, rows) of what is new, in order."""
        found = list(Captured.objects.order_by("id"))
        Captured.objects.all().delete()
        return [(one.table, one.operation, one.rows) for one in found]


@pytest.fixture
def ada() -> Person:
    """An employee; the cast of this folder has only references."""
    return cast.hire("Ada Lovelace")


@pytest.fixture
def captures() -> Captures:
    return Captures()


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Captures]:
    """Governed tables of our own: one with every kind of column, one with two keys, one with partitions."""
    Captured.objects.all().delete()
    for one in (PROBE, PAIR, PARTED):
        monkeypatch.setitem(governing._governed, one.table, one)
    run("SET CONSTRAINTS ALL IMMEDIATE", TABLES)
    put_in_place()
    return Captures()


def run(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def test_what_actions_do_is_captured_row_by_row(ada: Person, captures: Captures) -> None:
    role = RoleAssignment.objects.create(person=ada, role="auditor", assigned_at=now(), assigned_by_ref="x")
    role.assigned_by_ref = "y"
    role.save()
    role.delete()

    (table, _, made), (_, _, changed), (_, _, gone) = captures.new()
    assert table == "identity_roleassignment"
    assert made[0]["new"]["person_id"] == ada.pk
    assert changed == [{"key": made[0]["key"], "old": {"assigned_by_ref": "x"}, "new": {"assigned_by_ref": "y"}}]
    assert gone[0]["old"]["assigned_by_ref"] == "y"
    assert "new" not in gone[0]


def test_bulk_writes_of_the_orm_are_captured(ada: Person, captures: Captures) -> None:
    made = RoleAssignment.objects.bulk_create(
        RoleAssignment(person=ada, role=role, assigned_at=now(), assigned_by_ref="x")
        for role in ("auditor", "reviewer")
    )
    for one in made:
        one.assigned_by_ref = f"by {one.role}"
    RoleAssignment.objects.bulk_update(made, ["assigned_by_ref"])
    RoleAssignment.objects.filter(person=ada).update(assigned_by_ref="z")
    RoleAssignment.objects.filter(person=ada).delete()

    seen = captures.new()
    assert [(operation, len(rows)) for _, operation, rows in seen] == [
        ("inserted", 2), ("updated", 2), ("updated", 2), ("deleted", 2)
    ]  # fmt: skip
    assert {row["new"]["assigned_by_ref"] for row in seen[1][2]} == {"by auditor", "by reviewer"}


def test_a_many_to_many_relation_is_captured_from_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    """By Django's own groups, which Gatehouse does not use: all of ours can only be added to."""
    through = Group.permissions.through
    table = through._meta.db_table
    monkeypatch.setitem(governing._governed, table, Governed(table, ("id",), ("group_id", "permission_id"), (), ()))
    put_in_place()
    group, other = Group.objects.create(name="a"), Group.objects.create(name="b")
    one, two = Permission.objects.all()[:2]
    captures = Captures()

    group.permissions.set([one])
    group.permissions.set([two])
    group.permissions.clear()
    one.group_set.add(group)
    through._default_manager.all().delete()
    through._default_manager.bulk_create([through(group=other, permission=one), through(group=other, permission=two)])
    other.delete()

    seen = captures.new()
    assert [(operation, len(rows)) for _, operation, rows in seen] == [
        ("inserted", 1),
        ("deleted", 1),
        ("inserted", 1),
        ("deleted", 1),
        ("inserted", 1),
        ("deleted", 1),
        ("inserted", 2),
        ("deleted", 2),
    ]
    assert seen[0][2][0]["new"] == {"group_id": group.pk, "permission_id": one.pk}


INSERT = "INSERT INTO probe (id, slug, number) VALUES (1, 'a', 1), (2, 'b', 2)"
STATEMENTS = [
    pytest.param([INSERT], ["inserted 1,2"], id="raw SQL"),
    pytest.param([INSERT, "UPDATE probe SET number = 5 WHERE id = 2"], ["updated 2"], id="raw update"),
    pytest.param([INSERT, "DELETE FROM probe"], ["deleted 1,2"], id="raw delete"),
    pytest.param(
        [INSERT, "INSERT INTO probe (id, number) VALUES (2, 7), (3, 7) ON CONFLICT (id) DO UPDATE SET number = 7"],
        ["inserted 3", "updated 2"],
        id="upsert",
    ),
    pytest.param([INSERT, "INSERT INTO probe (id) VALUES (2) ON CONFLICT DO NOTHING"], [], id="upsert of nothing"),
    pytest.param(
        [
            INSERT,
            """
            MERGE INTO probe USING (VALUES (1, 9), (2, 0), (3, 9)) AS said (id, number) ON probe.id = said.id
            WHEN MATCHED AND said.number = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET number = said.number
            WHEN NOT MATCHED THEN INSERT (id, number) VALUES (said.id, said.number)
            """,
        ],
        ["deleted 2", "inserted 3", "updated 1"],
        id="merge",
    ),
    pytest.param(
        [INSERT, "SET LOCAL session_replication_role = replica", "UPDATE probe SET number = 5 WHERE id = 1"],
        ["updated 1"],
        id="replica role",
    ),
    pytest.param(
        [INSERT, "UPDATE probe SET id = 9, number = 5 WHERE id = 1"], ["deleted 1", "inserted 9"], id="another key"
    ),
    pytest.param(
        [INSERT, "UPDATE probe SET id = id + 10"], ["deleted 1,2", "inserted 11,12"], id="other keys of many rows"
    ),
    pytest.param([INSERT, "UPDATE probe SET seen_at = now()"], [], id="volatile columns only"),
    pytest.param([INSERT, "UPDATE probe SET seen_at = now() WHERE id = 1"], [], id="a volatile column of one row"),
    pytest.param(
        [INSERT, "UPDATE probe SET seen_at = now(), number = CASE id WHEN 1 THEN 4 ELSE number END"],
        ["updated 1"],
        id="one of two rows really changed",
    ),
    pytest.param([INSERT, "UPDATE probe SET number = number"], [], id="nothing changed"),
    pytest.param([INSERT, "UPDATE probe SET number = 1 WHERE false"], [], id="no row"),
    pytest.param(
        [INSERT, "INSERT INTO probe_pair VALUES (1, 7), (1, 8), (2, 7)", "DELETE FROM probe WHERE id = 1"],
        ["deleted 1", "deleted 1,7;1,8"],
        id="cascade of the database",
    ),
    pytest.param(["INSERT INTO probe_parted VALUES (1, 'north'), (2, 'south')"], ["inserted 1,2"], id="partitioned"),
    pytest.param(["INSERT INTO probe_north VALUES (3, 'north')"], ["inserted 3"], id="straight to a partition"),
    pytest.param(
        ["INSERT INTO probe_parted VALUES (1, 'north')", "UPDATE probe_parted SET region = 'south'"],
        ["updated 1"],
        id="moved to another partition",
    ),
]


@pytest.mark.parametrize(("statements", "seen"), STATEMENTS)
def test_no_statement_passes_by(probes: Captures, statements: list[str], seen: list[str]) -> None:
    run(*statements[:-1])
    probes.new()

    run(statements[-1])

    assert sorted(said(*one) for one in probes.new()) == sorted(seen)


def said(table: str, operation: str, rows: list[dict[str, Any]]) -> str:
    """In a word: the operation and the keys."""
    keys = sorted((row["key"] for row in rows), key=lambda key: (len(key), key))
    return f"{operation} {(';' if table == 'probe_pair' else ',').join(keys)}"


def test_copy_is_captured(probes: Captures) -> None:
    with connection.cursor() as cursor, cursor.copy("COPY probe (id, slug) FROM STDIN") as copy:
        for number in range(120):
            copy.write_row((number, f"s{number}"))

    seen = probes.new()
    assert [(operation, len(rows)) for _, operation, rows in seen] == [
        ("inserted", 50),
        ("inserted", 50),
        ("inserted", 20),
    ]
    assert [row["key"] for _, _, rows in seen for row in rows] == [str(number) for number in range(120)]


def test_rows_with_much_in_them_make_smaller_entries(probes: Captures) -> None:
    run("INSERT INTO probe (id, slug) SELECT n, repeat('x', 7000) FROM generate_series(1, 20) AS n")

    sizes = [len(json.dumps(rows)) for _, _, rows in probes.new()]
    assert len(sizes) > 2
    assert max(sizes) < 50_000


def test_a_value_that_no_entry_could_hold_is_named_by_its_digest(probes: Captures) -> None:
    run("INSERT INTO probe (id, numbers) SELECT 1, array_agg(n) FROM generate_series(1, 30000) AS n")

    said = probes.new()[0][2][0]["new"]["numbers"]
    assert said["characters"] > 100_000
    assert len(said["sha256"]) == 64


@pytest.mark.parametrize("table", ["probe", "probe_parted", "probe_north", "access_grant", "identity_person"])
def test_truncate_is_refused(probes: Captures, table: str) -> None:
    with pytest.raises(IntegrityError, match=r"TRUNCATE refused|is insert-only"), transaction.atomic():
        run(f"TRUNCATE {table} CASCADE")


def test_personal_columns_are_committed_to_with_the_secret_of_their_person(ada: Person, probes: Captures) -> None:
    run(f"INSERT INTO probe (id, slug, name, person_id) VALUES (1, 'a', 'Löwe', {ada.pk}), (2, 'b', 'Löwe', NULL)")

    first, second = (row["new"] for row in probes.new()[0][2])
    hers = SubjectKey.objects.get(subject_id=ada.pk)
    assert hers.subject_ref == str(ada.ref)
    assert first["name"] == {"key": hers.pk, "sha256": commitment(bytes(hers.secret), "probe.name", "Löwe")}
    logs = SubjectKey.objects.get(subject_ref="")
    assert second["name"] == {"key": logs.pk, "sha256": commitment(bytes(logs.secret), "probe.name", "Löwe")}
    assert (first["slug"], first["person_id"], first["number"]) == ("a", ada.pk, None)


ALIKE = [
    pytest.param("slug = 'b', number = 2", id="public columns"),
    pytest.param("name = 'Grace', number = 2", id="public and personal columns"),
    pytest.param("name = NULL, slug = NULL", id="nothing left"),
    pytest.param("name = '', numbers = '{1,2}'", id="empty text"),
    pytest.param("slug = repeat('long', 3000)", id="a long text"),
    pytest.param("slug = slug", id="nothing"),
]


@pytest.mark.parametrize("change", ALIKE)
@pytest.mark.parametrize("has_person", [True, False], ids=["of a person", "of nobody"])
def test_one_row_is_captured_as_it_is_in_a_set(ada: Person, probes: Captures, change: str, has_person: bool) -> None:
    person = str(ada.pk) if has_person else "NULL"
    row = f"'a', 1, 'Ada', {person}"
    run(f"INSERT INTO probe (id, slug, number, name, person_id) VALUES (1, {row})")
    run(f"INSERT INTO probe (id, slug, number, name, person_id) VALUES (2, {row}), (3, {row})")
    (_, _, [alone]), (_, _, [second, third]) = probes.new()
    run(f"UPDATE probe SET {change} WHERE id = 1", f"UPDATE probe SET {change} WHERE id > 1")
    changed = [row for _, _, rows in probes.new() for row in rows]

    assert alone["new"] == second["new"] == third["new"]
    assert len(changed) in {0, 3}
    assert all((one["old"], one["new"]) == (changed[0]["old"], changed[0]["new"]) for one in changed)
    assert (len(changed) == 0) is (change == "slug = slug")


def test_a_set_without_any_secret_makes_the_one_of_the_log(probes: Captures) -> None:
    SubjectKey.objects.all().delete()
    run("INSERT INTO probe (id, name) VALUES (1, 'Ada'), (2, 'Grace')")

    key = SubjectKey.objects.get(subject_ref="")
    assert [row["new"]["name"]["key"] for row in probes.new()[0][2]] == [key.pk, key.pk]


def commitment(secret: bytes, place: str, text: str) -> str:
    """As docs/ledger-format.md says it."""
    digest = hashlib.sha256(secret + f"{place}={text}".encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def test_a_person_who_joins_gets_a_secret_and_no_word_of_theirs_is_captured(captures: Captures) -> None:
    person = cast.hire("Zebedee Quartz", title="Falconer", department="Aviary")
    Person.objects.filter(pk=person.pk).update(title="Astronomer", given_name="Zeb")

    said = json.dumps(captures.new())
    assert [word for word in ("Quartz", "Falconer", "Aviary", "Astronomer", "Zeb") if word in said] == []
    secret = SubjectKey.objects.get(subject_ref=str(person.ref))
    assert (secret.subject_id, len(bytes(secret.secret))) == (person.pk, 32)


def test_after_erasure_a_person_gets_another_secret(ada: Person, captures: Captures) -> None:
    former = SubjectKey.objects.get(subject_id=ada.pk)
    former.delete()

    Person.objects.filter(pk=ada.pk).update(title="Erased")

    assert SubjectKey.objects.get(subject_ref=str(ada.ref)).secret != former.secret


def test_a_column_that_nobody_declared_is_treated_as_personal(probes: Captures) -> None:
    run("SET CONSTRAINTS ALL IMMEDIATE", "ALTER TABLE probe ADD nickname text")
    run("INSERT INTO probe (id, nickname) VALUES (1, 'Lovelace')")

    assert set(probes.new()[0][2][0]["new"]["nickname"]) == {"key", "sha256"}


def test_the_session_of_the_writer_does_not_change_what_is_written(probes: Captures) -> None:
    run("ALTER TABLE probe ADD at timestamptz, ADD lasting interval")
    for_public = Governed(
        "probe", ("id",), ("at", "lasting"), (), ("name", "slug", "number", "numbers", "person_id", "seen_at")
    )
    governing._governed["probe"] = for_public
    put_in_place()
    run("SET LOCAL timezone = 'Asia/Tokyo'", "SET LOCAL intervalstyle = 'postgres_verbose'")
    run("INSERT INTO probe (id, at, lasting) VALUES (1, '2026-03-03T09:00:00Z', '1 day 2 hours')")

    assert probes.new()[0][2][0]["new"] == {"at": "2026-03-03T09:00:00+00:00", "lasting": "P1DT2H"}


def test_a_temporary_table_does_not_catch_what_is_meant_for_the_ledger(probes: Captures) -> None:
    run("CREATE TEMPORARY TABLE ledger_captured (LIKE public.ledger_captured INCLUDING DEFAULTS)")
    run("INSERT INTO probe (id) VALUES (1)")

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM public.ledger_captured")
        assert cursor.fetchone()[0] == 1


def test_rows_are_sealed_beside_the_entry_of_their_transaction(ada: Person, signer: Signer) -> None:
    record("role.given", actor=Actor.system("test"), subjects=[Subject("person", str(ada.ref))])
    RoleAssignment.objects.create(person=ada, role="auditor", assigned_at=now(), assigned_by_ref="x")
    seal_everything(signer=signer)

    action = queries.entries(event="role.given").entries[0]
    page = queries.entries(transaction=str(action.transaction), event="rows.inserted")
    rows = page.entries[0]
    assert rows.index == action.index + 1
    assert (rows.actor_kind, rows.door, rows.correlation_id) == ("system", "database", "")
    assert rows.subjects == (Subject("table", "identity_roleassignment"),)
    assert rows.data["table"] == "identity_roleassignment"
    assert rows.data["database_role"] == rows.actor_ref
    assert rows.data["rows"][0]["new"]["person_id"] == ada.pk
    assert verify(Request(is_strict=True)).size == queries.latest_checkpoint().size  # type: ignore[union-attr]


def test_nobody_says_of_rows_what_no_trigger_saw(signer: Signer) -> None:
    record("rows.inserted", actor=Actor.system("test"), subjects=[Subject("table", "probe")])
    seal_everything(signer=signer)

    assert queries.entries(event="rows.inserted").entries == ()
    assert queries.entries(event="log.forgery_refused").entries[0].data["event"] == "rows.inserted"


def test_numbers_that_readers_could_not_hold_become_text(probes: Captures, signer: Signer) -> None:
    run("INSERT INTO probe (id, number) VALUES (1, 9007199254740993), (2, 9007199254740991)")
    seal_everything(signer=signer)

    rows = queries.entries(event="rows.inserted").entries[0].data["rows"]
    assert [row["new"]["number"] for row in rows] == ["9007199254740993", 9007199254740991]
    assert verify(Request(is_strict=True)).size > 1


def test_a_trigger_that_is_gone_or_weaker_is_missed_and_put_back(probes: Captures) -> None:
    run("ALTER TABLE probe ENABLE TRIGGER ledger_capture_updated", "DROP TRIGGER ledger_capture_deleted ON probe_north")
    run("CREATE TABLE probe_west PARTITION OF probe_parted FOR VALUES IN ('west')")

    missing = [(one.table, one.trigger) for one in missing_triggers()]
    assert ("probe", "ledger_capture_updated") in missing
    assert ("probe_north", "ledger_capture_deleted") in missing
    assert ("probe_west", "ledger_refuse_truncate") in missing
    assert len(missing) == 6
    assert put_in_place() == ["probe", "probe_north", "probe_west"]
    assert missing_triggers() == []


@isolate_apps("governance.ledger")
def declare(**said: Any) -> None:
    class Sample(models.Model):
        name = models.CharField(max_length=20)
        document = models.JSONField()

        class Meta:
            app_label = "ledger"
            managed = False

    govern(Sample, **said)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"public": ["name"]}, "document is neither"),
        ({"personal": ["document"]}, "name is neither"),
        ({"public": ["name", "document"]}, "document cannot be public"),
        ({"public": ["name"], "personal": ["name", "document"]}, "name is named twice"),
        ({"public": ["nme"], "personal": ["name", "document"]}, "nme does not exist"),
        ({"personal": ["name", "document"], "person": "person_id"}, "person_id does not exist"),
    ],
)
def test_a_declaration_classes_every_column_once(said: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        declare(**said)
