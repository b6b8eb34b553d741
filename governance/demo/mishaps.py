"""The few orders that failed or came late, and what they said."""

from __future__ import annotations

from datetime import timedelta

from governance.access.models import EndCause
from governance.demo import staff
from governance.demo.asking import Desk
from governance.demo.people import Member
from governance.demo.plans import Course, Plan
from governance.demo.shelf import Offer

NO_LICENCE = (
    "{name} answered 409: no licence is left.",
    "Buy another licence or free one, then retry.",
)
TOKEN_EXPIRED = (
    "{name} answered 401: the token expired.",
    "Renew the token, or remove it by hand and tick it off.",
)


def go_wrong(desk: Desk) -> None:
    """Let some removals fail or come late."""
    minute = timedelta(minutes=1)
    unremoved = _last_plans(desk, who_left(desk, staff.LEFT_UNREMOVED))[-1]
    unremoved.take = failed(unremoved.offer, TOKEN_EXPIRED, timedelta(hours=24), attempts=19)
    late = _last_plans(desk, who_left(desk, staff.LEFT_REMOVED_LATE))[-1]
    late.take = Course(timedelta(days=3, hours=2), timedelta(seconds=4), attempts=23)
    today = _last_plans(desk, who_left(desk, staff.LEFT_TODAY))[-1]
    today.take = failed(today.offer, TOKEN_EXPIRED, 5 * minute, attempts=1)
    long_ago = desk.world.at - timedelta(days=3)
    for key in ("salesforce/export", "stripe/refunds"):
        past = [plan for plan in desk.books.by_role[key] if plan.ending is None and plan.final_end < long_ago]
        forgotten = max(past, key=lambda plan: plan.final_end)
        forgotten.take = failed(forgotten.offer, TOKEN_EXPIRED, timedelta(hours=24), attempts=19)


def failed(offer: Offer, words: tuple[str, str], after: timedelta, *, attempts: int = 1) -> Course:
    """Return the course of an order that failed with these words: the cause and the next step."""
    cause, next_step = (sentence.format(name=offer.application.name) for sentence in words)
    return Course(after, None, attempts=attempts, cause=cause, next_step=next_step)


def who_left(desk: Desk, days_ago: float) -> Member:
    """Return who left so long ago."""
    leavers = sorted(
        (one for one in desk.company if not one.is_active), key=lambda one: one.now.recorded_at, reverse=True
    )
    return leavers[staff.LEFT_DAYS_AGO.index(days_ago)]


def _last_plans(desk: Desk, member: Member) -> list[Plan]:
    """Return what a leaver lost by leaving in applications that are read, the most powerful last."""
    lost = [
        plan
        for plan in desk.books.plans
        if plan.member is member
        and plan.ending is not None
        and plan.ending.cause == EndCause.LEFT
        and not plan.offer.app.by_hand
    ]
    return sorted(lost, key=lambda plan: (plan.offer.role.risk, plan.offer.application.pk))
