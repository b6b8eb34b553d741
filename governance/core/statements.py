"""Hand-written SQL for hot paths: bound and prepared by the server, which then neither parses nor plans it again.

The ORM binds parameters in the client, so that PostgreSQL plans each of its statements anew: for a small one that is
most of the time. A statement here is prepared at its first use and kept by its connection. The text must be a constant
of the code, or made of constants: every value is a parameter.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.postgresql.base import ServerBindingCursor  # type: ignore[attr-defined]  # not in the stubs
from django.db.models import QuerySet

from governance.core.prepared import prepared

Parameters = Sequence[Any] | Mapping[str, Any]


def rows(sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
    """Run a statement and return what it gives back; JSON columns are texts, as PostgreSQL wrote them.

    While statements are logged, or somebody wraps them, Django's own cursor runs it, so that they see it.
    """
    database = connections[DEFAULT_DB_ALIAS]
    if database.queries_logged or database.execute_wrappers:
        with database.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []
    database.close_if_health_check_failed()
    database.ensure_connection()
    database.validate_no_broken_transaction()
    with database.wrap_database_errors:
        statements = prepared(database.connection)
        if statements.has_room():
            return statements.rows(sql, parameters, begin=not database.connection.autocommit)
        bound = ServerBindingCursor(database.connection)
        bound.execute(sql, parameters)
        # Not `description`, which makes an object of each column.
        return bound.fetchall() if bound.pgresult is not None and bound.pgresult.nfields else []


def row(sql: str, parameters: Parameters = ()) -> tuple[Any, ...] | None:
    """Run a statement and return the first row it gives back."""
    found = rows(sql, parameters)
    return found[0] if found else None


def counts(found: Iterable[QuerySet[Any, Any]]) -> list[int]:
    """Return how many rows each of some querysets finds, in their order. One statement for all of them, prepared."""
    asked: list[str] = []
    parameters: list[Any] = []
    for each in found:
        try:
            sql, its_own = each.order_by().values("pk").query.sql_with_params()
        except EmptyResultSet:  # Django knows that there is none.
            asked.append("0")
        else:
            asked.append(f"(SELECT count(*) FROM ({sql}) AS counted)")  # noqa: S608 - made by the ORM
            parameters += its_own
    return list(row(f"SELECT {', '.join(asked)}", parameters) or ())


def as_json(value: object) -> str:
    """Return a value as a JSON text for a `%s::jsonb` parameter; instants and UUIDs become texts."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        # Integers beyond 64 bits, which PostgreSQL keeps and orjson refuses.
        return json.dumps(value, default=str)
