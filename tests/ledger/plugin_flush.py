"""Lets a test that commits for real empty the database afterwards, although its tables refuse TRUNCATE.

Django empties all tables with one TRUNCATE after such a test. Only here, and only around that statement, the triggers
that refuse it are switched off; the product has no such way. Wired by `pytest_plugins` in tests/conftest.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections, transaction
from django.db.backends.postgresql.operations import DatabaseOperations

#: The triggers that refuse TRUNCATE (pg_trigger.tgtype, bit 5).
_REFUSING = """
    SELECT format('ALTER TABLE %s DISABLE TRIGGER %I', tgrelid::regclass, tgname),
           format('ALTER TABLE %s ENABLE %s TRIGGER %I', tgrelid::regclass,
                  CASE tgenabled WHEN 'A' THEN 'ALWAYS' ELSE '' END, tgname)
    FROM pg_trigger WHERE NOT tgisinternal AND tgtype & 32 = 32 AND tgenabled <> 'D'
"""
_real_flush = DatabaseOperations.execute_sql_flush


@contextmanager
def truncating(alias: str = "default") -> Iterator[None]:
    """Have nothing refuse TRUNCATE while the block runs, in a transaction."""
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute(_REFUSING)
        refusing = cursor.fetchall()
        # One round trip: there are as many as tables.
        cursor.execute("; ".join(disable for disable, _ in refusing) or "SELECT")
        yield
        cursor.execute("; ".join(enable for _, enable in refusing) or "SELECT")


def _flush(operations: DatabaseOperations, statements: list[str]) -> None:
    with truncating(operations.connection.alias):
        _real_flush(operations, statements)


def pytest_configure() -> None:
    """Put that way of emptying tables in place."""
    DatabaseOperations.execute_sql_flush = _flush
