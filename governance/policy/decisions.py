"""Whether somebody may decide a request that waits, with every reason why not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from governance.core.errors import Reason
from governance.policy.durations import SHORTEST, spoken
from governance.policy.duties import DutyConflict, refusals
from governance.policy.risk import HIGH


@dataclass(frozen=True, slots=True)
class DecisionFacts:
    """What a decision on a request looks at, at the moment it is made."""

    approver_id: int
    approver_is_active: bool
    requester_id: int
    person_id: int
    person_name: str
    person_is_active: bool
    entitlement_is_retired: bool
    entitlement_name: str
    may_still_request: bool
    #: Who may decide the stage that waits.
    eligible_ids: frozenset[int]
    asked_duration: timedelta | None
    max_duration: timedelta
    chosen_duration: timedelta | None
    reason: str
    approves: bool
    #: The rules about duties that a yes would break now.
    duties: tuple[DutyConflict, ...] = ()
    #: Whether a yes is only given by somebody who has just signed in, and whether they have.
    needs_fresh_sign_in: bool = False
    is_freshly_signed_in: bool = True
    may_shorten: bool = True
    #: What the policy of the request says now: whether it declines the person at once, and from which risk on it
    #: refuses and wants security to decide too. The risk is that of what a yes would give now.
    policy_name: str = ""
    auto_denies: bool = False
    risk_points: int = 0
    refused_from: int | None = None
    needs_security_from: int | None = None
    asks_security: bool = False
    #: When the person leaves, as planned now, and from when on a yes would give something.
    leaves_at: datetime | None = None
    begins_at: datetime | None = None


def needs_fresh_sign_in(*, level: int, points: int, is_privileged: bool, never_automatic_from: int | None) -> bool:
    """Tell whether a yes needs a fresh sign-in: for high risk, powerful roles, and what the policy holds for risky.

    `level` is of the score, which is never below the role's own.
    """
    if level >= HIGH or is_privileged:
        return True
    return _from(never_automatic_from, points)


def refuse_decision(facts: DecisionFacts) -> tuple[Reason, ...]:
    """Return every reason why this decision cannot be taken; empty when it can."""
    return (*_who(facts), *(_conditions(facts) if facts.approves else _words(facts)))


def _who(facts: DecisionFacts) -> Iterator[Reason]:
    if facts.approver_id in (facts.requester_id, facts.person_id):
        yield Reason("own_request", "Nobody decides about their own access.")
    if not facts.approver_is_active:
        yield Reason("approver_left", "You are not active any more and cannot decide.")
    elif facts.approver_id not in facts.eligible_ids:
        yield Reason("not_asked", "This request does not wait for you.")


def _conditions(facts: DecisionFacts) -> Iterator[Reason]:
    yield from _person_and_role(facts)
    yield from _policy_now(facts)
    if facts.needs_fresh_sign_in and not facts.is_freshly_signed_in:
        yield Reason(
            "needs_fresh_sign_in",
            "This is high risk. Decide it in the browser, on the page Approvals, after signing in again.",
        )
    yield from refusals(facts.duties)
    chosen, asked = facts.chosen_duration, facts.asked_duration
    if chosen is None:
        return
    if not facts.may_shorten:
        yield Reason(
            "may_not_shorten", "The policy does not let you choose another time. Approve or decline.", "duration"
        )
    if chosen < SHORTEST:
        yield Reason("too_short", "Choose a time longer than that.", "duration")
    if asked is not None and chosen > asked:
        yield Reason("longer_than_asked", f"They asked for {spoken(asked)}; you can only shorten it.", "duration")
    if chosen > facts.max_duration:
        yield Reason("too_long", f"The longest is {spoken(facts.max_duration)}.", "duration")


def _person_and_role(facts: DecisionFacts) -> Iterator[Reason]:
    if not facts.person_is_active:
        yield Reason("person_left", f"{facts.person_name} is not active any more.")
    if facts.entitlement_is_retired:
        yield Reason("retired", f"{facts.entitlement_name} does not exist any more.")
    if facts.leaves_at is not None and facts.begins_at is not None and facts.leaves_at <= facts.begins_at:
        yield Reason(
            "beyond_leaving",
            f"{facts.person_name} leaves on {facts.leaves_at:%d %B %Y at %H:%M} UTC, before this would give anything.",
        )
    if not facts.may_still_request:
        yield Reason("not_eligible", f"The policy no longer lets {facts.person_name} have this.")


def _policy_now(facts: DecisionFacts) -> Iterator[Reason]:
    if facts.auto_denies:
        yield Reason(
            "declined_by_policy", f"The policy “{facts.policy_name}” now declines this for {facts.person_name}."
        )
    points = facts.risk_points
    if _from(facts.refused_from, points):
        yield Reason(
            "too_risky",
            f"The risk is {points} of 100 now, and the policy “{facts.policy_name}” refuses from {facts.refused_from} "
            "on. A shorter time can lower it.",
            "duration",
        )
    elif _from(facts.needs_security_from, points) and not facts.asks_security:
        yield Reason(
            "needs_security",
            f"The risk is {points} of 100 now, and the policy “{facts.policy_name}” has security decide too from "
            f"{facts.needs_security_from} on. This request does not ask them: decline it, and a new one will.",
        )


def _from(threshold: int | None, points: int) -> bool:
    return threshold is not None and points >= threshold


def _words(facts: DecisionFacts) -> Iterator[Reason]:
    if len(facts.reason.strip()) < 5:
        yield Reason("needs_reason", "Say in a sentence why you decline. They will read it.", "reason")
    elif len(facts.reason) > 2000:
        yield Reason("reason_too_long", "Keep it under 2000 characters.", "reason")
