"""The last exchanges of each connection and how many there were: noted in memory, written about once a second.

A request only appends to a ring and counts; it never writes, so a GET stays a read and an answer waits for nothing.
A thread of each process masks, explains and writes what is still in its rings; a process that is killed loses what it
saw in its last second, and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from multiprocessing.util import Finalize
from typing import Any
from urllib.parse import parse_qsl

import orjson
from django.conf import settings
from django.db import connection as database

from governance.identity.connections import activity
from governance.identity.connections.activity import KEPT_EXCHANGES, Activity, Counted, Seen
from governance.identity.connections.opening import Opened
from scim_bridge.explain import Told, explained
from scim_bridge.masking import cut, masked, masked_path, masked_query, personal_texts, without
from scim_bridge.rate_limit import LIMITER

logger = logging.getLogger(__name__)

#: A larger body is not kept, only its size: rings full of them would be a process full of them.
MAX_BODY_BYTES = 65_536
#: So many resources of a page are kept: they show what all of them look like.
PAGE_KEPT = 5
#: After so long without a request the thread gives its connection to the database back.
IDLE_SECONDS = 10.0
#: What other processes counted since is taken off a limit only when we looked at most so long ago.
FRESH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Noted:
    """One exchange as it was, for about a second in the memory of this process."""

    at: float
    method: str
    path: str
    query: str
    status: int
    seconds: float
    user_agent: str
    correlation_id: str
    request_body: bytes | None
    response_body: bytes | None


@dataclass(slots=True)
class _Buffers:
    rings: defaultdict[int, deque[Noted]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=KEPT_EXCHANGES))
    )
    #: (connection, hours since 1970) → requests, errors, refused for the limit.
    counts: defaultdict[tuple[int, int], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0]))
    connections: dict[int, float] = field(default_factory=dict)
    tokens: dict[int, float] = field(default_factory=dict)
    clients: dict[int, float] = field(default_factory=dict)


class Recorder:
    """What one process saw since it last wrote."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew, without a thread: also in a process that was forked from one that had begun."""
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._buffers = _Buffers()
        self._thread: threading.Thread | None = None
        #: (connection, hour) → when we last wrote, and how many requests all processes had answered by then.
        self._known: dict[tuple[int, datetime], tuple[float, int]] = {}

    def note(self, opened: Opened, noted: Noted) -> None:
        """Keep one exchange. It costs microseconds."""
        key = (opened.id, int(noted.at // 3600))
        with self._lock:
            buffers = self._buffers
            buffers.rings[opened.id].append(noted)
            count = buffers.counts[key]
            count[0] += 1
            count[1] += noted.status >= 400
            count[2] += noted.status == HTTPStatus.TOO_MANY_REQUESTS
            buffers.connections[opened.id] = noted.at
            if opened.token_id is not None:
                buffers.tokens[opened.token_id] = noted.at
            if opened.client_pk is not None:
                buffers.clients[opened.client_pk] = noted.at
        self._wake.set()
        if self._thread is None:
            self._start()

    def flush(self) -> int:
        """Write what is in the rings; return how many exchanges. What the database refuses is lost, and logged."""
        with self._flushing:
            with self._lock:
                buffers, self._buffers = self._buffers, _Buffers()
                self._wake.clear()
            if not buffers.counts:
                return 0
            written = _activity(buffers)
            totals = activity.keep(written)
            self._take_off_what_others_answered(written, totals)
            return len(written.exchanges)

    def _take_off_what_others_answered(self, written: Activity, totals: dict[tuple[int, datetime], int]) -> None:
        at = time.monotonic()
        for count in written.counts:
            key = (count.connection_id, count.hour)
            if key not in totals:
                continue
            looked_at, before = self._known.get(key, (0.0, 0))
            if at - looked_at <= FRESH_SECONDS:
                LIMITER.take_off(count.connection_id, totals[key] - before - count.answered, at=at)
            self._known[key] = (at, totals[key])
        self._known = {key: seen for key, seen in self._known.items() if at - seen[0] <= FRESH_SECONDS}

    def _start(self) -> None:
        interval: float = settings.SCIM_EXCHANGES_FLUSH_SECONDS
        if not interval:
            return
        with self._lock:
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._run, args=(interval,), name="scim-exchanges", daemon=True)
            self._thread.start()
        # Also at the end of a worker process of the web server, which ends as a child of multiprocessing does.
        Finalize(None, self.stop, exitpriority=10)

    def _run(self, interval: float) -> None:
        while not self._stopping.is_set():
            if self._wake.wait(IDLE_SECONDS):
                self._stopping.wait(interval)
                self._flush_safely()
            else:
                database.close()
        database.close()

    def _flush_safely(self) -> None:
        try:
            database.close_if_unusable_or_obsolete()
            self.flush()
        except Exception:  # the next second tries again, with what comes then
            logger.exception("The exchanges of a second could not be written.")
            with contextlib.suppress(Exception):
                database.close()

    def stop(self) -> None:
        """End the thread, and write what is left: when the process ends."""
        thread = self._thread
        self._stopping.set()
        self._wake.set()
        if thread is not None:
            thread.join(timeout=5)
        self._flush_safely()


def _activity(buffers: _Buffers) -> Activity:
    return Activity(
        exchanges=[_seen(id_, noted) for id_, ring in buffers.rings.items() for noted in ring],
        counts=[
            Counted(id_, _instant(hour * 3600), *counted) for (id_, hour), counted in sorted(buffers.counts.items())
        ],
        connections=_instants(buffers.connections),
        tokens=_instants(buffers.tokens),
        clients=_instants(buffers.clients),
    )


def _seen(connection_id: int, noted: Noted) -> Seen:
    """Return an exchange without anybody's data: what leaves here is what is kept."""
    sent, answered = _json(noted.request_body), _json(noted.response_body)
    few, more = _few(answered)
    request, response = masked(sent), masked(few)
    query = masked_query(noted.query)
    if noted.status >= 400 and isinstance(answered, dict) and isinstance(answered.get("detail"), str):
        said = [*personal_texts(sent), *personal_texts(dict(parse_qsl(noted.query))), *_strangers(noted.path)]
        response["detail"] = without(answered["detail"], iter(said))[:600]
    understood = explained(Told(noted.method, masked_path(noted.path), noted.status, _pairs(query), request, response))
    return Seen(
        connection_id=connection_id,
        at=_instant(noted.at),
        method=noted.method[:10],
        path=masked_path(noted.path),
        query=query[:1000],
        status=noted.status,
        milliseconds=round(noted.seconds * 1000, 3),
        user_agent=without(noted.user_agent, iter(()))[:200],
        correlation_id=noted.correlation_id,
        request_body=cut(request),
        response_body=_with_more(cut(response), more),
        understood=tuple(sentence[:500] for sentence in understood.sentences),
        problem=understood.problem[:1000],
        section=understood.section,
    )


def _json(body: bytes | None) -> Any:
    if not body:
        return None
    if len(body) > MAX_BODY_BYTES:
        return {"bytes": len(body), "kept": False}
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return {"bytes": len(body), "json": False}


def _few(answered: Any) -> tuple[Any, int]:
    """Return an answer with the first resources of a page, and how many there were more.

    What is not kept need not be masked: a client that pages through everybody would keep this thread busy, and whoever
    waits for the interpreter with it.
    """
    listed = answered.get("Resources") if isinstance(answered, dict) else None
    if not isinstance(listed, list) or len(listed) <= PAGE_KEPT:
        return answered, 0
    return {**answered, "Resources": listed[:PAGE_KEPT]}, len(listed) - PAGE_KEPT


def _with_more(response: Any, more: int) -> Any:
    return {**response, "Resources": [*response["Resources"], f"… and {more} more"]} if more else response


def _pairs(query: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in query.split("&") if "=" in part)


def _strangers(path: str) -> list[str]:
    return [part for part in path.split("/") if len(part) > 2 and masked_path(part) != part]


def _instants(uses: dict[int, float]) -> dict[int, datetime]:
    return {id_: _instant(at) for id_, at in uses.items()}


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


RECORDER = Recorder()
os.register_at_fork(after_in_child=RECORDER.reset)
