"""Prepared statements without a cursor: values, results, errors and transactions as psycopg has them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from django.conf import settings

from governance.core.prepared import Prepared, prepared


@pytest.fixture
def connection(django_db_setup: None) -> Iterator[psycopg.Connection[Any]]:
    """Have a plain connection, with psycopg's own types, to the database of the tests."""
    known = settings.DATABASES["default"]
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    said = {name: known[key] for key, name in names.items() if known[key]}
    opened: psycopg.Connection[Any] = psycopg.connect(**said)
    yield opened
    opened.close()


VALUES = [
    pytest.param("it's 100 % ünïcode $1", "text", id="text"),
    pytest.param(7, "int", id="small"),
    pytest.param(2**40, "bigint", id="large"),
    pytest.param(True, "boolean", id="boolean"),
    pytest.param(None, "text", id="null"),
    pytest.param(uuid.UUID(int=7), "uuid", id="uuid"),
    pytest.param(datetime(2026, 3, 1, 4, 5, 6, 789, tzinfo=UTC), "timestamptz", id="instant"),
    pytest.param([1, 2, 70_000], "bigint[]", id="integers"),
    pytest.param(["a", 'b"', "c,d"], "text[]", id="texts"),
    pytest.param([], "text[]", id="empty list"),
]


@pytest.mark.parametrize(("value", "kind"), VALUES)
def test_a_value_comes_back_as_it_went(connection: psycopg.Connection[Any], value: Any, kind: str) -> None:
    found = prepared(connection).rows(f"SELECT %s::{kind}, %s::{kind} IS NULL", [value, value], begin=True)

    assert found == [(value, value is None)]


def test_names_may_come_more_than_once_and_a_doubled_percent_is_one(connection: psycopg.Connection[Any]) -> None:
    sql = "SELECT %(b)s::int - %(a)s::int, %(a)s::int, 'x' LIKE '%%'"

    assert prepared(connection).rows(sql, {"a": 1, "b": 5, "unused": None}, begin=True) == [(4, 1, True)]


def test_a_statement_is_prepared_once_for_each_kind_of_parameters(connection: psycopg.Connection[Any]) -> None:
    statements = prepared(connection)
    for value in (1, 2, 70_000, 70_001):
        statements.rows("SELECT %s::bigint", [value], begin=True)

    with connection.cursor() as cursor:
        kept = cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'gatehouse%'").fetchone()
    assert kept == (2,)


def test_it_begins_a_transaction_that_the_connection_ends(connection: psycopg.Connection[Any]) -> None:
    statements = prepared(connection)
    statements.rows("CREATE TEMPORARY TABLE kept (n int)", [], begin=True)
    connection.commit()

    statements.rows("INSERT INTO kept VALUES (1)", [], begin=True)
    connection.rollback()

    assert statements.rows("SELECT count(*) FROM kept", [], begin=True) == [(0,)]


def test_without_begin_each_statement_stands_for_itself(connection: psycopg.Connection[Any]) -> None:
    connection.autocommit = True

    prepared(connection).rows("SELECT 1", [], begin=False)

    assert connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE


def test_errors_are_psycopgs_and_the_statement_works_again_after(connection: psycopg.Connection[Any]) -> None:
    statements = prepared(connection)
    with pytest.raises(psycopg.errors.DivisionByZero):
        statements.rows("SELECT 1 / %s::int", [0], begin=True)
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        statements.rows("SELECT 1 / %s::int", [1], begin=True)
    connection.rollback()

    assert statements.rows("SELECT 1 / %s::int", [1], begin=True) == [(1,)]
    with pytest.raises(psycopg.errors.UndefinedTable):
        statements.rows("SELECT * FROM missing", [], begin=True)


def test_a_broken_connection_is_an_operational_error(connection: psycopg.Connection[Any]) -> None:
    statements = prepared(connection)
    connection.pgconn.finish()

    with pytest.raises(psycopg.OperationalError):
        statements.rows("SELECT 1", [], begin=True)


def test_a_server_that_ended_the_session_is_an_operational_error(connection: psycopg.Connection[Any]) -> None:
    statements = prepared(connection)
    statements.rows("SELECT 1", [], begin=True)
    connection.commit()
    with psycopg.connect(connection.info.dsn, autocommit=True, password=connection.info.password) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])

    for _ in range(2):
        with pytest.raises(psycopg.OperationalError):
            statements.rows("SELECT 1", [], begin=True)
    assert connection.broken


def test_the_statements_end_with_their_connection(connection: psycopg.Connection[Any]) -> None:
    assert prepared(connection) is prepared(connection)
    assert isinstance(prepared(connection), Prepared)
