"""Empties the database after a test that commits for real, although its tables refuse DELETE and TRUNCATE.

Django would empty every table with one TRUNCATE, which makes all of them and their indexes anew, and write down all
content types and permissions again. Here the few tables that hold something lose their rows, and what `migrate` writes
down stays. Only here the triggers that refuse it are switched off; the product has no such way. Wired by
`pytest_plugins` in tests/conftest.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connections, transaction
from django.test import TransactionTestCase

#: What `migrate` writes down about the models.
_KEPT = {model._meta.db_table for model in (ContentType, Permission)}

#: One round trip, however many tables there are.
_EMPTY = """
    DO $$
    DECLARE
        one regclass;
        holds_something boolean;
        enable text;
    BEGIN
        -- No foreign key is looked at: everything goes.
        SET LOCAL session_replication_role = replica;
        FOREACH one IN ARRAY %s::regclass[] LOOP
            EXECUTE format('SELECT EXISTS (SELECT FROM %%s)', one) INTO holds_something;
            CONTINUE WHEN NOT holds_something;
            SELECT string_agg(format('ENABLE %%s TRIGGER %%I', CASE tgenabled WHEN 'A' THEN 'ALWAYS'
                WHEN 'R' THEN 'REPLICA' ELSE '' END, tgname), ', ') INTO enable
            FROM pg_trigger WHERE tgrelid = one AND NOT tgisinternal AND tgenabled <> 'D';
            IF enable IS NULL THEN
                EXECUTE format('DELETE FROM %%s', one);
            ELSE
                EXECUTE format('ALTER TABLE %%s DISABLE TRIGGER USER', one);
                EXECUTE format('DELETE FROM %%s', one);
                EXECUTE format('ALTER TABLE %%s %%s', one, enable);
            END IF;
        END LOOP;
    END $$
"""

#: The triggers that refuse TRUNCATE (pg_trigger.tgtype, bit 5).
_REFUSING = """
    SELECT format('ALTER TABLE %s DISABLE TRIGGER %I', tgrelid::regclass, tgname),
           format('ALTER TABLE %s ENABLE %s TRIGGER %I', tgrelid::regclass,
                  CASE tgenabled WHEN 'A' THEN 'ALWAYS' ELSE '' END, tgname)
    FROM pg_trigger WHERE NOT tgisinternal AND tgtype & 32 = 32 AND tgenabled <> 'D'
"""


def empty(alias: str = "default") -> None:
    """Take every row out of every table of a model; content types and permissions stay."""
    connection = connections[alias]
    names = set(connection.introspection.django_table_names(only_existing=True, include_views=False)) - _KEPT
    with transaction.atomic(using=alias), connection.cursor() as cursor:
        cursor.execute(_EMPTY, [sorted(names)])


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


def _teardown(case: TransactionTestCase) -> None:
    for alias in case._databases_names(include_mirrors=False):
        empty(alias)


def pytest_configure() -> None:
    """Put that way of emptying tables in place."""
    TransactionTestCase._fixture_teardown = _teardown
