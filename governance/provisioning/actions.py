"""The writers of orders. What must happen in an application is a row here, in the transaction that causes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict
from governance.core.statements import rows
from governance.core.tables import insert_rows
from governance.core.wakeup import wake
from governance.identity.models import Person
from governance.ledger.recording import Subject, record
from governance.provisioning import events
from governance.provisioning.models import Account, Operation, OperationState
from governance.provisioning.settling import subjects_of

WAKE = "provisioning.deliver_due"
_BY_HAND = "Do this in the application by hand, then tick it off."


@dataclass(frozen=True, slots=True)
class Order:
    """One order to one application. `key` makes it happen once; `closes_account`: nothing else is left there."""

    kind: str
    person_id: int
    entitlement_id: int
    application_id: int
    origin: str
    key: str
    at: datetime
    actor: Actor
    closes_account: bool = False


def order_many(orders: Sequence[Order]) -> Mapping[str, int]:
    """Write orders in the caller's transaction; return the primary key of each by its `key`.

    One that was written before stays as it is. Three statements and a wake-up after the commit, however many.
    """
    if not orders:
        return {}
    by_hand = _worked_by_hand({order.application_id for order in orders})
    insert_rows(
        Operation,
        [
            {
                "application_id": order.application_id,
                "person_id": order.person_id,
                "entitlement_id": order.entitlement_id,
                "kind": order.kind,
                "state": OperationState.WAITING,
                "origin": order.origin,
                "idempotency_key": order.key,
                "closes_account": order.closes_account,
                "correlation_id": order.actor.correlation_id,
                "ordered_at": order.at,
                "attempts": 0,
                "next_attempt_at": order.at,
                "claimed_by": "",
                "last_error": "",
                "next_step": by_hand.get(order.application_id, ""),
            }
            for order in orders
        ],
        ignore_conflicts=True,
    )
    wake(WAKE)
    return dict(rows(_WRITTEN, [[order.key for order in orders]]))


def order_selected(
    kind: str, selection: str, parameters: Mapping[str, object], *, at: datetime, actor: Actor
) -> Mapping[str, int]:
    """Write an order for each row of `selection` in the caller's transaction; return each's primary key by its `key`.

    `selection` is SQL, a constant of the code, with the columns of `Order` that differ: key, origin, person_id,
    entitlement_id, application_id, closes_account. One that was written before stays as it is. One statement, and a
    wake-up after the commit, however many.
    """
    known = {"kind": kind, "at": at, "correlation": actor.correlation_id, "by_hand": _BY_HAND, **parameters}
    written = dict(rows(_ORDER_SELECTED.format(selection=selection), known))
    if written:
        wake(WAKE)
    return written


_ORDER_SELECTED = """
WITH wanted AS MATERIALIZED ({selection}), written AS (
    INSERT INTO provisioning_operation
        (application_id, person_id, entitlement_id, kind, state, origin, idempotency_key, closes_account,
        correlation_id, ordered_at, attempts, next_attempt_at, claimed_by, last_error, next_step)
    SELECT wanted.application_id, wanted.person_id, wanted.entitlement_id, %(kind)s, 'waiting', wanted.origin,
        wanted.key, wanted.closes_account, %(correlation)s, %(at)s, 0, %(at)s, '', '',
        CASE WHEN connector.kind <> 'manual' THEN '' ELSE %(by_hand)s END
    FROM wanted LEFT JOIN provisioning_connector connector ON connector.application_id = wanted.application_id
    ON CONFLICT (idempotency_key) DO NOTHING
    RETURNING idempotency_key, id
)
SELECT idempotency_key, id FROM written
UNION ALL
SELECT earlier.idempotency_key, earlier.id
FROM wanted JOIN provisioning_operation earlier ON earlier.idempotency_key = wanted.key
"""
_WRITTEN = "SELECT idempotency_key, id FROM provisioning_operation WHERE idempotency_key = ANY(%s::text[])"


@transaction.atomic
def retry(operation: Operation, *, actor: Actor) -> Operation:
    """Send a failed order again, from the start.

    Raises Conflict when it has not failed, or a later order about the same has been given.
    """
    at = now()
    later = Operation.objects.filter(
        person_id=operation.person_id, entitlement_id=operation.entitlement_id, pk__gt=operation.pk
    )
    if later.exists():
        raise Conflict("A later order about the same access has been given; this one is history.")
    changed = Operation.objects.filter(pk=operation.pk, state=OperationState.FAILED).update(
        state=OperationState.WAITING,
        failed_at=None,
        delivered_at=None,
        attempts=0,
        next_attempt_at=at,
        last_error="",
        next_step="",
    )
    if not changed:
        raise Conflict("This order has not failed; there is nothing to try again.")
    record(events.OPERATION_RETRIED, actor=actor, subjects=subjects_of(operation), data={"kind": operation.kind})
    wake(WAKE)
    operation.refresh_from_db()
    return operation


@transaction.atomic
def confirm_by_hand(operation: Operation, *, actor: Actor) -> Operation:
    """Write that somebody carried an order out by hand. It was not read back, so it does not become verified.

    Raises Conflict when it was sent or ticked off before.
    """
    changed = Operation.objects.filter(
        pk=operation.pk, state__in=(OperationState.WAITING, OperationState.FAILED), confirmed_by__isnull=True
    ).update(
        state=OperationState.DELIVERED,
        delivered_at=now(),
        failed_at=None,
        confirmed_by_id=actor.person_id,
        last_error="",
        next_step="",
    )
    if not changed:
        raise Conflict("This order was carried out before.")
    record(events.OPERATION_CONFIRMED, actor=actor, subjects=subjects_of(operation), data={"kind": operation.kind})
    operation.refresh_from_db()
    return operation


@transaction.atomic
def link_account(account: Account, person: Person, *, actor: Actor) -> Account:
    """Say whose account it is.

    Raises Conflict when it is somebody's or gone.
    """
    changed = Account.objects.filter(pk=account.pk, person__isnull=True, gone_at__isnull=True).update(
        person=person, linked_by="by_hand"
    )
    if not changed:
        raise Conflict(f"The account {account.user_name} has a person already, or is gone.")
    record(
        events.ACCOUNT_LINKED,
        actor=actor,
        subjects=[
            Subject("account", str(account.pk)),
            Subject("person", str(person.ref)),
            Subject("application", str(account.application_id)),
        ],
    )
    account.refresh_from_db()
    return account


def _worked_by_hand(application_ids: set[int]) -> dict[int, str]:
    """Return what a person has to do, for each application that no connector reaches."""
    by_hand = application_ids - {key for (key,) in rows(_REACHED, [sorted(application_ids)])}
    return dict.fromkeys(by_hand, _BY_HAND)


_REACHED = """
SELECT application_id FROM provisioning_connector WHERE application_id = ANY(%s::bigint[]) AND kind <> 'manual'
"""
