"""Connections from the command line, the list of dialects that both sides name, and the rows that moved."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection as database
from django.db.migrations.executor import MigrationExecutor

from governance.identity.connections.dialects import DIALECTS as LABELS
from governance.identity.models import Connection, ServiceToken
from scim_bridge.dialects.policies import DIALECTS
from tests.ledger.plugin_flush import truncating
from tests.scim_bridge.conftest import Provider


def _run(*arguments: str) -> str:
    out = StringIO()
    call_command("scim_token", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_both_sides_name_the_same_dialects() -> None:
    assert set(LABELS) == set(DIALECTS)


def test_create_prints_the_token_alone_on_its_last_line(db: None) -> None:
    token = _run("create", "okta", "--dialect", "okta", "--days", "30").splitlines()[-1]

    assert Provider(token).get("Users")["totalResults"] == 0
    assert Connection.objects.get().dialect == "okta"


def test_create_without_a_dialect_is_strict_and_again_adds_a_token(db: None) -> None:
    first, second = (_run("create", "corp").splitlines()[-1] for _ in range(2))

    assert Connection.objects.get().dialect == "strict"
    assert first != second
    assert ServiceToken.objects.count() == 2


def test_create_can_set_how_often_it_may_ask_and_leaves_the_rest(db: None) -> None:
    _run("create", "okta", "--dialect", "okta", "--limit", "60000")
    _run("create", "okta")

    assert Connection.objects.values_list("dialect", "requests_per_minute").get() == ("okta", 60_000)


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "okta", "--dialect", "entra"),
        ("create", " "),
        ("create", "x", "--days", "0"),
        ("create", "x", "--limit", "1"),
        ("revoke", "nobody"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(db: None, arguments: tuple[str, ...]) -> None:
    _run("create", "okta", "--dialect", "okta")

    with pytest.raises(CommandError, match=r"\w+"):
        _run(*arguments)


def test_list_shows_no_token_and_revoke_ends_one_or_all(db: None) -> None:
    first, second = (_run("create", "okta").splitlines()[-1] for _ in range(2))
    hint = ServiceToken.objects.order_by("pk")[0].hint

    assert first not in _run("list")
    assert hint in _run("list")
    assert "1 token" in _run("revoke", "okta", "--token", first)
    Provider.refused(Provider(first).ask("GET", "Users"), 401)
    assert Provider(second).ask("GET", "Users").status_code == 200
    assert "1 token" in _run("revoke", "okta")
    Provider.refused(Provider(second).ask("GET", "Users"), 401)
    with pytest.raises(CommandError):
        _run("revoke", "okta")


@pytest.mark.django_db(transaction=True)
def test_the_rows_of_the_old_tables_move_with_their_ids_and_back() -> None:
    _run("create", "okta", "--dialect", "okta")
    _run("create", "entra", "--dialect", "entra")
    before = list(Connection.objects.order_by("id").values_list("id", "name", "dialect", "created_at"))
    links = list(Connection.objects.order_by("id").values_list("id", "links__token_id"))

    _migrate("0001_connections")
    with database.cursor() as cursor:
        cursor.execute("SELECT id, name, dialect, created_at FROM scim_bridge_connection ORDER BY id")
        assert cursor.fetchall() == before
    with truncating(), database.cursor() as cursor:
        cursor.execute("TRUNCATE identity_connection CASCADE")
    _migrate("0003_tables_gone")

    assert list(Connection.objects.order_by("id").values_list("id", "name", "dialect", "created_at")) == before
    assert list(Connection.objects.order_by("id").values_list("id", "links__token_id")) == links
    _run("create", "third")
    assert Connection.objects.get(name="third").pk > max(id_ for id_, *_ in before)


def _migrate(name: str) -> None:
    MigrationExecutor(database).migrate([("scim_bridge", name)])
