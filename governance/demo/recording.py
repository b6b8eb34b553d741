"""What is recorded about the orders of the past."""

from __future__ import annotations

from governance.core.actor import Actor
from governance.demo.granting import of_role
from governance.demo.ordering import Ordered, confirmer
from governance.demo.world import World
from governance.ledger.recording import Subject
from governance.provisioning import events
from governance.provisioning.models import OperationState


def record_orders(world: World, orders: list[Ordered]) -> None:
    """Record how the orders that came to an end came out."""
    for order in orders:
        operation, plan = order.operation, order.plan
        about = (Subject("operation", str(operation.pk)), plan.member.subject, *of_role(plan))
        actor = Actor.system("delivery", correlation_id=operation.correlation_id)
        data: dict[str, object] = {"kind": operation.kind, "origin": operation.origin}
        if operation.verified_at is not None:
            passed = operation.verified_at - operation.ordered_at
            data["milliseconds_since_order"] = round(passed.total_seconds() * 1000)
            world.record(events.OPERATION_VERIFIED, *about, actor=actor, at=operation.verified_at, data=data)
        elif operation.failed_at is not None:
            data["attempts"] = operation.attempts
            world.record(events.OPERATION_FAILED, *about, actor=actor, at=operation.failed_at, data=data)
        elif operation.state == OperationState.DELIVERED and operation.delivered_at is not None:
            owner = world.by(confirmer(plan).person)
            said: dict[str, object] = {"kind": operation.kind}
            world.record(events.OPERATION_CONFIRMED, *about, actor=owner, at=operation.delivered_at, data=said)
