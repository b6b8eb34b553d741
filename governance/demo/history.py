"""A year of asking: standing access, temporary access, what was declined, taken back, extended or forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta

from governance.access.models import GrantCause, RequestState
from governance.core.clock import OPEN_END
from governance.demo import words
from governance.demo.asking import Desk
from governance.demo.people import Member
from governance.demo.plans import Ask, Plan
from governance.demo.shelf import Offer

#: Of what stands without an end, so much was there before Gatehouse.
_IMPORTED = 0.35
_NOTHING = timedelta(0)


def fill_the_year(desk: Desk) -> None:
    """Plan a year of requests and what was taken over at the rollout."""
    for offer in desk.shelf:
        _take_over_for_owners(desk, offer)
        for _ in range(offer.role.standing):
            _stand(desk, offer)
        for _ in range(offer.role.temporary):
            _ask_for_a_time(desk, offer)


def _take_over_for_owners(desk: Desk, offer: Offer) -> None:
    """The first owner of an application has its most powerful role since before Gatehouse."""
    owner = offer.owners[0]
    if offer.role.privileged and not offer.app.is_relay and desk.books.is_free(owner, offer, desk.world.rollout_at):
        _take_over(desk, owner, offer)


def _take_over(desk: Desk, member: Member, offer: Offer) -> None:
    at = desk.world.rollout_at + timedelta(hours=2)
    desk.books.keep(Plan(member, offer, GrantCause.IMPORTED, at, OPEN_END, at, desk.imported()))


def _stand(desk: Desk, offer: Offer) -> None:
    world = desk.world
    at = world.workday(world.chance.randrange(4, 390))
    if world.chance.random() < _IMPORTED or offer.role.policy == "critical":
        member = _somebody(desk, offer, world.rollout_at + timedelta(hours=2), OPEN_END)
        if member is not None:
            _take_over(desk, member, offer)
        return
    member = _somebody(desk, offer, at, OPEN_END)
    if member is None:
        return
    ask = desk.ask(member, offer, at, None, purpose="Something else", reason=world.chance.choice(words.STANDING))
    plan = desk.approve(ask)
    age = world.at - at
    if plan is not None and plan.ending is None and age > timedelta(days=60) and world.chance.random() < 0.18:
        desk.revoke(plan, world.workday(world.chance.randrange(3, age.days - 20)), by=offer.owners[0])


def _ask_for_a_time(desk: Desk, offer: Offer) -> None:
    world = desk.world
    at = world.workday(world.chance.randrange(3, 385))
    version = offer.version_at(at)
    duration = min(world.chance.choice(words.TIMES[offer.role.policy]), version.max_duration)
    member = _somebody(desk, offer, at, at + duration + timedelta(days=4))
    if member is None:
        return
    ask = desk.ask(member, offer, at, duration)
    fate = world.chance.random()
    if desk.is_automatic(ask) or fate < 0.86:
        _let_it_run(desk, ask)
    elif fate < 0.94:
        _decline(desk, ask)
    elif fate < 0.98:
        desk.close(ask, RequestState.WITHDRAWN, at + world.around(timedelta(minutes=25)))
    else:
        _let_it_lapse(desk, ask)


def _decline(desk: Desk, ask: Ask) -> None:
    at = ask.created_at + desk.wait(ask)
    if len(ask.version.stages) > 1 and desk.world.chance.random() < 0.5:
        desk.answer(ask, at)
        at += desk.wait(ask)
    desk.answer(ask, at, approved=False, reason=desk.world.chance.choice(words.DECLINED))


def _let_it_lapse(desk: Desk, ask: Ask) -> None:
    lapses_at = ask.created_at + ask.version.lapses_after
    if lapses_at < desk.world.at - timedelta(hours=1):
        desk.close(ask, RequestState.LAPSED, lapses_at + desk.world.seconds(0.1, 1))
    else:
        _let_it_run(desk, ask)


def _let_it_run(desk: Desk, ask: Ask) -> None:
    """Approve, now and then for shorter, and let the grant end in one of the usual ways."""
    world, duration = desk.world, ask.duration
    assert duration is not None
    shorter = duration / 2 if duration >= timedelta(hours=2) and world.chance.random() < 0.08 else None
    plan = desk.approve(ask, duration=shorter)
    if plan is None or plan.ending is not None:
        return
    length, fate = plan.ends_at - plan.starts_at, world.chance.random()
    early = plan.starts_at + length * world.chance.uniform(0.2, 0.8)
    early = early.replace(microsecond=0)
    is_over = plan.ends_at < world.at - timedelta(hours=2)
    if fate < 0.22 and early < world.at - timedelta(hours=2):
        desk.give_back(plan, early)
    elif fate < 0.25 and early < world.at - timedelta(hours=2):
        desk.revoke(plan, early, by=desk.shelf[ask.offer.key].owners[0])
    elif fate < 0.37 and is_over and length >= timedelta(hours=1):
        _extend(desk, plan, length)


def _extend(desk: Desk, plan: Plan, length: timedelta) -> None:
    asked_at = (plan.ends_at - length * 0.3).replace(microsecond=0)
    later = plan.ends_at + length
    is_past = later < desk.world.at - timedelta(hours=1)
    is_free = desk.books.is_free(plan.member, plan.offer, plan.ends_at, later)
    if not is_past or not is_free or not plan.member.stays(plan.starts_at, later):
        return
    if asked_at < plan.offer.versions[-1].effective_at < later:
        return  # The rules changed in between; nobody extended that week.
    ask = desk.ask(plan.member, plan.offer, asked_at, length, purpose="Work on a ticket", extends=plan)
    quickly = max(_NOTHING, length * 0.1)
    desk.approve(ask, quickly=timedelta(seconds=round(quickly.total_seconds())))


def _somebody(desk: Desk, offer: Offer, since: datetime, until: datetime) -> Member | None:
    """Return somebody of the right departments who may ask at `since` and has or awaits nothing until `until`."""
    people = list(desk.company)
    for _ in range(40):
        member = desk.world.chance.choice(people)
        stage = member.stage_at(since)
        fits = stage is not None and stage.department in offer.role.by and member.settled_at <= since
        if not fits or member in offer.owners or not member.stays(since, since + timedelta(days=4)):
            continue
        if desk.may_ask(member, offer, since) and desk.books.is_free(member, offer, since, until):
            return member
    return None
