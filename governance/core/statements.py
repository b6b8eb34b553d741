"""Hand-written SQL for hot paths: bound and prepared by the server, which then neither parses nor plans it again.

The ORM binds parameters in the client, so that PostgreSQL plans each of its statements anew: for a small one that is
most of the time. A statement here is prepared after a few uses (`prepare_threshold` in the settings) and kept by its
connection. The text must be a constant of the code, or made of constants: every value is a parameter.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
from django.db import connection
from django.db.backends.postgresql.base import ServerBindingCursor  # type: ignore[attr-defined]  # not in the stubs
from django.db.backends.utils import CursorWrapper

Parameters = Sequence[Any] | Mapping[str, Any]


def rows(sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
    """Run a statement and return what it gives back; JSON columns are texts, as PostgreSQL wrote them."""
    with _cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else []


def row(sql: str, parameters: Parameters = ()) -> tuple[Any, ...] | None:
    """Run a statement and return the first row it gives back."""
    found = rows(sql, parameters)
    return found[0] if found else None


def as_json(value: object) -> str:
    """Return a value as a JSON text for a `%s::jsonb` parameter; instants and UUIDs become texts."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        # Integers beyond 64 bits, which PostgreSQL keeps and orjson refuses.
        return json.dumps(value, default=str)


@contextmanager
def _cursor() -> Iterator[CursorWrapper]:
    """Have a cursor that binds in the server, with everything Django does around its own.

    While statements are logged the client binds, so that the log shows them with their values.
    """
    if connection.queries_logged:
        with connection.cursor() as cursor:
            yield cursor
        return
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    with connection.wrap_database_errors:
        raw = ServerBindingCursor(connection.connection)
    with connection.make_cursor(raw) as cursor:
        yield cursor
