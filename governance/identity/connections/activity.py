"""What connections do, as it is written down: about once a second, set-based, never inside a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import connection as database
from django.db import transaction
from django.db.backends.utils import CursorWrapper

from governance.identity.models import ConnectionHour

#: So many exchanges of each connection are kept.
KEPT_EXCHANGES = 200
#: The chart shows a day; a month is enough to compare with.
KEPT_HOURS = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Seen:
    """One exchange, masked. The fields are those of ConnectionExchange."""

    connection_id: int
    at: datetime
    method: str
    path: str
    query: str
    status: int
    milliseconds: float
    user_agent: str
    correlation_id: str
    request_body: Any
    response_body: Any
    understood: Sequence[str] = ()
    problem: str = ""
    section: str = ""


@dataclass(frozen=True, slots=True)
class Counted:
    """How many requests a connection had in the hour that began then, errors and those over its limit among them."""

    connection_id: int
    hour: datetime
    requests: int
    errors: int
    limited: int = 0

    @property
    def answered(self) -> int:
        """Return how many used up the allowance."""
        return self.requests - self.limited


@dataclass(frozen=True, slots=True)
class Activity:
    """What a process saw since it last wrote. The mappings are from primary keys to the last use."""

    exchanges: Sequence[Seen] = ()
    counts: Sequence[Counted] = ()
    connections: Mapping[int, datetime] = field(default_factory=dict)
    tokens: Mapping[int, datetime] = field(default_factory=dict)
    clients: Mapping[int, datetime] = field(default_factory=dict)


@transaction.atomic
def keep(activity: Activity) -> dict[tuple[int, datetime], int]:
    """Write down what a process saw; return how many requests all processes answered in each hour that it counted in.

    What belongs to a connection that does not exist is left out. Of each connection the last 200 exchanges stay.
    """
    ids = sorted({seen.connection_id for seen in activity.exchanges} | {*activity.connections})
    with database.cursor() as cursor:
        # In this order, so that two processes that write about the same connections never wait for each other in turn.
        cursor.execute("SELECT id FROM identity_connection WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", [ids])
        totals = _count(cursor, activity.counts)
        for table, used in (
            ("identity_connection", activity.connections),
            ("identity_servicetoken", activity.tokens),
            ("identity_connectionclient", activity.clients),
        ):
            _note_use(cursor, table, used)
        if activity.exchanges:
            cursor.execute(_INSERT, [_json([asdict(each) for each in activity.exchanges])])
            cursor.execute(_TRIM, {"ids": ids, "kept": KEPT_EXCHANGES})
    return totals


@transaction.atomic
def forget(*, at: datetime) -> int:
    """Remove exchanges that were kept for as long as their connection says, and counts of a month ago.

    Return how many exchanges went. Connections that are not used write nothing, so the clock comes for theirs.
    """
    with database.cursor() as cursor:
        cursor.execute(_FORGET, [at])
        gone: int = cursor.rowcount
    ConnectionHour.objects.filter(hour__lt=at - KEPT_HOURS).delete()
    return gone


_COUNT = """
INSERT INTO identity_connectionhour (connection_id, hour, requests, errors, limited)
SELECT said.connection_id, said.hour, said.requests, said.errors, said.limited
FROM jsonb_to_recordset(%s::jsonb)
    AS said (connection_id bigint, hour timestamptz, requests bigint, errors bigint, limited bigint)
JOIN identity_connection c ON c.id = said.connection_id
ORDER BY said.connection_id, said.hour
ON CONFLICT (connection_id, hour) DO UPDATE SET
    requests = identity_connectionhour.requests + excluded.requests,
    errors = identity_connectionhour.errors + excluded.errors,
    limited = identity_connectionhour.limited + excluded.limited
RETURNING connection_id, hour, requests - limited
"""
_INSERT = """
INSERT INTO identity_connectionexchange
    (connection_id, at, method, path, query, status, milliseconds, user_agent, correlation_id,
     request_body, response_body, understood, problem, section)
SELECT said.connection_id, said.at, said.method, said.path, said.query, said.status, said.milliseconds,
    said.user_agent, said.correlation_id, nullif(said.request_body, 'null'), nullif(said.response_body, 'null'),
    said.understood, said.problem, said.section
FROM jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS sent (body, place)
CROSS JOIN LATERAL jsonb_to_record(sent.body) AS said
    (connection_id bigint, at timestamptz, method text, path text, query text, status int, milliseconds float8,
     user_agent text, correlation_id text, request_body jsonb, response_body jsonb, understood jsonb, problem text,
     section text)
JOIN identity_connection c ON c.id = said.connection_id
ORDER BY sent.place
"""
_TRIM = """
DELETE FROM identity_connectionexchange WHERE id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (PARTITION BY connection_id ORDER BY at DESC, id DESC) AS place
        FROM identity_connectionexchange WHERE connection_id = ANY(%(ids)s)
    ) ranked WHERE place > %(kept)s
)
"""
_FORGET = """
DELETE FROM identity_connectionexchange e USING identity_connection c
WHERE c.id = e.connection_id AND e.at < %s - make_interval(days => c.keep_exchanges_days)
"""


def _count(cursor: CursorWrapper, counts: Sequence[Counted]) -> dict[tuple[int, datetime], int]:
    if not counts:
        return {}
    cursor.execute(_COUNT, [_json([asdict(each) for each in counts])])
    return {(connection_id, hour): answered for connection_id, hour, answered in cursor.fetchall()}


def _note_use(cursor: CursorWrapper, table: str, used: Mapping[int, datetime]) -> None:
    if not used:
        return
    cursor.execute(
        # The name of the table is a constant of this module.
        f"UPDATE {table} AS t SET last_used_at = said.at"  # noqa: S608
        " FROM jsonb_to_recordset(%s::jsonb) AS said (id bigint, at timestamptz)"
        " WHERE t.id = said.id AND (t.last_used_at IS NULL OR t.last_used_at < said.at)",
        [_json([{"id": id_, "at": at} for id_, at in sorted(used.items())])],
    )


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
