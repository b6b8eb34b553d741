"""The writers of orders. What must happen in an application is a row here, in the transaction that causes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from governance.core.actor import Actor
from governance.core.wakeup import wake
from governance.provisioning.models import Operation


@dataclass(frozen=True, slots=True)
class Order:
    """One order to one application. `key` makes it happen once; `closes_account` says that nothing else is left there."""

    kind: str
    person_id: int
    entitlement_id: int
    application_id: int
    origin: str
    key: str
    at: datetime
    actor: Actor
    closes_account: bool = False


def order_many(orders: Sequence[Order]) -> list[Operation]:
    """Write orders in the caller's transaction and return their rows; one already written is returned as it is."""
    if not orders:
        return []
    Operation.objects.bulk_create(
        (
            Operation(
                application_id=order.application_id,
                person_id=order.person_id,
                entitlement_id=order.entitlement_id,
                kind=order.kind,
                origin=order.origin,
                idempotency_key=order.key,
                correlation_id=order.actor.correlation_id,
                ordered_at=order.at,
                next_attempt_at=order.at,
            )
            for order in orders
        ),
        ignore_conflicts=True,
    )
    wake("provisioning.deliver_due")
    return list(Operation.objects.filter(idempotency_key__in=[order.key for order in orders]))
