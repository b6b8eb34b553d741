"""The writers of orders. What must happen in an application is a row here, in the transaction that causes it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict
from governance.core.statements import rows
from governance.core.wakeup import wake
from governance.identity.models import Person
from governance.ledger.recording import Subject, record
from governance.provisioning import events
from governance.provisioning.models import Account, Operation, OperationState
from governance.provisioning.settling import subjects_of

WAKE = "provisioning.deliver_due"
_BY_HAND = "Do this in the application by hand, then tick it off."


def order_selected(
    kind: str, selection: str, parameters: Mapping[str, object], *, at: datetime, actor: Actor
) -> Mapping[str, int]:
    """Write an order for each row of `selection` in the caller's transaction; return each's primary key by its `key`.

    `selection` is SQL, a constant of the code, with these columns: `key` makes an order happen once, `origin` says what
    caused it, person_id, entitlement_id, application_id, and `closes_account`: nothing else is left there. One that was
    written before stays as it is. One statement, and a wake-up after the commit, however many.
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
