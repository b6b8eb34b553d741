"""Takes rows into the ledger that were there before their table was governed: once, in batches, resumable.

Without it a replay could not tell a row that was always there from one that somebody slipped in. Each batch locks its
rows against change, so that no change that is captured meanwhile can stand before the older image.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.db import connection, transaction
from psycopg import sql

from governance.core.actor import Actor, Door
from governance.core.clock import now
from governance.ledger import events, rows_sql
from governance.ledger.governing import Governed, governed_tables
from governance.ledger.models import Baseline
from governance.ledger.recording import Subject, record

#: Rows in one transaction.
BATCH = 5_000
_ROWS_OF_AN_ENTRY = 20

_TAKE_IN = sql.SQL(
    """
    WITH locked AS MATERIALIZED (
        SELECT * FROM {table} AS one WHERE {is_next} ORDER BY {order} LIMIT {limit} FOR SHARE
    ), said AS MATERIALIZED (
        SELECT row_number() OVER (ORDER BY {order}) AS place, {first} AS first,
            jsonb_build_object('key', {key}, 'new', {image}) AS element
        FROM locked
    ), kept AS (
        INSERT INTO ledger_captured ("table", operation, database_role, application, rows)
        SELECT {name}, 'baseline', session_user, current_setting('application_name'),
            jsonb_agg(said.element ORDER BY said.place)
        FROM said GROUP BY (said.place - 1) / {portion} ORDER BY (said.place - 1) / {portion}
    )
    SELECT count(*), max(first) FROM said
    """
)
_SECRETS = sql.SQL(
    """
    INSERT INTO ledger_subjectkey (subject_ref, subject_id, secret)
    SELECT one.{reference}::text, one.{person}, ledger_new_secret() FROM {table} AS one
    WHERE NOT EXISTS (SELECT FROM ledger_subjectkey AS known WHERE known.subject_ref = one.{reference}::text)
    ORDER BY 1 ON CONFLICT DO NOTHING
    """
)


def take_in_everything() -> Iterator[tuple[str, int]]:
    """Take in what is not yet, and yield (table, rows) as each table is done. Call it again after it was stopped."""
    # People first: the secrets of the others' rows are theirs.
    for governed in sorted(governed_tables(), key=lambda one: (not one.reference, one.table)):
        if not _is_done(governed):
            yield governed.table, _take_in(governed)


def waiting_tables() -> frozenset[str]:
    """Return the governed tables whose rows are not all taken in."""
    return frozenset(one.table for one in governed_tables() if not _is_done(one))


def _take_in(governed: Governed) -> int:
    total, is_done = 0, False
    while not is_done:
        taken, is_done = _take_batch(governed)
        total += taken
    return total


@transaction.atomic
def _take_batch(governed: Governed) -> tuple[int, bool]:
    """Take in the next rows; return how many, and whether that was all."""
    columns = _columns(governed)
    Baseline.objects.get_or_create(table=governed.table, defaults={"columns": columns})
    progress = Baseline.objects.select_for_update().get(table=governed.table)
    if progress.columns != columns:
        progress.columns, progress.last_key, progress.rows, progress.finished_at = columns, None, 0, None
    if governed.reference:
        _make_secrets(governed)
    taken, progress.last_key = _capture(governed, progress.last_key)
    progress.rows += taken
    # What has no number as its key is small, and taken in at once.
    if taken < BATCH or not _is_counted(governed):
        progress.finished_at = now()
    progress.save()
    if taken:
        record(
            events.ROWS_TAKEN_IN,
            actor=Actor.system("capture", door=Door.COMMAND),
            subjects=[Subject("table", governed.table)],
            data={"rows": taken, "is_all": progress.finished_at is not None},
        )
    return taken, progress.finished_at is not None


def _capture(governed: Governed, last_key: int | None) -> tuple[int, int | None]:
    order = sql.SQL(", ").join(sql.Identifier(name) for name in governed.keys)
    first = sql.Identifier(governed.keys[0])
    is_counted = _is_counted(governed)
    row = rows_sql.whole("locked")
    query = _TAKE_IN.format(
        table=sql.Identifier(governed.table),
        name=sql.Literal(governed.table),
        is_next=sql.SQL("{} > {}").format(first, last_key) if last_key is not None else sql.SQL("true"),
        order=order,
        first=first if is_counted else sql.SQL("NULL::bigint"),
        limit=sql.Literal(BATCH) if is_counted else sql.SQL("ALL"),
        key=rows_sql.key(row, governed),
        image=rows_sql.committed_image(row, governed),
        portion=sql.Literal(_ROWS_OF_AN_ENTRY),
    )
    with connection.cursor() as cursor:
        cursor.execute(rows_sql.AS_TRIGGERS_SPELL)
        cursor.execute(query)
        taken, reached = cursor.fetchone()
    return int(taken), last_key if reached is None else int(reached)


def _make_secrets(governed: Governed) -> None:
    names = {"table": governed.table, "person": governed.person, "reference": governed.reference}
    with connection.cursor() as cursor:
        cursor.execute(_SECRETS.format(**{name: sql.Identifier(said) for name, said in names.items()}))


def _is_counted(governed: Governed) -> bool:
    return governed.keys == ("id",)


def _is_done(governed: Governed) -> bool:
    done = Baseline.objects.filter(table=governed.table, columns=_columns(governed), finished_at__isnull=False)
    return done.exists()


def _columns(governed: Governed) -> str:
    return ",".join(sorted([*governed.public, *governed.personal]))
