"""Reads what is stored for the inner check: plain SQL in the order of the log, one cursor for each table."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import chain
from typing import Any

from django.db import connection, transaction

_READ_AT_ONCE = 2_000


class StoredLedger:
    """The tables of the ledger up to its last head, as of one moment.

    With `size`, up to the head of that size, as if nothing had come after it.
    """

    def __init__(self, cursors: contextlib.ExitStack, size: int | None = None) -> None:
        self._cursors = cursors
        self.last_index = _number("SELECT coalesce(max(index), -1) FROM ledger_entry")
        self.size = _number("SELECT coalesce(max(size), 0) FROM ledger_checkpoint")
        if size is not None:
            self.last_index, self.size = min(self.last_index, size - 1), size

    def entries(self) -> Iterator[list[tuple[Any, ...]]]:
        """Yield, many at once, index, body, leaf hash, and the columns that repeat the body, spelled as they are there.

        The body is bytes, None where the text was disposed of.
        """
        sql = (
            "SELECT index, convert_to(body, 'UTF8'), leaf_hash, event, actor_kind, actor_ref, door, correlation_id,"
            " to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), transaction::text"
            " FROM ledger_entry WHERE index < %s"
            " UNION ALL SELECT index, NULL::bytea, hash, '', '', '', '', '', '', NULL"
            " FROM ledger_node WHERE level = 0 AND index < %s ORDER BY 1"
        )
        return self._batches("entries", sql, self.size, self.size)

    def subjects(self) -> Iterator[tuple[int, str, str]]:
        """Yield index, kind and reference of what the entries are about, in the order of the bodies."""
        sql = "SELECT entry_id, kind, ref FROM ledger_entrysubject WHERE entry_id < %s ORDER BY entry_id, position"
        return self._rows("subjects", sql)

    def nodes(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield level, index and hash of the nodes in the order in which the growing tree completes them."""
        sql = (
            "SELECT level, index, hash FROM"
            " (SELECT level, index, hash, (index + 1) * power(256, level)::bigint AS stop FROM ledger_node) AS node"
            " WHERE stop <= %s AND level > 0 ORDER BY stop, level"
        )
        return self._rows("nodes", sql)

    def heads(self) -> Iterator[tuple[int, bytes, str]]:
        """Yield size, root and note of the signed heads."""
        sql = "SELECT size, root, note FROM ledger_checkpoint WHERE size <= %s ORDER BY size"
        return self._rows("heads", sql)

    def _rows(self, name: str, sql: str) -> Iterator[Any]:
        return chain.from_iterable(self._batches(name, sql, self.size))

    def _batches(self, name: str, sql: str, *parameters: int) -> Iterator[list[tuple[Any, ...]]]:
        # In binary: bytes come as they are, not as hexadecimal text.
        cursor = self._cursors.enter_context(connection.connection.cursor(name=f"ledger_{name}", binary=True))
        cursor.execute(sql, parameters)
        return iter(lambda: cursor.fetchmany(_READ_AT_ONCE), [])


@contextlib.contextmanager
def opened(size: int | None = None) -> Iterator[StoredLedger]:
    """Open the tables for reading, and close the cursors afterwards.

    What it reads is of one moment. Inside of a transaction that was begun before, it is what that one sees.
    """
    is_first = not connection.in_atomic_block
    with transaction.atomic(), contextlib.ExitStack() as cursors:
        if is_first:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield StoredLedger(cursors, size)


def _number(sql: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return int(cursor.fetchone()[0])
