"""SQL about governed rows, spelled for one table: how a row becomes what its entries say of it.

The triggers say the same in PL/pgSQL (migrations 0005 and 0008); tests hold the two together.
"""

from __future__ import annotations

from psycopg import sql

from governance.ledger.governing import Governed

#: Times and intervals as the triggers spell them, until the end of the transaction.
AS_TRIGGERS_SPELL = (
    "SELECT set_config('timezone', 'UTC', true), set_config('intervalstyle', 'iso_8601', true),"
    " set_config('bytea_output', 'hex', true)"
)


def whole(rows: str) -> sql.Composable:
    """Return the row as JSON; `rows` is the alias of its table."""
    return sql.SQL("to_jsonb({})").format(sql.Identifier(rows))


def key(row: sql.Composable, governed: Governed) -> sql.Composable:
    """Return the key of a row in JSON as entries say it."""
    columns = [sql.SQL("{} ->> {}").format(row, sql.Literal(name)) for name in governed.keys]
    return sql.SQL("concat_ws(',', {})").format(sql.SQL(", ").join(columns))


def image(row: sql.Composable, governed: Governed) -> sql.Composable:
    """Return what is captured of a row in JSON, with its personal columns as they are."""
    return sql.SQL("{} - {}::text[]").format(row, sql.Literal([*governed.keys, *governed.volatile]))


def committed_image(row: sql.Composable, governed: Governed) -> sql.Composable:
    """Return what is captured of a row in JSON, as entries say it."""
    owner = sql.SQL("({} ->> {})::bigint").format(row, sql.Literal(governed.person))
    return sql.SQL("ledger_image({}, {}::text[], {}, {})").format(
        image(row, governed),
        sql.Literal(list(governed.public)),
        sql.Literal(governed.table),
        owner if governed.person else sql.SQL("NULL"),
    )
