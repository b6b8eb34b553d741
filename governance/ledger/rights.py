"""Who may do what in the database: three roles, so that no door can touch what is sealed.

The *owner* makes and changes tables and does nothing else. The *runtime* role is what web, workers and commands sign in
as: it records entries and reads sealed ones. The *sequencer* role alone puts entries in order and writes heads.
Triggers refuse changes whoever asks; these rights keep the runtime role from switching triggers off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection
from django.db.backends.utils import CursorWrapper
from psycopg import sql

OWNER = "gatehouse_owner"
RUNTIME = "gatehouse_runtime"
SEQUENCER = "gatehouse_sequencer"
ROLES = (OWNER, RUNTIME, SEQUENCER)

#: Written by the sequencer, read by everybody, changed by nobody.
SEALED = ("ledger_entry", "ledger_entrysubject", "ledger_node", "ledger_checkpoint", "ledger_logkey", "ledger_halt")
OUTBOX = "ledger_pending"
#: The other half of the outbox. Written by triggers only, which have the rights of their owner.
CAPTURED = "ledger_captured"
#: Made by the same triggers; erasure deletes a row.
SUBJECT_KEYS = "ledger_subjectkey"
#: Tables of PostgreSQL clients and of migrations: the runtime role reads them.
_READ_ONLY = (*SEALED, "django_migrations")
#: Functions with their owner's rights that whoever recovers the ledger calls as well, as the sequencer. They do again
#: what sealed entries say was done, and nothing else.
_OF_A_RECOVERY = ("gatehouse_take_away_again()", "gatehouse_what_is_back()")
#: What nobody but the owner has on a sealed table.
_CHANGES = ("UPDATE", "DELETE", "TRUNCATE", "TRIGGER", "REFERENCES")

_TABLES = """
SELECT class.relname, EXISTS (
    SELECT FROM pg_trigger AS guard
    WHERE guard.tgrelid = class.oid AND guard.tgname LIKE '%%\\_insert\\_only\\_rows'
        AND guard.tgtype & 24 = 24 AND guard.tgqual IS NULL  -- UPDATE (16) and DELETE (8), whatever they say
)
FROM pg_class AS class
WHERE class.relnamespace = current_schema()::regnamespace AND class.relkind IN ('r', 'p')
    AND pg_has_role(class.relowner, 'USAGE')
ORDER BY class.relname
"""


@dataclass(frozen=True, slots=True)
class Excess:
    """A right that the signed-in role has and must not have, in one sentence."""

    sentence: str


def roles_exist() -> bool:
    """Tell whether the database server knows the runtime and the sequencer role."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_roles WHERE rolname = ANY(%s)", [[RUNTIME, SEQUENCER]])
        return bool(cursor.fetchone()[0] == 2)


def grant_rights() -> int:
    """Give the runtime and the sequencer role what they need on every table of ours, and take what they do not.

    Returns the number of tables. Call as the owner after each migration; doing it again changes nothing.
    """
    with connection.cursor() as cursor:
        cursor.execute(_TABLES)
        tables = cursor.fetchall()
        for name, is_insert_only in tables:
            for role, rights in _rights_on(name, is_insert_only=is_insert_only).items():
                cursor.execute(_statement("REVOKE ALL ON {table} FROM {role}", name, role))
                if rights:
                    cursor.execute(_statement(f"GRANT {', '.join(rights)} ON {{table}} TO {{role}}", name, role))
        for role in (RUNTIME, SEQUENCER):
            cursor.execute(
                sql.SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA {} TO {}").format(_schema(), sql.Identifier(role))
            )
            cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(_schema(), sql.Identifier(role)))
        for function in _only_for_the_doors(cursor):
            cursor.execute(sql.SQL("REVOKE ALL ON FUNCTION {} FROM PUBLIC").format(sql.SQL(function)))
            cursor.execute(
                sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(
                    sql.SQL(function),
                    sql.SQL(", ").join(
                        sql.Identifier(role)
                        for role in ((RUNTIME, SEQUENCER) if function in _OF_A_RECOVERY else (RUNTIME,))
                    ),
                )
            )
    return len(tables)


def _only_for_the_doors(cursor: CursorWrapper) -> list[str]:
    """Return the functions that act with their owner's rights when they are called, with their arguments."""
    cursor.execute(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
        " AND prosecdef AND prorettype <> 'trigger'::regtype"
    )
    return [name for (name,) in cursor.fetchall()]


def excess_rights() -> list[Excess]:
    """Return what the role that is signed in here could do to the sealed ledger, and must not be able to."""
    return [Excess(sentence) for sentence in _excess()]


def _rights_on(table: str, *, is_insert_only: bool) -> dict[str, tuple[str, ...]]:
    """Return the rights of the runtime and the sequencer role on the table."""
    sequencer: tuple[str, ...] = ()
    runtime: tuple[str, ...] = ("SELECT", "INSERT", "UPDATE", "DELETE")
    if table in SEALED:
        sequencer = ("SELECT", "INSERT")
    elif table == OUTBOX:
        runtime, sequencer = ("SELECT", "INSERT"), ("SELECT", "INSERT", "DELETE")
    elif table == CAPTURED:
        runtime, sequencer = ("SELECT",), ("SELECT", "DELETE")
    elif table == SUBJECT_KEYS:
        runtime = ("SELECT", "DELETE")
    if table in _READ_ONLY:
        runtime = ("SELECT",)
    elif is_insert_only:
        runtime = ("SELECT", "INSERT")
    return {RUNTIME: runtime, SEQUENCER: sequencer}


def _excess() -> Iterator[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolname, rolsuper, rolreplication FROM pg_roles WHERE rolname = session_user",
        )
        name, is_superuser, replicates = cursor.fetchone()
        if is_superuser:
            yield f"{name} is a superuser: it can change sealed entries and leave no trace inside the database."
            return
        if replicates:
            yield f"{name} may replicate; it needs no such right."
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relname = ANY(%s)"
            " AND pg_has_role(session_user, relowner, 'USAGE')",
            [[*SEALED, OUTBOX]],
        )
        for (table,) in cursor.fetchall():
            yield f"{name} owns {table}, so it can drop the triggers that keep it."
        cursor.execute(
            "SELECT name, wanted FROM unnest(%s::text[]) AS name, unnest(%s::text[]) AS wanted"
            " WHERE has_table_privilege(session_user, name, wanted) ORDER BY name, wanted",
            [[*SEALED, OUTBOX], list(_CHANGES)],
        )
        for table, right in cursor.fetchall():
            if (table, right) != (OUTBOX, "DELETE") or not _is_sequencer():
                yield f"{name} has {right} on {table}."


def _is_sequencer() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s)", [SEQUENCER])
        if not cursor.fetchone()[0]:
            return False
        cursor.execute("SELECT pg_has_role(session_user, %s, 'USAGE')", [SEQUENCER])
        return bool(cursor.fetchone()[0])


def _statement(text: str, table: str, role: str) -> sql.Composed:
    return sql.SQL(text).format(table=sql.Identifier(table), role=sql.Identifier(role))


def _schema() -> sql.Identifier:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        return sql.Identifier(cursor.fetchone()[0])
