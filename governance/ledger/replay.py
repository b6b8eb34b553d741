"""The rows as the ledger says they are, against the rows that are there: the only check that sees a trigger taken off.

One statement for each table, so that what is compared is from one moment: the newest word of the ledger on each column
of each row, sealed or still waiting, and the live table. Commitments are made again from the live values with the
secret they name; when erasure took it, nothing can be said of that column and nothing is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from django.db import connection, transaction
from psycopg import sql

from governance.ledger import rows_sql
from governance.ledger.governing import Governed, governed_tables
from governance.ledger.taking_in import waiting_tables

#: Differences of one table that are named; the others are counted.
NAMED = 100

_COMPARE = sql.SQL(
    """
    WITH heard AS (
        SELECT entry.index AS at, entry.body::jsonb -> 'data' -> 'rows' AS rows
        FROM ledger_entrysubject AS subject JOIN ledger_entry AS entry ON entry.index = subject.entry_id
        WHERE subject.kind = 'table' AND subject.ref = {name} AND entry.event LIKE 'rows.%%'
        UNION ALL
        SELECT {waiting} + id, rows FROM ledger_captured WHERE "table" = {name}
    ), said AS MATERIALIZED (
        SELECT heard.at, element.place, element.value ->> 'key' AS key, element.value -> 'new' AS new
        FROM heard, jsonb_array_elements(heard.rows) WITH ORDINALITY AS element (value, place)
    ), newest AS (
        SELECT DISTINCT ON (key) key, new IS NOT NULL AS is_there, at FROM said ORDER BY key, at DESC, place DESC
    ), words AS (
        SELECT DISTINCT ON (said.key, word.key) said.key AS key, word.key AS name, word.value
        FROM said, jsonb_each(said.new) AS word ORDER BY said.key, word.key, said.at DESC, said.place DESC
    ), expected AS MATERIALIZED (
        SELECT newest.key, newest.at,
            coalesce(jsonb_object_agg(words.name, words.value) FILTER (WHERE words.name IS NOT NULL), '{{}}') AS image
        FROM newest LEFT JOIN words USING (key) WHERE newest.is_there GROUP BY newest.key, newest.at
    ), live AS MATERIALIZED (
        SELECT {key} AS key, {image} AS image FROM {table} AS one
    ), compared AS (
        SELECT coalesce(expected.key, live.key) AS key, expected.at,
            expected.key IS NULL AS is_extra, live.key IS NULL AS is_missing,
            CASE WHEN expected.key IS NOT NULL AND live.key IS NOT NULL THEN ARRAY(
                SELECT word.key
                FROM jsonb_each(expected.image) AS word
                LEFT JOIN ledger_subjectkey AS secret ON secret.id = (word.value ->> 'key')::bigint
                WHERE live.image ? word.key AND CASE
                    WHEN jsonb_typeof(word.value) <> 'object'
                        THEN word.value #>> '{{}}' IS DISTINCT FROM live.image -> word.key #>> '{{}}'
                    WHEN word.value ? 'characters' THEN word.value ->> 'sha256'
                        <> encode(sha256(convert_to((live.image -> word.key)::text, 'UTF8')), 'hex')
                    ELSE secret.id IS NOT NULL AND word.value IS DISTINCT FROM ledger_commitment(
                        secret.secret, secret.id, {name} || '.' || word.key, live.image -> word.key) END
                ORDER BY word.key
            ) ELSE '{{}}' END AS columns
        FROM expected FULL JOIN live ON live.key = expected.key
    ), differing AS (
        SELECT * FROM compared WHERE is_extra OR is_missing OR columns <> '{{}}'
    )
    SELECT (SELECT count(*) FROM compared), (SELECT count(*) FROM differing),
        (SELECT jsonb_agg(jsonb_build_array(key, is_extra, is_missing, columns, at) ORDER BY length(key), key)
         FROM (SELECT * FROM differing ORDER BY length(key), key LIMIT {named}) AS first_ones)
    """
)
#: Beyond every index of an entry: what waits was captured after what is sealed.
_WAITING = 2**62


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is not as the ledger says. `entry_index` is the last entry about it, None when none is sealed."""

    table: str
    key: str
    #: `missing`: the ledger has it and the table does not. `extra`: the other way round. `changed`: by `columns`.
    what: str
    columns: tuple[str, ...]
    entry_index: int | None


@dataclass(frozen=True, slots=True)
class Compared:
    """What became of comparing a table. `differences` are the first of `different`."""

    table: str
    rows: int
    different: int
    differences: tuple[Difference, ...]


def compare_everything() -> list[Compared]:
    """Compare every governed table whose rows are all taken in with what the ledger says of it."""
    waiting = waiting_tables()
    return [compare(one) for one in governed_tables() if one.table not in waiting]


def compare(governed: Governed) -> Compared:
    """Compare one table."""
    row = rows_sql.whole("one")
    query = _COMPARE.format(
        name=sql.Literal(governed.table),
        table=sql.Identifier(governed.table),
        key=rows_sql.key(row, governed),
        image=rows_sql.image(row, governed),
        waiting=sql.Literal(_WAITING),
        named=sql.Literal(NAMED),
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(rows_sql.AS_TRIGGERS_SPELL)
        cursor.execute(query, [])
        rows, different, named = cursor.fetchone()
    said = json.loads(named) if named else ()
    return Compared(governed.table, rows, different, tuple(_difference(governed.table, one) for one in said))


def _difference(table: str, said: list[object]) -> Difference:
    key, is_extra, is_missing, columns, at = said
    assert isinstance(columns, list)
    what = "extra" if is_extra else "missing" if is_missing else "changed"
    index = at if isinstance(at, int) and at < _WAITING else None
    return Difference(table, str(key), what, tuple(columns), index)
