"""The verdict on a request: allowed or not, with every reason, and who decides next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from governance.core.errors import Reason
from governance.policy.durations import SHORTEST, spoken
from governance.policy.duties import refusals
from governance.policy.facts import RequestFacts

LONGEST_REASON = 2000
SHORTEST_REASON = 15
LONGEST_TICKET = 120


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy says. Not allowed when there is any reason; automatic when no person needs to decide."""

    reasons: tuple[Reason, ...]
    is_automatic: bool
    stages: tuple[str, ...]

    @property
    def is_allowed(self) -> bool:
        """Tell whether the request may be made."""
        return not self.reasons


def decide_request(facts: RequestFacts) -> Verdict:
    """Return the verdict on a request. Pure: the same facts always give the same verdict."""
    reasons = (
        *_who_may_ask(facts),
        *_what_may_be_asked(facts),
        *refusals(facts.duties),
        *_how_long(facts),
        *_from_when(facts.ask.starts_at, facts.now),
        *_what_for(facts),
        *_who_could_decide(facts),
    )
    return Verdict(
        reasons=reasons,
        is_automatic=not reasons and _is_automatic(facts),
        stages=tuple(stage.kind for stage in facts.policy.stages),
    )


def _who_may_ask(facts: RequestFacts) -> Iterator[Reason]:
    requester, person = facts.requester, facts.person
    if not requester.is_active:
        yield Reason("requester_left", f"{requester.name} is not active any more and cannot ask for access.")
    if not person.is_active:
        yield Reason("person_left", f"{person.name} is not active any more and cannot get access.", "person")
    if requester.id != person.id and person.manager_id != requester.id:
        yield Reason("not_their_manager", f"Only {person.name} or their manager can ask for this.", "person")
    if not facts.policy.may_request:
        yield Reason(
            "not_eligible",
            f"The policy “{facts.policy.policy_name}” does not let {person.name} ask for this.",
            "entitlement",
        )


def _what_may_be_asked(facts: RequestFacts) -> Iterator[Reason]:
    entitlement, held = facts.entitlement, facts.held
    name = f"{entitlement.name} in {entitlement.application_name}"
    if entitlement.is_retired:
        yield Reason("retired", f"{name} does not exist any more.", "entitlement")
    elif not entitlement.is_requestable:
        yield Reason("not_requestable", f"{name} cannot be asked for.", "entitlement")
    if held.waiting_request is not None:
        yield Reason("already_waiting", f"Request R-{held.waiting_request} already waits for this.", "entitlement")
    if held.until is not None and not held.is_extension and (facts.ask.starts_at or facts.now) < held.until:
        yield Reason("already_held", f"{facts.person.name} already has {name}. Extend it instead.", "entitlement")


def _how_long(facts: RequestFacts) -> Iterator[Reason]:
    duration, policy = facts.ask.duration, facts.policy
    if duration is None:
        if not policy.allows_open_end:
            yield Reason(
                "needs_end", f"This access needs an end. The longest is {spoken(policy.max_duration)}.", "duration"
            )
        return
    if duration < SHORTEST:
        yield Reason("too_short", "Choose a time longer than that.", "duration")
    if duration > policy.max_duration:
        yield Reason(
            "too_long",
            f"{spoken(duration)} is too long. The longest for {facts.entitlement.name} is "
            f"{spoken(policy.max_duration)}.",
            "duration",
        )


def _from_when(starts_at: datetime | None, now: datetime) -> Iterator[Reason]:
    if starts_at is None:
        return
    if starts_at < now - timedelta(minutes=1):
        yield Reason("starts_in_the_past", "The start lies in the past.", "starts_at")
    if starts_at > now + timedelta(days=365):
        yield Reason("starts_too_late", "The start may be at most one year ahead.", "starts_at")


def _what_for(facts: RequestFacts) -> Iterator[Reason]:
    ask, policy = facts.ask, facts.policy
    if policy.purposes and ask.purpose not in policy.purposes:
        yield Reason("unknown_purpose", f"Choose a purpose: {', '.join(policy.purposes)}.", "purpose")
    length = len(ask.reason.strip())
    if length < SHORTEST_REASON:
        yield Reason("reason_too_short", f"Write one full sentence ({SHORTEST_REASON} characters or more).", "reason")
    if length > LONGEST_REASON:
        yield Reason("reason_too_long", f"Keep it under {LONGEST_REASON} characters.", "reason")
    if policy.requires_ticket and not ask.ticket.strip():
        yield Reason("needs_ticket", "This access needs a ticket number.", "ticket")
    if len(ask.ticket) > LONGEST_TICKET:
        yield Reason("ticket_too_long", f"Keep the ticket under {LONGEST_TICKET} characters.", "ticket")


def _who_could_decide(facts: RequestFacts) -> Iterator[Reason]:
    if _is_automatic(facts):
        return
    for stage in facts.policy.stages:
        if not stage.approvers:
            yield Reason("no_approver", f"Nobody but you could decide this as {stage.kind}. Ask security for help.")


def _is_automatic(facts: RequestFacts) -> bool:
    policy, duration = facts.policy, facts.ask.duration
    if not policy.stages:
        return True
    if facts.duties:
        return False  # A warning is for somebody to read.
    return policy.auto_approves and duration is not None and duration <= policy.auto_approve_up_to
