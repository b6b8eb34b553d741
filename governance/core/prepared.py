"""Prepared statements straight through psycopg's wrapper of libpq (`psycopg.pq`, its documented lower level).

A cursor of psycopg takes a tenth of a millisecond of Python for each statement, several times what PostgreSQL needs for
one that is prepared. Adaptation of values, results and errors are psycopg's own here too; what is left out is what its
cursors do besides: several results, streaming, pipelines, row factories. The statements live in the session: between us
and PostgreSQL may stand a PgBouncer that shares sessions only from 1.21 on, with `max_prepared_statements`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from psycopg import Connection, OperationalError, pq
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result

#: So many statements of one connection are kept prepared; any more run through a cursor.
KEPT = 500

_PLACE = re.compile(r"%%|%s|%\((\w+)\)s")
_DONE = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)


class Prepared:
    """The prepared statements of one connection."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._pgconn = connection.pgconn
        self._transformer = Transformer(connection)
        #: By the text and the types of the parameters: psycopg sends 5 as a smallint and 500,000 as an integer.
        self._names: dict[tuple[str, tuple[int, ...]], bytes] = {}

    def rows(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any], *, begin: bool) -> list[tuple[Any, ...]]:
        """Run a statement, in a new transaction when `begin` and none is open. Raises psycopg's errors."""
        text, names = _numbered(sql)
        said = [parameters[name] for name in names] if isinstance(parameters, Mapping) else list(parameters)
        transformer = self._transformer
        values = transformer.dump_sequence(said, [PyFormat.AUTO] * len(said))
        types, formats = tuple(transformer.types or ()), transformer.formats
        name = self._names.get((sql, types)) or self._named(sql, text, types)
        if begin and self._pgconn.transaction_status == pq.TransactionStatus.IDLE:
            self._checked(self._pgconn.exec_(b"BEGIN"))
        result = self._checked(self._pgconn.exec_prepared(name, values, formats, pq.Format.TEXT))  # type: ignore[arg-type]  # None is NULL
        if not result.nfields:
            return []
        transformer.set_pgresult(result, format=pq.Format.TEXT)
        found: list[tuple[Any, ...]] = transformer.load_rows(0, result.ntuples, tuple)
        return found

    def has_room(self) -> bool:
        """Tell whether one more statement may be kept."""
        return len(self._names) < KEPT

    def _named(self, sql: str, text: bytes, types: tuple[int, ...]) -> bytes:
        name = b"gatehouse_%d" % len(self._names)
        self._checked(self._pgconn.prepare(name, text, types))
        self._names[sql, types] = name
        return name

    def _checked(self, result: Any) -> Any:
        if result.status in _DONE:
            return result
        error = error_from_result(result, encoding="utf-8")
        if self._pgconn.status == pq.ConnStatus.BAD and not isinstance(error, OperationalError):
            # libpq says that the server is gone in words only, without a code.
            raise OperationalError(str(error))
        raise error


def prepared(connection: Connection[Any]) -> Prepared:
    """Return the prepared statements of a connection, which keeps them: they end with it."""
    found: Prepared | None = getattr(connection, "gatehouse_prepared", None)
    if found is None:
        found = connection.gatehouse_prepared = Prepared(connection)  # type: ignore[attr-defined]
    return found


@lru_cache(maxsize=2 * KEPT)
def _numbered(sql: str) -> tuple[bytes, tuple[str, ...]]:
    """Return the text as PostgreSQL wants it, `$1` for the first parameter, and the names of the parameters."""
    names: list[str] = []
    count = 0

    def place(found: re.Match[str]) -> str:
        nonlocal count
        if found[0] == "%%":
            return "%"
        if found[1] is None:
            count += 1
            return f"${count}"
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}"

    return _PLACE.sub(place, sql).encode(), tuple(names)
