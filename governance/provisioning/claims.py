"""Which orders are due and whose turn it is. A claim expires, so that a killed worker's orders are taken over."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from datetime import datetime, timedelta

import psutil
from django.db import connection, transaction

from governance.core.actor import Actor
from governance.core.clock import now
from governance.ledger.recording import Subject, record
from governance.provisioning import events
from governance.provisioning.models import Operation

#: Longer than one order may take: three times the longest time-out of a connector, and the read-back.
CLAIM = timedelta(minutes=4)

#: Orders about one person in one application go out one after the other. One that keeps failing stops holding up
#: others after three tries, but never one about the same entitlement.
_CLAIM = """
WITH due AS (
    SELECT operation.id
    FROM provisioning_operation AS operation
    JOIN provisioning_connector AS connector ON connector.application_id = operation.application_id
    WHERE operation.state IN ('waiting', 'sending', 'delivered')
        AND operation.next_attempt_at <= %(at)s
        AND (operation.claimed_until IS NULL OR operation.claimed_until <= %(at)s)
        AND operation.confirmed_by_id IS NULL
        AND connector.kind <> 'manual' AND connector.disabled_at IS NULL
        AND (connector.circuit_retry_at IS NULL OR connector.circuit_retry_at <= %(at)s)
        AND NOT EXISTS (
            SELECT FROM provisioning_operation AS earlier
            WHERE earlier.application_id = operation.application_id AND earlier.person_id = operation.person_id
                AND earlier.id < operation.id AND earlier.state IN ('waiting', 'sending', 'delivered')
                AND (earlier.entitlement_id = operation.entitlement_id OR earlier.attempts < 3)
        )
    ORDER BY operation.next_attempt_at, operation.id
    LIMIT %(limit)s
    FOR UPDATE OF operation SKIP LOCKED
)
UPDATE provisioning_operation AS operation
SET claimed_by = %(worker)s, claimed_until = %(until)s,
    state = CASE operation.state WHEN 'delivered' THEN 'delivered' ELSE 'sending' END
FROM due WHERE operation.id = due.id
RETURNING operation.id
"""


@transaction.atomic
def claim(*, worker: str, limit: int) -> list[Operation]:
    """Return up to `limit` due orders, which are this worker's until the claim expires; the oldest first."""
    at = now()
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, {"at": at, "until": at + CLAIM, "worker": worker, "limit": limit})
        claimed = [row[0] for row in cursor.fetchall()]
    if not claimed:
        return []
    _record(events.OPERATIONS_CLAIMED, claimed)
    found = Operation.objects.filter(pk__in=claimed).select_related("person", "entitlement", "application__connector")
    return list(found.order_by("next_attempt_at", "pk"))


def worker_name() -> str:
    """Return the name this process claims by: its host, process id and start, so that a dead one is recognised."""
    return name_of(os.getpid())


def name_of(pid: int) -> str:
    """Return the name the process of this host with this id claims by. Raises psutil.NoSuchProcess."""
    return f"{socket.gethostname()}:{pid}:{int(psutil.Process(pid).create_time())}"


def release_of_the_dead() -> int:
    """Give back what processes of this host claimed and will not settle any more; return how many.

    Those are dead, or this very process, which has just begun and so settles nothing: its last delivery broke off, for
    instance because the database went away. Claims of other hosts run out by themselves.
    """
    host = f"{socket.gethostname()}:"
    open_claims = Operation.objects.filter(
        state__in=("sending", "delivered"), claimed_until__gt=now(), claimed_by__startswith=host
    )
    names = open_claims.values_list("claimed_by", flat=True).distinct().order_by()
    released = 0
    mine = worker_name()
    for name in [name for name in names if name == mine or not _lives(name)]:
        orphaned = list(Operation.objects.filter(claimed_by=name, state__in=("sending", "delivered")))
        release(orphaned, worker=name, until=now())
        released += len(orphaned)
    return released


def _lives(name: str) -> bool:
    pid = int(name.rsplit(":", 2)[1])
    try:
        return name_of(pid) == name
    except psutil.NoSuchProcess:
        return False


@transaction.atomic
def release(operations: Sequence[Operation], *, worker: str, until: datetime) -> None:
    """Give claimed orders back untried, to be looked at again at `until`."""
    mine = Operation.objects.filter(pk__in=[one.pk for one in operations], claimed_by=worker)
    sending = list(mine.filter(state="sending").select_for_update().order_by("pk").values_list("pk", flat=True))
    if sending:
        Operation.objects.filter(pk__in=sending).update(state="waiting")
        _record(events.OPERATIONS_RELEASED, sending)
    mine.update(claimed_by="", claimed_until=None, next_attempt_at=until)


def _record(event: str, operations: Sequence[int]) -> None:
    """Record that orders changed hands, so that the change of their rows has its action."""
    record(event, actor=Actor.system("delivery"), subjects=[Subject("operation", str(number)) for number in operations])
