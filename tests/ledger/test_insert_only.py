"""What is sealed stays, also for the superuser that these tests are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from django.db import IntegrityError, connection, transaction

from governance.ledger.models import ConfigurationChange, Entry
from governance.ledger.verification import INSERT_ONLY

pytestmark = pytest.mark.django_db

SEALED = ("entry", "entrysubject", "node", "checkpoint", "logkey", "configurationchange")
A_COLUMN = {
    "entry": "event",
    "entrysubject": "kind",
    "node": "level",
    "checkpoint": "note",
    "logkey": "verifier_key",
    "configurationchange": "door",
    "pending": "body",
    "captured": "rows",
    "subjectkey": "secret",
    "disclosure": "value",
}


@pytest.fixture
def filled(sealed: Callable[..., None], note: Callable[[int], None]) -> None:
    sealed(300)
    note(1)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("INSERT INTO ledger_subjectkey (subject_ref, secret) VALUES ('ada', 'secret')")
        cursor.execute(
            'INSERT INTO ledger_captured ("table", operation, database_role, application, rows)'
            " VALUES ('a', 'inserted', 'b', 'c', '[]')"
        )
        cursor.execute("INSERT INTO ledger_disclosure VALUES ('digest', 'ref', 'field', 'salt', 'value')")
        cursor.execute(
            "INSERT INTO ledger_configurationchange (object_pk, object_repr, action, changes_text, timestamp,"
            " content_type_id, actor_kind, actor_ref, door)"
            " SELECT '1', 'x', 0, '', now(), id, 'system', 'x', 'web' FROM django_content_type LIMIT 1"
        )


def refused(*statements: str) -> None:
    with pytest.raises(IntegrityError, match="is insert-only"):
        run(statements)


@transaction.atomic
def run(statements: Sequence[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("table", SEALED)
def test_rows_cannot_be_changed_or_removed(table: str) -> None:
    column = A_COLUMN[table]

    refused(f"UPDATE ledger_{table} SET {column} = {column}")
    refused(f"DELETE FROM ledger_{table}")


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("table", INSERT_ONLY)
def test_tables_cannot_be_emptied(table: str) -> None:
    refused(f"TRUNCATE ledger_{table} CASCADE")


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("table", SEALED)
def test_the_replica_role_is_no_way_around(table: str) -> None:
    refused("SET LOCAL session_replication_role = replica", f"DELETE FROM ledger_{table}")


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("table", ["pending", "captured", "subjectkey", "disclosure"])
def test_what_waits_and_what_is_kept_apart_can_go_but_not_change(table: str) -> None:
    column = A_COLUMN[table]

    refused(f"UPDATE ledger_{table} SET {column} = {column}")
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM ledger_{table}")
        assert cursor.rowcount == 1


@pytest.mark.usefixtures("filled")
def test_the_orm_is_no_way_around() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Entry.objects.filter(index=1).update(event="other.event")
    with pytest.raises(IntegrityError), transaction.atomic():
        ConfigurationChange.objects.all().delete()
