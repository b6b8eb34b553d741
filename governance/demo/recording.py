"""What is recorded about the orders of the past."""

from __future__ import annotations

from governance.demo.granting import of_role
from governance.demo.ordering import Ordered
from governance.demo.world import World
from governance.ledger.recording import Subject
from governance.provisioning.models import OperationState

OPERATION_DELIVERED = "operation.delivered"
OPERATION_VERIFIED = "operation.verified"
OPERATION_FAILED = "operation.failed"


def record_orders(world: World, orders: list[Ordered]) -> None:
    """Record what became of the orders that came to an end."""
    for order in orders:
        operation, plan = order.operation, order.plan
        about = (Subject("operation", str(operation.pk)), plan.member.subject, *of_role(plan))
        data: dict[str, object] = {"kind": operation.kind, "attempts": operation.attempts}
        if operation.state == OperationState.VERIFIED and operation.verified_at is not None:
            actor = world.system("delivery")
            world.record(OPERATION_VERIFIED, *about, actor=actor, at=operation.verified_at, data=data)
        elif operation.state == OperationState.DELIVERED and operation.delivered_at is not None:
            actor = world.by(plan.offer.owners[0].person)
            world.record(OPERATION_DELIVERED, *about, actor=actor, at=operation.delivered_at, data=data)
        elif operation.state == OperationState.FAILED and operation.failed_at is not None:
            actor = world.system("delivery")
            world.record(OPERATION_FAILED, *about, actor=actor, at=operation.failed_at, data=data)
