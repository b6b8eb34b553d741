"""The rows that follow from requests and plans: approvals, grants with their revisions, and what is recorded."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter

from governance.access import events
from governance.access.models import Approval, EndCause, Grant, GrantRevision, RequestState
from governance.core.actor import Actor
from governance.core.clock import is_open_ended
from governance.demo.asking import Desk
from governance.demo.plans import Answer, Ask, Books, Plan
from governance.demo.world import World, from_directory
from governance.identity.events import PERSON_LEFT
from governance.ledger.recording import Subject


def write_answers(desk: Desk) -> None:
    """Make the approvals and record what became of every request."""
    world = desk.world
    for ask in desk.books.asks:
        _record_request(world, ask)
    answers = [(answer, stage, ask) for ask in desk.books.asks for stage, answer in enumerate(ask.answers)]
    for answer, stage, ask in sorted(answers, key=lambda row: (row[0].at, row[2].row.pk, row[1])):
        world.add(
            Approval(
                request=ask.row,
                stage=stage,
                asked=answer.asked,
                approver_id=answer.member.person.pk if answer.member else None,
                approved=answer.approved,
                reason=answer.reason,
                duration=answer.duration,
                facts=ask.row.verdict,
                policy_version=ask.version,
                decided_at=answer.at,
            )
        )
        _record_answer(world, ask, answer, stage)


def write_grants(world: World, books: Books) -> None:
    """Make the grants with their revisions."""
    books.plans.sort(key=lambda plan: (plan.created_at, plan.member.person.pk, plan.offer.entitlement.pk))
    for plan in books.plans:
        plan.row = world.add(_grant(world, plan))
    _write_revisions(world, books)
    for ask in books.asks:
        if ask.extends is not None:
            ask.row.extends_id = ask.extends.row.pk
    _record_leavings(world, books)


def of_grant(plan: Plan) -> list[Subject]:
    """Return how the ledger names a grant. The twin of `access.subjects`."""
    return [Subject("grant", str(plan.row.pk)), plan.member.subject, *of_role(plan)]


def of_role(plan: Plan) -> list[Subject]:
    """Return how the ledger names what a grant gives."""
    offer = plan.offer
    return [Subject("application", str(offer.application.pk)), Subject("entitlement", str(offer.entitlement.pk))]


def _of_request(ask: Ask) -> list[Subject]:
    return [
        Subject("request", str(ask.row.number)),
        ask.member.subject,
        Subject("application", str(ask.offer.application.pk)),
        Subject("entitlement", str(ask.offer.entitlement.pk)),
    ]


def _record_request(world: World, ask: Ask) -> None:
    asker = world.by(ask.requester.person, correlation_id=ask.correlation_id)
    about, ref = _of_request(ask), ask.member.ref
    data: dict[str, object] = {
        "duration_seconds": _seconds(ask.duration),
        "purpose": ask.purpose,
        "policy_version": ask.version.pk,
        "extends": ask.extends.row.pk if ask.extends else None,
        "automatic": bool(ask.answers) and ask.answers[0].member is None,
    }
    private = {"reason": (ref, ask.reason), "ticket": (ref, ask.ticket)}
    world.record(events.REQUEST_SUBMITTED, *about, actor=asker, at=ask.created_at, data=data, private=private)
    if ask.closed_at is None:
        return
    if ask.state == RequestState.WITHDRAWN:
        world.record(events.REQUEST_WITHDRAWN, *about, actor=asker, at=ask.closed_at)
    elif ask.state == RequestState.LAPSED:
        world.record(events.REQUEST_LAPSED, *about, actor=world.system("expiry"), at=ask.closed_at)
    elif ask.state == RequestState.CLOSED:
        leaving = next(stage for stage in ask.member.stages if stage.recorded_at == ask.closed_at)
        actor = from_directory(leaving.correlation_id)
        world.record(events.REQUEST_CLOSED, *about, actor=actor, at=ask.closed_at, data={"because": ask.closed_because})


def _record_answer(world: World, ask: Ask, answer: Answer, stage: int) -> None:
    is_last = stage + 1 == len(ask.answers) and ask.state != RequestState.PENDING
    private = {"reason": (ask.member.ref, answer.reason)} if answer.reason and answer.member else {}
    data: dict[str, object]
    if answer.member is None:
        if not is_last:
            return
        event, data = events.REQUEST_APPROVED, {"by_policy": ask.version.pk}
    elif not answer.approved:
        event, data = events.REQUEST_DENIED, {"stage": stage}
    elif is_last:
        event, data = events.REQUEST_APPROVED, {"shortened_to": _seconds(answer.duration)}
    else:
        event, data = events.REQUEST_STAGE_APPROVED, {"stage": stage + 1}
    actor = world.by((answer.member or ask.requester).person, correlation_id=ask.correlation_id)
    world.record(event, *_of_request(ask), actor=actor, at=answer.at, data=data, private=private)


def _grant(world: World, plan: Plan) -> Grant:
    end, has_begun = plan.final_end, plan.starts_at <= world.at
    is_over = end <= world.at
    late = timedelta(0) if plan.ending else world.seconds(0.1, 1.3)
    started_late = world.seconds(0.1, 1.3) if plan.starts_at > plan.created_at else timedelta(0)
    cause = plan.ending.cause if plan.ending else EndCause.EXPIRED
    return Grant(
        person_id=plan.member.person.pk,
        entitlement=plan.offer.entitlement,
        application=plan.offer.application,
        cause=plan.cause,
        starts_at=plan.starts_at,
        ends_at=end,
        request_id=plan.ask.row.pk if plan.ask else None,
        rule_version=plan.version,
        end_cause=cause if is_over else "",
        revision=1 + len(plan.moves) + (plan.ending is not None),
        created_at=plan.created_at,
        correlation_id=plan.actor.correlation_id,
        start_ordered_at=plan.starts_at + started_late if has_begun else None,
        end_ordered_at=end + late if is_over else None,
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """A revision to be."""

    plan: Plan
    number: int
    ends_at: datetime
    at: datetime
    change: str
    actor: Actor


def _write_revisions(world: World, books: Books) -> None:
    known = [one for plan in books.plans for one in _history(plan)]
    for one in sorted(known, key=lambda row: (row.at, row.plan.row.pk, row.number)):
        world.add(
            GrantRevision(
                grant=one.plan.row,
                number=one.number,
                starts_at=one.plan.starts_at,
                ends_at=one.ends_at,
                recorded_at=one.at,
                change=one.change,
                actor_kind=one.actor.kind,
                actor_ref=one.actor.ref,
                correlation_id=one.actor.correlation_id,
            )
        )
        _record_revision(world, one)
    for plan in books.plans:
        if plan.row.end_ordered_at is not None:
            _record_end(world, plan, plan.row.end_ordered_at)


def _history(plan: Plan) -> list[_Known]:
    known = [_Known(plan, 1, plan.ends_at, plan.created_at, "started", plan.actor)]
    known += [
        _Known(plan, number, move.ends_at, move.at, move.change, move.actor)
        for number, move in enumerate(plan.moves, 2)
    ]
    if plan.ending is not None:
        ending = plan.ending
        known.append(_Known(plan, len(known) + 1, plan.final_end, ending.at, ending.cause, ending.actor))
    return known


def _record_revision(world: World, one: _Known) -> None:
    plan, about = one.plan, of_grant(one.plan)
    ends = None if is_open_ended(one.ends_at) else one.ends_at.isoformat()
    if one.change == "started":
        data: dict[str, object] = {
            "cause": plan.cause,
            "starts_at": plan.starts_at.isoformat(),
            "ends_at": ends,
            "request": plan.row.request_id,
            "rule_version": plan.row.rule_version_id,
        }
        world.record(events.GRANT_STARTED, *about, actor=one.actor, at=one.at, data=data)
    elif one.change == "extended":
        before = plan.moves[one.number - 3].ends_at if one.number > 2 else plan.ends_at
        moved: dict[str, object] = {"from": before.isoformat(), "to": ends}
        world.record(events.GRANT_EXTENDED, *about, actor=one.actor, at=one.at, data=moved)


def _record_end(world: World, plan: Plan, at: datetime) -> None:
    actor = plan.ending.actor if plan.ending else world.system("expiry")
    data: dict[str, object] = {"cause": plan.row.end_cause, "due_at": plan.final_end.isoformat()}
    world.record(events.GRANT_ENDED, *of_grant(plan), actor=actor, at=at, data=data)


def _record_leavings(world: World, books: Books) -> None:
    ended = Counter(
        plan.ending.actor.correlation_id for plan in books.plans if plan.ending and plan.ending.cause == EndCause.LEFT
    )
    seen = {plan.member.handle: plan.member for plan in books.plans}
    for member in sorted(seen.values(), key=attrgetter("person.pk")):
        for stage in member.stages:
            if stage.change == "left":
                data: dict[str, object] = {
                    "grants_ended": ended[stage.correlation_id],
                    "unlisted": False,
                    "effective_at": stage.effective_at.isoformat(),
                }
                actor = from_directory(stage.correlation_id)
                world.record(PERSON_LEFT, member.subject, actor=actor, at=stage.recorded_at, data=data)


def _seconds(duration: timedelta | None) -> int | None:
    return None if duration is None else int(duration.total_seconds())
