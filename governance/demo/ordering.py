"""The orders that grants caused, in the order of time, and how far each has come."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from governance.demo.people import Member
from governance.demo.plans import Books, Course, Plan
from governance.demo.world import World
from governance.provisioning.models import Operation, OperationKind, OperationState

#: What `provisioning.actions` writes on an order that no connector carries out.
BY_HAND = "Do this in the application by hand, then tick it off."


@dataclass(frozen=True, slots=True)
class Ordered:
    """An order, and the grant it is about."""

    operation: Operation
    plan: Plan


def write_orders(world: World, books: Books) -> list[Ordered]:
    """Make the orders in the order of time. What another grant supports is not taken away."""
    held: dict[tuple[int, int], list[Plan]] = defaultdict(list)
    for plan in books.plans:
        held[plan.member.person.pk, plan.offer.application.pk].append(plan)
    due: list[tuple[datetime, OperationKind, Plan, bool]] = []
    for plan in books.plans:
        grant, end = plan.row, plan.final_end
        if grant.start_ordered_at is None:
            continue
        due.append((grant.start_ordered_at, OperationKind.GIVE, plan, False))
        if grant.end_ordered_at is None:
            continue
        others = [one for one in held[grant.person_id, grant.application_id] if one.covers(end)]
        if all(one.offer is not plan.offer for one in others):
            due.append((grant.end_ordered_at, OperationKind.TAKE, plan, not others))
    due.sort(key=lambda one: (one[0], one[2].row.pk))
    return [Ordered(_operation(world, *one), one[2]) for one in due]


def _operation(world: World, at: datetime, kind: OperationKind, plan: Plan, closes_account: bool) -> Operation:
    grant = plan.row
    actor = plan.actor if kind == OperationKind.GIVE else (plan.ending.actor if plan.ending else plan.actor)
    operation = world.add(
        Operation(
            application=plan.offer.application,
            person_id=grant.person_id,
            entitlement=plan.offer.entitlement,
            kind=kind,
            origin=f"grant:{grant.pk}",
            idempotency_key=f"grant:{grant.pk}:{kind}:{grant.revision if kind == OperationKind.TAKE else 1}",
            correlation_id=actor.correlation_id,
            ordered_at=at,
            next_attempt_at=at,
            closes_account=closes_account,
        )
    )
    course = (plan.give if kind == OperationKind.GIVE else plan.take) or _usual_course(world, plan)
    _let_run(world, operation, plan, course)
    if kind == OperationKind.GIVE:
        grant.give_operation = operation
    else:
        grant.take_operation = operation
    return operation


def _usual_course(world: World, plan: Plan) -> Course:
    in_time = (plan.final_end - plan.starts_at) * 0.4
    if plan.offer.app.by_hand:
        return Course(min(world.around(timedelta(hours=3)), in_time), None)
    if world.chance.random() < 0.03:
        sent_after = min(world.seconds(25, 420), in_time)
        return Course(sent_after, world.seconds(0.5, 3), attempts=world.chance.randrange(2, 5))
    return Course(world.seconds(0.3, 2.2), world.seconds(0.4, 3.2))


def _let_run(world: World, operation: Operation, plan: Plan, course: Course) -> None:
    """Write on an order how far it has come by now."""
    sent_at = operation.ordered_at + course.sent_after
    if plan.offer.app.is_relay:
        return  # Ordered now: the worker delivers it.
    if sent_at > world.at:
        operation.next_step = BY_HAND
        return
    operation.attempts = course.attempts
    if course.cause:
        operation.state, operation.failed_at = OperationState.FAILED, sent_at
        operation.last_error, operation.next_step = course.cause, course.next_step
    elif course.shown_after is None:
        operation.state, operation.delivered_at = OperationState.DELIVERED, sent_at
        operation.confirmed_by_id = confirmer(plan).person.pk
    else:
        operation.state, operation.delivered_at = OperationState.VERIFIED, sent_at
        operation.verified_at = sent_at + course.shown_after


def confirmer(plan: Plan) -> Member:
    """Return who ticks off what was done by hand: an owner, about somebody else."""
    return next(owner for owner in plan.offer.owners if owner is not plan.member)
