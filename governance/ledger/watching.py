"""Looks for what no action explains: rows that changed without one, and a database that differs from its ledger.

*Out of band* is a row that changed in a transaction in which nothing else was recorded; it is seen within a minute.
What was done with the triggers off leaves no entry: the hourly comparison finds it in the rows themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db import connection, transaction

from governance.core.actor import Actor
from governance.core.clock import now
from governance.ledger import events, findings, replay, schema
from governance.ledger.findings import Seen
from governance.ledger.models import Comparison, Finding, FindingKind, Watch
from governance.ledger.queries import latest_checkpoint
from governance.ledger.recording import Subject, record
from governance.ledger.taking_in import waiting_tables
from governance.ledger.triggers import missing_triggers

#: Entries that one look goes through at most.
AT_ONCE = 20_000

#: A transaction's other entries may be sealed with the next head: then they still wait. Numbers of transactions begin
#: anew when a dump is restored, and may then meet old ones: only entries that are near count.
_OUT_OF_BAND = """
SELECT entry.transaction, subject.ref, entry.event, min(entry.index), entry.actor_ref,
    min(entry.body::jsonb -> 'data' ->> 'application'), sum(jsonb_array_length(entry.body::jsonb -> 'data' -> 'rows')),
    (array_agg(entry.body::jsonb #>> '{data,rows,0,key}' ORDER BY entry.index))[1]
FROM ledger_entry AS entry JOIN ledger_entrysubject AS subject ON subject.entry_id = entry.index
WHERE entry.index >= %(start)s AND entry.index < %(end)s AND entry.event LIKE 'rows.%%'
    AND NOT EXISTS (
        SELECT FROM ledger_entry AS other
        WHERE other.transaction = entry.transaction AND other.event NOT LIKE 'rows.%%'
            AND other.index BETWEEN entry.index - 1000000 AND entry.index + 1000000
    )
    AND entry.transaction NOT IN (SELECT DISTINCT xid FROM ledger_pending)
GROUP BY entry.transaction, subject.ref, entry.event, entry.actor_ref
ORDER BY 4
"""


def myself() -> Actor:
    """Return the one who looks."""
    return Actor.system("watch")


def look_for_out_of_band() -> int:
    """Look through the rows that were sealed since the last look; return how many findings are new."""
    found, is_more = 0, True
    while is_more:
        new, is_more = _look()
        found += new
    return found


@transaction.atomic
def _look() -> tuple[int, bool]:
    """Look through the next entries; return (new findings, whether there is more)."""
    at = now()
    Watch.objects.get_or_create(pk=1, defaults={"next_index": 0, "looked_at": at})
    watch = Watch.objects.select_for_update().get(pk=1)
    head = latest_checkpoint()
    size = head.size if head else 0
    end = min(size, watch.next_index + AT_ONCE)
    new = findings.keep(out_of_band(watch.next_index, end), at=at, actor=myself()) if end > watch.next_index else 0
    watch.next_index, watch.looked_at = max(end, watch.next_index), at
    watch.save()
    return new, end < size


def out_of_band(start: int, end: int) -> Iterator[Seen]:
    """Yield the row changes among these entries whose transaction recorded nothing, one for each table."""
    with connection.cursor() as cursor:
        cursor.execute(_OUT_OF_BAND, {"start": start, "end": end})
        for number, table, event, index, role, application, rows, key in cursor.fetchall():
            operation = event.removeprefix(events.ROWS)
            yield Seen(
                kind=FindingKind.OUT_OF_BAND,
                cause=f"out_of_band:{number}:{table}:{operation}:{index}",
                table=table,
                row=key or "",
                rows=rows,
                operation=operation,
                database_role=role,
                application=application or "",
                entry_index=index,
            )


def compare_with_ledger() -> Comparison:
    """Compare the rows, the triggers and the schema with what the ledger says; keep findings, and the result."""
    started = now()
    head = latest_checkpoint()
    compared = replay.compare_everything()
    left_out = len(waiting_tables())
    seen = [*_switched_off(started), *_changed_schema(), *_different(compared)]
    with transaction.atomic():
        new = findings.keep(seen, at=started, actor=myself())
        schema.note(actor=myself())
        result = Comparison.objects.create(
            started_at=started,
            finished_at=now(),
            size=head.size if head else 0,
            tables=len(compared),
            rows=sum(one.rows for one in compared),
            differences=sum(one.different for one in compared),
            left_out=left_out,
            schema_sha256=schema.fingerprint(schema.parts()),
        )
        record(
            events.LEDGER_COMPARED,
            actor=myself(),
            subjects=[Subject("comparison", str(result.pk))],
            data={
                "size": result.size,
                "tables": result.tables,
                "rows": result.rows,
                "differences": result.differences,
                "left_out": left_out,
                "schema": result.schema_sha256,
                "findings": new,
            },
        )
    return result


def _different(compared: list[replay.Compared]) -> Iterator[Seen]:
    for table in compared:
        for one in table.differences:
            columns = ", ".join(one.columns)
            yield Seen(
                kind=FindingKind.DIFFERS,
                cause=f"differs:{one.table}:{one.key}:{one.what}:{one.entry_index}:{columns}",
                table=one.table,
                row=one.key,
                columns=columns,
                operation=one.what,
                entry_index=one.entry_index,
            )


def _changed_schema() -> Iterator[Seen]:
    noted, there = schema.noted_parts(), schema.parts()
    for part in schema.differing(noted, there) if noted is not None else ():
        yield Seen(FindingKind.SCHEMA, cause=f"schema:{part}:{there.get(part, 'gone')}", table=part)


def _switched_off(at: datetime) -> Iterator[Seen]:
    """A trigger that was put back and is off again is another finding; one that is still off is the same."""
    known = dict(Finding.objects.filter(kind=FindingKind.TRIGGER, closed_at=None).values_list("table", "cause"))
    missing = {one.table: one.trigger for one in missing_triggers()}
    for table, trigger in missing.items():
        cause = known.get(table, f"trigger:{table}:{at.isoformat()}")
        yield Seen(FindingKind.TRIGGER, cause=cause, table=table, columns=trigger)
