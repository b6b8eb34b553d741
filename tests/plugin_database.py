"""Starts the embedded PostgreSQL once for a test run that has no DATABASE_URL, and removes it afterwards.

Also lets the tests that commit for real empty the append-only tables afterwards, which refuse it otherwise.
Wired by `pytest_plugins` in tests/conftest.py. In a parallel run the controller starts it, the others use it.
"""

from __future__ import annotations

import contextlib
import os
import shutil

import pytest
from django.conf import settings
from django.db import connections, transaction
from django.db.backends.postgresql.operations import DatabaseOperations

from governance.config import postgres

#: A test database need not survive a power cut.
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}

#: The triggers that refuse TRUNCATE (pg_trigger.tgtype, bit 5).
_REFUSING = """
    SELECT format('ALTER TABLE %s DISABLE TRIGGER %I', tgrelid::regclass, tgname),
           format('ALTER TABLE %s ENABLE %s TRIGGER %I', tgrelid::regclass,
                  CASE tgenabled WHEN 'A' THEN 'ALWAYS' ELSE '' END, tgname)
    FROM pg_trigger WHERE NOT tgisinternal AND tgtype & 32 = 32 AND tgenabled <> 'D'
"""
_real_flush = DatabaseOperations.execute_sql_flush

_running = contextlib.ExitStack()


def _is_controller(config: pytest.Config) -> bool:
    return not hasattr(config, "workerinput")


def _flush(operations: DatabaseOperations, statements: list[str]) -> None:
    """Empty the tables, with the triggers that refuse it out of the way for as long as that takes."""
    database = connections[operations.connection.alias]
    with transaction.atomic(using=database.alias), database.cursor() as cursor:
        cursor.execute(_REFUSING)
        refusing = cursor.fetchall()
        for disable, _ in refusing:
            cursor.execute(disable)
        _real_flush(operations, [_cascading(statement) for statement in statements])
        for _, enable in refusing:
            cursor.execute(enable)


def _cascading(statement: str) -> str:
    """Reach the table of django-auditlog's own entries too: ours replaces its model, so Django forgets the table."""
    return statement if "CASCADE" in statement else statement.rstrip(";") + " CASCADE;"


def pytest_configure() -> None:
    """Put that way of emptying tables in place."""
    DatabaseOperations.execute_sql_flush = _flush


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Have the database before the first test, and before the first worker of a parallel run."""
    if _is_controller(session.config) and settings.ENVIRONMENT.uses_embedded_database:
        _running.enter_context(postgres.running(settings.ENVIRONMENT.data_dir, settings=_FAST))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the database and remove the data folder that was made for this run."""
    if not _is_controller(config):
        return
    _running.close()
    if "GATEHOUSE_TEST_DATA_DIR" in os.environ:
        shutil.rmtree(os.environ["GATEHOUSE_TEST_DATA_DIR"], ignore_errors=True)
