"""What waits to be sealed: what actions recorded, and the rows that triggers captured, in one order.

Both halves take their ids from one sequence: an entry and the rows that its transaction changed stay beside each other,
and the changes of one row stay in the order in which they were made.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from django.db import connection

from governance.core import clock
from governance.ledger import events
from governance.ledger.canonical import MAX_INTEGER, canonical
from governance.ledger.key_changes import myself
from governance.ledger.recording import BODY_VERSION, Record, Subject, body_text

#: Everything, as `_CLAIM` returns it.
_WAITING = """
SELECT id, body::text, xid, NULL AS "table", NULL AS operation, NULL AS database_role, NULL AS application, NULL AS at
FROM ledger_pending
UNION ALL
SELECT id, rows::text, xid, "table", operation, database_role, application,
    to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
FROM ledger_captured
ORDER BY id
"""
#: Deleted and returned in one statement: following the queue by "id greater than the last one seen" loses the rows of
#: transactions that commit late.
_CLAIM = """
WITH lowest AS (
    SELECT id FROM (
        (SELECT id FROM ledger_pending ORDER BY id LIMIT %(limit)s)
        UNION ALL (SELECT id FROM ledger_captured ORDER BY id LIMIT %(limit)s)
    ) AS waiting ORDER BY id LIMIT %(limit)s
), recorded AS (
    DELETE FROM ledger_pending WHERE id IN (SELECT id FROM lowest) RETURNING id, body::text, xid
), captured AS (
    DELETE FROM ledger_captured WHERE id IN (SELECT id FROM lowest) RETURNING *
)
SELECT id, body, xid, NULL AS "table", NULL AS operation, NULL AS database_role, NULL AS application, NULL AS at
FROM recorded
UNION ALL
SELECT id, rows::text, xid, "table", operation, database_role, application,
    to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
FROM captured
ORDER BY id
"""
_LONG_NUMBER = re.compile(r"\d{16}")
#: What is captured when texts of entries are disposed of, by the function that does it.
_PRUNED = "pruned"
#: What nobody may record: the sequencer says it, or the database.
_SAID_BY_NOBODY = frozenset({*events.BY_THE_SEQUENCER, events.LEDGER_PRUNED})


def claim(limit: int) -> list[str]:
    """Take the lowest rows out of the outbox; return the canonical bodies of their entries, in their order."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, {"limit": limit})
        return [canonical(_entry(*row)) for row in cursor.fetchall()]


def drop(is_known: Callable[[str], bool]) -> int:
    """Take out of the outbox what is sealed already, as a restored backup has it; return how many rows."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING)
        known = [row[0] for row in cursor.fetchall() if is_known(canonical(_entry(*row)))]
        cursor.execute("DELETE FROM ledger_pending WHERE id = ANY(%s)", [known])
        cursor.execute("DELETE FROM ledger_captured WHERE id = ANY(%s)", [known])
    return len(known)


def last_waiting_id() -> int | None:
    """Return the highest id in the outbox, None when nothing waits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT max(id) FROM (SELECT max(id) AS id FROM ledger_pending"
            " UNION ALL SELECT max(id) FROM ledger_captured) AS half"
        )
        found = cursor.fetchone()[0]
        return None if found is None else int(found)


def is_waiting_up_to(last_id: int) -> bool:
    """Tell whether something with that id or a lower one waits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM ledger_pending WHERE id <= %s)"
            " OR EXISTS (SELECT FROM ledger_captured WHERE id <= %s)",
            [last_id, last_id],
        )
        return bool(cursor.fetchone()[0])


def oldest_seconds() -> float:
    """Return the age of the oldest row that waits, by the database's clock; 0 when none waits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM clock_timestamp() - least((SELECT min(created_at) FROM ledger_pending),"
            " (SELECT min(created_at) FROM ledger_captured)))"
        )
        (seconds,) = cursor.fetchone()
    return max(0.0, float(seconds)) if seconds is not None else 0.0


def _entry(
    _id: int, text: str, xid: int, table: str | None, operation: str, role: str, application: str, at: str
) -> dict[str, Any]:
    if table is not None:
        return _captured(text, xid, table, operation, role, application, at)
    body: dict[str, Any] = _honest(text)
    # What was recorded before there were transactions in entries stays as it was recorded.
    return {**body, "transaction": str(xid)} if body["v"] >= BODY_VERSION else body


def _honest(text: str) -> Any:
    """Return the body, unless it claims what only the sequencer or a trigger says: then one that tells of the attempt.

    Whoever can record could otherwise name a key of their own, and verifiers would follow it, or say of rows what never
    was.
    """
    body = json.loads(text)
    event = body["event"]
    if event not in _SAID_BY_NOBODY and not event.startswith(events.ROWS):
        return body
    data = {"event": event, "sha256": hashlib.sha256(canonical(body).encode()).hexdigest()}
    refused = Record(events.FORGERY_REFUSED, myself(), [Subject("event", event)], data)
    return json.loads(body_text(refused, clock.now(), []))


def _captured(text: str, xid: int, table: str, operation: str, role: str, application: str, at: str) -> dict[str, Any]:
    """Return the entry about rows. Its actor is the role that was signed in to the database: nobody says more."""
    rows = json.loads(text, parse_float=str, parse_int=_integer if _LONG_NUMBER.search(text) else None)
    if operation == _PRUNED:
        return _disposal(rows, xid, at)
    return {
        "v": BODY_VERSION,
        "event": f"rows.{operation}",
        "at": at,
        "actor": {"kind": "system", "ref": role, "door": "database"},
        "correlation": "",
        "subjects": [{"kind": "table", "ref": table}],
        "data": {"table": table, "database_role": role, "application": application, "rows": rows},
        "private": {},
        "transaction": str(xid),
    }


def _disposal(said: dict[str, Any], xid: int, at: str) -> dict[str, Any]:
    """Return the entry about a disposal. Who had it done is what the function was told; the rest it found itself."""
    return {
        "v": BODY_VERSION,
        "event": events.LEDGER_PRUNED,
        "at": at,
        "actor": said["actor"],
        "correlation": said["correlation"],
        "subjects": [{"kind": "retention", "ref": "ledger"}],
        "data": said["data"],
        "private": {},
        "transaction": str(xid),
    }


def _integer(digits: str) -> int | str:
    """Return the number, or its text when readers with doubles could not hold it; a hand may write what we never do."""
    return int(digits) if abs(int(digits)) <= MAX_INTEGER else digits
