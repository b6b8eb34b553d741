"""Brings sealed entries to their destinations: in order, from the cursor on, one sender for each destination.

The cursor moves after a batch has arrived, and only if nobody moved it meanwhile. A sender that is killed between the
two leaves it where it was: the batch is sent again, nothing is left out. Nothing is called inside of a transaction.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import orjson
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Max, Q

from governance.core.actor import Actor
from governance.core.clock import now
from governance.ledger.disposals import minimum_index
from governance.ledger.models import Entry
from governance.ledger.queries import verifier_key
from governance.ledger.recording import Subject, record
from governance.provisioning.secrets import SecretUnreadable, decrypt
from governance.streams import events
from governance.streams.batches import Batch, batch_from
from governance.streams.models import Destination, DestinationKind
from governance.streams.shaping import syslog_severity
from governance.streams.ways import syslog, webhook
from governance.streams.ways.base import NotArrived, Place

logger = logging.getLogger(__name__)

#: Pauses after failures in a row, in seconds; the last one is repeated. An outage of hours is over within a minute.
PAUSES = (1, 2, 5, 10, 30, 60)
#: Trouble that lasts this long is told to people.
STOPPED_AFTER = timedelta(minutes=10)
#: How long one destination is served before the next one has its turn.
TURN_SECONDS = 20.0
#: PostgreSQL advisory locks of senders: the bytes "stre", and the number of the destination.
_LOCK_SPACE = int.from_bytes(b"stre")


def send_due() -> int:
    """Bring what waits to every destination whose turn it is; return how many entries arrived. Again is fine."""
    last, at = Entry.objects.aggregate(last=Max("index"))["last"], now()
    waits = Q(test_asked_at__isnull=False) | Q(next_index__lte=-1 if last is None else last)
    due = Destination.objects.filter(waits, next_at__lte=at, paused_at__isnull=True, ended_at__isnull=True)
    return sum(send(key) for key in list(due.order_by("next_at", "id").values_list("pk", flat=True)))


def send(key: int) -> int:
    """Bring everything that waits to one destination; return how many entries arrived. 0 while somebody else does."""
    with _only_sender(key) as is_mine:
        return _drain(key) if is_mine else 0


@contextlib.contextmanager
def _only_sender(key: int) -> Iterator[bool]:
    """Hold the lock of the destination. It belongs to the database session: one that is killed gives it back."""
    lock = [_LOCK_SPACE, key % 2**31]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", lock)
        is_mine = bool(cursor.fetchone()[0])
    try:
        yield is_mine
    finally:
        if is_mine:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", lock)


def _drain(key: int) -> int:
    arrived, start = 0, time.monotonic()
    _go_past_what_went(key)
    while time.monotonic() - start < TURN_SECONDS:
        row = Destination.objects.filter(
            pk=key, next_at__lte=now(), paused_at__isnull=True, ended_at__isnull=True
        ).first()
        if row is None:
            break
        if row.test_asked_at is not None:
            _try(row)
            continue
        batch = batch_from(row.next_index, shape=row.shape, with_names=row.with_names, with_rows=row.with_rows)
        if batch.end == batch.start or not _bring(row, batch):
            break
        arrived += len(batch.entries)
    return arrived


@transaction.atomic
def _go_past_what_went(key: int) -> None:
    """Have a destination that lacks texts that were disposed of go on with the first that is there, on record."""
    minimum = minimum_index()
    row = Destination.objects.select_for_update(no_key=True).filter(pk=key, next_index__lt=minimum).first()
    if row is not None:
        _record(events.STREAM_SKIPPED, row, first=row.next_index, minimum=minimum)
        row.next_index = minimum
        row.save(update_fields=["next_index"])


def _bring(row: Destination, batch: Batch) -> bool:
    """Bring one batch; return whether it arrived. Nothing is sent of a batch in which nothing is wanted."""
    cause = _in_the_way(row, lambda: carry(row, batch)) if batch.entries else ""
    if cause:
        _put_off(row, cause)
        return False
    return _move_on(row, batch)


def _in_the_way(row: Destination, act: Callable[[], None]) -> str:
    """Do what brings something; return why it did not arrive, or nothing. One destination stops no other."""
    try:
        act()
    except (NotArrived, SecretUnreadable) as error:
        return str(error)[:500]
    except Exception:
        logger.exception("The stream %s failed.", row.ref)
        return "Something unexpected happened; the log of the worker says what."
    return ""


def carry(row: Destination, batch: Batch) -> None:
    """Send a batch to its destination. Raises NotArrived and SecretUnreadable."""
    place = place_of(row)
    if row.kind == DestinationKind.SYSLOG:
        said = zip(batch.entries, batch.shaped, strict=True)
        syslog.deliver(place, [_line(one.event, syslog_severity(one), shaped) for one, shaped in said])
        return
    body = {"log": _origin(), "from": batch.start, "to": batch.end, "shape": row.shape, "entries": batch.shaped}
    webhook.post(place, f"{row.ref}-{batch.start}-{batch.end}", orjson.dumps(body))


def place_of(row: Destination) -> Place:
    """Return where to bring it, with its secret. Raises SecretUnreadable."""
    return Place(
        row.address,
        decrypt(row.secret_encrypted),
        row.authorities,
        row.client_certificate,
        allows_loopback=not settings.ENVIRONMENT.is_production,
    )


def _line(event: str, severity: int, shaped: object) -> bytes:
    host = urlsplit(settings.PUBLIC_URL).hostname or "-"
    return syslog.message(orjson.dumps(shaped).decode(), severity=severity, at=now(), host=host, kind=event)


def _origin() -> str:
    return (verifier_key() or "").partition("+")[0]


def _try(row: Destination) -> None:
    """Send a test, and note what came of it. It moves no cursor and counts as no failure."""
    cause = _in_the_way(row, lambda: _carry_test(row))
    asked = Destination.objects.filter(pk=row.pk, test_asked_at=row.test_asked_at)
    asked.update(test_asked_at=None, tested_at=now(), test_error=cause)


def _carry_test(row: Destination) -> None:
    said = {"type": "test", "text": "This is a test of the stream.", "asked_at": row.test_asked_at}
    place = place_of(row)
    if row.kind == DestinationKind.SYSLOG:
        syslog.deliver(place, [_line(events.STREAM_TESTED, 6, said)])
    else:
        webhook.post(place, f"{row.ref}-test-{row.test_asked_at:%Y%m%d%H%M%S%f}", orjson.dumps(said))


@transaction.atomic
def _move_on(row: Destination, batch: Batch) -> bool:
    """Move the cursor over a batch that arrived; return whether it was still where the batch began."""
    moved = Destination.objects.filter(pk=row.pk, next_index=batch.start).update(
        next_index=batch.end,
        last_sent_at=now() if batch.entries else F("last_sent_at"),
        failures_in_a_row=0,
        trouble_since=None,
        stopped_at=None,
        last_error="",
    )
    if moved and row.stopped_at is not None:
        _record(events.STREAM_RESUMED, row)
    return bool(moved)


@transaction.atomic
def _put_off(row: Destination, cause: str) -> None:
    """Leave the destination alone for a while. Once trouble has lasted, that is recorded, and people are told."""
    at = now()
    locked = Destination.objects.select_for_update(no_key=True).get(pk=row.pk)
    locked.trouble_since = locked.trouble_since or at
    pause = PAUSES[min(locked.failures_in_a_row, len(PAUSES) - 1)]
    locked.failures_in_a_row += 1
    locked.next_at, locked.last_error = at + timedelta(seconds=pause), cause[:500]
    has_stopped = locked.stopped_at is None and at - locked.trouble_since >= STOPPED_AFTER
    if has_stopped:
        locked.stopped_at = at
        _record(events.STREAM_STOPPED, locked)
    locked.save(update_fields=["trouble_since", "failures_in_a_row", "next_at", "last_error", "stopped_at"])


def _record(event: str, row: Destination, **said: int) -> None:
    subjects = [Subject("stream", str(row.ref))]
    record(event, actor=Actor.system("streams"), subjects=subjects, data={"kind": row.kind, **said})
