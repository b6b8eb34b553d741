"""What the governed tables and those of the ledger look like, so that a change of it that no migration made is seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from django.db import connection, transaction

from governance.core.actor import Actor
from governance.ledger import events
from governance.ledger.governing import governed_tables
from governance.ledger.models import Entry, Pending
from governance.ledger.recording import Subject, record

#: Characters of a part's digest in the entry: enough to tell that it is another.
_SHORT = 16

_DEFINITIONS = """
WITH ours AS (
    SELECT oid, relname FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
        AND (relname = ANY(%s) OR relname LIKE 'ledger\\_%%' OR relname = 'django_migrations')
)
SELECT relname, 'column ' || attname, format_type(atttypid, atttypmod) || attnotnull::text
    || coalesce(pg_get_expr(pg_attrdef.adbin, pg_attrdef.adrelid), '')
FROM ours JOIN pg_attribute ON attrelid = ours.oid AND attnum > 0 AND NOT attisdropped
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
UNION ALL
SELECT relname, 'trigger ' || tgname, tgenabled::text || pg_get_triggerdef(pg_trigger.oid)
FROM ours JOIN pg_trigger ON tgrelid = ours.oid WHERE NOT tgisinternal
UNION ALL
SELECT relname, 'constraint ' || conname, pg_get_constraintdef(pg_constraint.oid)
FROM ours JOIN pg_constraint ON conrelid = ours.oid WHERE contype <> 't'
UNION ALL
SELECT 'function ' || proname, pg_get_function_identity_arguments(oid), pg_get_functiondef(oid)
FROM pg_proc
WHERE pronamespace = current_schema()::regnamespace AND prokind = 'f' AND (
    proname LIKE 'ledger\\_%%' OR proname LIKE 'gatehouse\\_%%'
    OR oid IN (SELECT tgfoid FROM pg_trigger JOIN ours ON tgrelid = ours.oid WHERE NOT tgisinternal)
)
ORDER BY 1, 2, 3
"""


def parts() -> dict[str, str]:
    """Return part of the schema (a table with its columns, triggers and constraints, or a function) → its digest."""
    definitions: dict[str, list[tuple[str, str]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_DEFINITIONS, [[one.table for one in governed_tables()]])
        for part, name, definition in cursor.fetchall():
            definitions.setdefault(part, []).append((name, definition))
    return {part: _digest(said)[:_SHORT] for part, said in definitions.items()}


def fingerprint(of: Mapping[str, str]) -> str:
    """Return one SHA-256 over all parts."""
    return _digest(sorted(of.items()))


def noted_parts() -> dict[str, str] | None:
    """Return the parts as the ledger noted them last, None when it never did."""
    waiting = Pending.objects.filter(body__event=events.SCHEMA_NOTED).order_by("-id").first()
    if waiting is not None:
        return dict(waiting.body["data"]["parts"])
    sealed = Entry.objects.filter(event=events.SCHEMA_NOTED).order_by("-index").first()
    return None if sealed is None else dict(json.loads(sealed.body)["data"]["parts"])


@transaction.atomic
def note(*, actor: Actor) -> bool:
    """Record what the schema is now, when that is not what was noted last; return whether it did."""
    now_there = parts()
    if now_there == noted_parts():
        return False
    sha256 = fingerprint(now_there)
    record(
        events.SCHEMA_NOTED,
        actor=actor,
        subjects=[Subject("schema", sha256)],
        data={"sha256": sha256, "parts": now_there},
    )
    return True


def differing(noted: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    """Return the parts that came, went or changed, by name."""
    return sorted(part for part in {*noted, *there} if noted.get(part) != there.get(part))


def _digest(said: object) -> str:
    return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()
