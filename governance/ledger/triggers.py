"""Puts the triggers of governed tables in place as they are declared, and says which are not.

After `migrate`, not in a migration: the declaration lives beside the models and a migration could not read it, and what
is declared holds for partitions too, which come and go without a migration.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from psycopg import sql

from governance.ledger.governing import Governed, governed_tables

#: Trigger → what it fires after, and the transition tables that it reads. TRUNCATE is refused before it happens.
_EVENTS = {
    "ledger_capture_inserted": ("AFTER INSERT", "REFERENCING NEW TABLE AS new_rows"),
    "ledger_capture_updated": ("AFTER UPDATE", "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows"),
    "ledger_capture_deleted": ("AFTER DELETE", "REFERENCING OLD TABLE AS old_rows"),
    "ledger_refuse_truncate": ("BEFORE TRUNCATE", ""),
}
#: `pg_trigger.tgtype`: BEFORE is 2, INSERT 4, DELETE 8, UPDATE 16, TRUNCATE 32; a row trigger would have 1.
_TYPES = {"AFTER INSERT": 4, "AFTER UPDATE": 16, "AFTER DELETE": 8, "BEFORE TRUNCATE": 34}
_MIGRATIONS = "django_migrations"

#: Every table of ours with the governed table it is, or is a partition of, and its triggers for capture.
_IN_PLACE = """
WITH RECURSIVE governed AS (
    SELECT class.oid, class.relname AS part, class.relname AS whole
    FROM pg_class AS class
    WHERE class.relnamespace = current_schema()::regnamespace
        AND class.relkind IN ('r', 'p') AND class.relname = ANY(%s)
    UNION ALL
    SELECT class.oid, class.relname, governed.whole
    FROM governed JOIN pg_inherits AS part ON part.inhparent = governed.oid
    JOIN pg_class AS class ON class.oid = part.inhrelid
)
SELECT governed.part, governed.whole, trigger.tgname, trigger.tgenabled, trigger.tgtype, function.proname,
    trigger.tgargs, trigger.tgqual IS NULL
FROM governed
LEFT JOIN pg_trigger AS trigger ON trigger.tgrelid = governed.oid AND trigger.tgname LIKE 'ledger\\_%%'
LEFT JOIN pg_proc AS function ON function.oid = trigger.tgfoid
ORDER BY governed.part
"""


@dataclass(frozen=True, slots=True)
class Missing:
    """A trigger that is not as it is declared. `table` may be a partition; `whole` is the governed table."""

    table: str
    whole: Governed
    trigger: str
    is_there: bool


def missing_triggers() -> list[Missing]:
    """Return the triggers that are missing, switched off, weaker than ENABLE ALWAYS, or not what is declared."""
    return list(_missing(_in_place(), {one.table: one for one in governed_tables()}))


def put_in_place() -> list[str]:
    """Make every trigger what is declared; return the tables where one was not. Doing it again changes nothing."""
    with transaction.atomic():
        missing = missing_triggers() if _functions_exist() else []
        for one in missing:
            _replace(one)
        if missing:
            _watch_migrations()
    return sorted({one.table for one in missing})


def _functions_exist() -> bool:
    """Tell whether the migration that makes the functions is applied; a database may be migrated back."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regproc('ledger_record_migration') IS NOT NULL")
        return bool(cursor.fetchone()[0])


def _in_place() -> dict[str, tuple[str, dict[str, tuple[Any, ...]]]]:
    """Return table → (governed table, trigger → what it is)."""
    found: dict[str, tuple[str, dict[str, tuple[Any, ...]]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_IN_PLACE, [[one.table for one in governed_tables()]])
        for part, whole, name, enabled, kind, function, arguments, is_whole in cursor.fetchall():
            triggers = found.setdefault(part, (whole, {}))[1]
            if name is not None:
                triggers[name] = (enabled, kind, function, bytes(arguments), is_whole)
    return found


def _missing(
    in_place: dict[str, tuple[str, dict[str, tuple[Any, ...]]]], declared: dict[str, Governed]
) -> Iterator[Missing]:
    for table, (whole, triggers) in in_place.items():
        for name, (event, _) in _EVENTS.items():
            wanted = ("A", _TYPES[event], name, _spelled(_arguments(declared[whole], name)), True)
            if triggers.get(name) != wanted:
                yield Missing(table, declared[whole], name, name in triggers)


def _arguments(governed: Governed, trigger: str) -> tuple[str, ...]:
    if trigger == "ledger_refuse_truncate":
        return ()
    columns = (",".join(names) for names in (governed.keys, governed.public, governed.volatile))
    return (governed.table, *columns, governed.person, governed.reference)


def _spelled(arguments: tuple[str, ...]) -> bytes:
    """Return the arguments as `pg_trigger.tgargs` has them."""
    return b"".join(one.encode() + b"\0" for one in arguments)


def _replace(missing: Missing) -> None:
    event, reads = _EVENTS[missing.trigger]
    names = {"table": sql.Identifier(missing.table), "name": sql.Identifier(missing.trigger)}
    arguments = sql.SQL(", ").join(sql.Literal(one) for one in _arguments(missing.whole, missing.trigger))
    with connection.cursor() as cursor:
        if missing.is_there:
            cursor.execute(sql.SQL("DROP TRIGGER {name} ON {table}").format(**names))
        cursor.execute(
            sql.SQL(
                f"CREATE TRIGGER {{name}} {event} ON {{table}} {reads}"
                " FOR EACH STATEMENT EXECUTE FUNCTION {name}({arguments})"
            ).format(arguments=arguments, **names)
        )
        cursor.execute(sql.SQL("ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}").format(**names))


def _watch_migrations() -> None:
    """Have every migration that is applied from now on say so in the ledger, in its own transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname = 'ledger_record_migration'"
            " AND tgenabled = 'A')",
            [_MIGRATIONS],
        )
        if not cursor.fetchone()[0]:
            cursor.execute(f"DROP TRIGGER IF EXISTS ledger_record_migration ON {_MIGRATIONS}")
            cursor.execute(
                f"CREATE TRIGGER ledger_record_migration AFTER INSERT OR DELETE ON {_MIGRATIONS}"
                " FOR EACH ROW EXECUTE FUNCTION ledger_record_migration()"
            )
            cursor.execute(f"ALTER TABLE {_MIGRATIONS} ENABLE ALWAYS TRIGGER ledger_record_migration")
