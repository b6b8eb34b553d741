"""Rows of a model written as a set, by one prepared statement however many there are.

The ORM makes one object and one placeholder for each value, which for a handful of rows takes longer than the database
does. Here the values travel as one JSON document. Only for actions: nothing is validated that the database does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from django.db import connection
from django.db.models import Model

from governance.core.statements import as_json, rows

Values = Mapping[str, object]


def insert_rows(model: type[Model], values: Sequence[Values], *, ignore_conflicts: bool = False) -> list[int]:
    """Insert rows, each with the same columns, and return their primary keys, in the order of the rows.

    With `ignore_conflicts` rows that break a unique constraint are left out, and their keys as well.
    """
    if not values:
        return []
    return [key for (key,) in rows(_insertion(model, tuple(values[0]), ignore_conflicts), [as_json(list(values))])]


def update_rows(model: type[Model], values: Sequence[Values]) -> None:
    """Set the other columns of the rows with these values of `id`; each names the same columns."""
    if values:
        rows(_change(model, tuple(values[0])), [as_json(list(values))])


@cache
def _insertion(model: type[Model], names: tuple[str, ...], ignore_conflicts: bool) -> str:
    columns = ", ".join(names)
    conflicts = "ON CONFLICT DO NOTHING" if ignore_conflicts else ""
    return (
        f"INSERT INTO {model._meta.db_table} ({columns})"  # noqa: S608 - names of the code; values are parameters
        f" SELECT {columns} FROM {_said(model, names)} ORDER BY place {conflicts} RETURNING id"
    )


@cache
def _change(model: type[Model], names: tuple[str, ...]) -> str:
    changes = ", ".join(f"{name} = said.{name}" for name in names if name != "id")
    return (
        f"UPDATE {model._meta.db_table} AS changed SET {changes}"  # noqa: S608 - names of the code
        f" FROM {_said(model, names)} WHERE changed.id = said.id"
    )


def _said(model: type[Model], names: tuple[str, ...]) -> str:
    """Return the SQL of the rows that were handed over, with their place."""
    # The type of a reference to it: a serial key as an integer. Missing in the stubs.
    types = {field.column: field.rel_db_type(connection) for field in model._meta.concrete_fields}  # type: ignore[attr-defined]
    record = ", ".join(f"{name} {types[name]}" for name in names)
    columns = ", ".join((*names, "place"))
    return f"ROWS FROM (jsonb_to_recordset(%s::jsonb) AS ({record})) WITH ORDINALITY AS said ({columns})"
