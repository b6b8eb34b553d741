"""Carries orders out: claim, call, read back, settle. Nothing outside is called inside a transaction.

A worker that dies between the call and the settlement leaves a claim that expires; the order goes out again, and
connectors take "already so" for success. What was settled by somebody else meanwhile stays as they settled it.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import groupby

from django.db import connections

from governance.provisioning import settling
from governance.provisioning.claims import claim, release
from governance.provisioning.connectors.base import Connector, Delivered, Permanent, Seen, Transient
from governance.provisioning.models import Operation, OperationKind, OperationState
from governance.provisioning.reaching import account_wanted, closing, connector_for, entitlement_wanted
from governance.provisioning.secrets import SecretUnreadable

#: Applications served at the same time by one worker, so that a slow one holds up no other.
_AT_ONCE = 8


def deliver_due(*, worker: str, limit: int = 50) -> int:
    """Carry out what is due until nothing is; return how many orders were worked on."""
    done = 0
    while claimed := claim(worker=worker, limit=limit):
        batches = [
            list(batch)
            for _, batch in groupby(sorted(claimed, key=lambda one: one.application_id), lambda one: one.application_id)
        ]
        _deliver_batches(batches, worker)
        done += len(claimed)
    return done


def _deliver_batches(batches: Sequence[list[Operation]], worker: str) -> None:
    if len(batches) == 1:
        _deliver_batch(batches[0], worker)
        return
    with ThreadPoolExecutor(max_workers=min(_AT_ONCE, len(batches))) as pool:
        for finished in [pool.submit(_deliver_in_thread, batch, worker) for batch in batches]:
            finished.result()


def _deliver_in_thread(batch: list[Operation], worker: str) -> None:
    try:
        _deliver_batch(batch, worker)
    finally:
        connections.close_all()


def _deliver_batch(batch: Sequence[Operation], worker: str) -> None:
    """Carry out orders to one application, in their order, until it has to be left alone."""
    for number, operation in enumerate(batch):
        retry_at = _deliver(operation, worker)
        if retry_at is not None:
            release(batch[number + 1 :], worker=worker, until=retry_at)
            return


def _deliver(operation: Operation, worker: str) -> datetime | None:
    """Carry one order out; return until when its application must be left alone, if it must."""
    row = operation.application.connector
    try:
        connector = connector_for(row)
    except SecretUnreadable as unreadable:
        cause = Permanent(str(unreadable), "Enter the token of the connector again.", concerns_everything=True)
        return settling.not_sent(operation, cause, worker=worker)
    if operation.state != OperationState.DELIVERED:
        outcome = _call(connector, operation)
        if not isinstance(outcome, Delivered):
            return settling.not_sent(operation, outcome, worker=worker)
        if not settling.sent(operation, outcome, worker=worker):
            return None
    answer = connector.read_back(
        account_wanted(operation.person, operation.application_id), entitlement_wanted(operation.entitlement)
    )
    if isinstance(answer, Seen) and _shows(operation, answer):
        settling.verified(operation, answer, worker=worker)
        return None
    return settling.not_shown(operation, answer, worker=worker)


def _call(connector: Connector, operation: Operation) -> Delivered | Transient | Permanent:
    account = account_wanted(operation.person, operation.application_id)
    entitlement = entitlement_wanted(operation.entitlement)
    if operation.kind == OperationKind.GIVE:
        return connector.give(account, entitlement)
    return connector.take(account, entitlement, closing(operation, operation.application.connector))


def _shows(operation: Operation, seen: Seen) -> bool:
    """Tell whether the application shows what was ordered."""
    if operation.kind == OperationKind.GIVE:
        return seen.is_held and seen.account is not None and seen.account.is_active
    closes = closing(operation, operation.application.connector)
    if closes.deletes:
        return seen.account is None
    if closes.deactivates:
        return not seen.is_held and (seen.account is None or not seen.account.is_active)
    return not seen.is_held
