"""The verdict on a request: allowed or not, with every reason, and who decides next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from governance.core.errors import Reason
from governance.policy.durations import SHORTEST, spoken
from governance.policy.duties import refusals
from governance.policy.facts import RequestFacts, StageFacts
from governance.policy.on_behalf import may_ask_for
from governance.policy.risk import Risk, score

LONGEST_REASON = 2000
SHORTEST_REASON = 15
LONGEST_TICKET = 120


#: As what somebody is asked, in a sentence.
_SAID = {
    "manager": "their manager",
    "managers_manager": "the manager of their manager",
    "owner": "an owner of the application",
    "security": "security",
    "group": "one of a group",
    "people": "one of the named people",
}
#: Who decides when a policy without stages needs a person after all, and from the risk on that a policy names.
SECURITY = "security"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy says. Not allowed when there is any reason; automatic when no person needs to decide.

    `is_denied`: it may be made, and the policy declines it at once. `stages` are those of this request: only the first
    of the policy with `first_only`, security at the end with `adds_security`.
    """

    reasons: tuple[Reason, ...]
    is_automatic: bool
    stages: tuple[str, ...]
    is_denied: bool = False
    first_only: bool = False
    adds_security: bool = False

    @property
    def is_allowed(self) -> bool:
        """Tell whether the request may be made."""
        return not self.reasons


def decide_request(facts: RequestFacts, risk: Risk | None = None) -> Verdict:
    """Return the verdict on a request. Pure: the same facts always give the same verdict.

    `risk` is what was scored from these facts; scored with the usual weights when it is not given.
    """
    points = (risk or score(facts)).points
    first_only, adds_security = _is_first_only(facts), _adds_security(facts, points)
    stages = _route(facts, first_only=first_only, adds_security=adds_security)
    automatic = _is_automatic(facts, points)
    reasons = (
        *_who_may_ask(facts),
        *_what_may_be_asked(facts),
        *refusals(facts.duties),
        *_how_long(facts),
        *_before_leaving(facts),
        *_from_when(facts.ask.starts_at, facts.now),
        *_what_for(facts),
        *_how_risky(facts, points),
        *(() if automatic or facts.policy.auto_denies else _who_could_decide(stages)),
    )
    return Verdict(
        reasons=reasons,
        is_automatic=not reasons and automatic,
        stages=tuple(stage.kind for stage in stages),
        is_denied=not reasons and facts.policy.auto_denies,
        first_only=first_only,
        adds_security=adds_security,
    )


def _who_may_ask(facts: RequestFacts) -> Iterator[Reason]:
    requester, person = facts.requester, facts.person
    if not requester.is_active:
        yield Reason("requester_left", f"{requester.name} is not active any more and cannot ask for access.")
    if not person.is_active:
        yield Reason("person_left", f"{person.name} is not active any more and cannot get access.", "person")
    if not may_ask_for(requester, person, owns_it=facts.requester_owns_it, is_security=facts.requester_is_security):
        yield Reason(
            "not_on_behalf",
            f"Only {person.name}, their manager, an owner of {facts.entitlement.application_name} or security can "
            "ask for this.",
            "person",
        )
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
    elif _nobody_decides_extensions(facts) and _outlasts_the_longest(facts) and not policy.allows_open_end:
        yield Reason(
            "longest_reached",
            f"Extended by itself, {facts.entitlement.name} lasts {spoken(policy.max_duration)} at the longest, counted "
            "from its start, and this would be more. Ask again for the time after its end.",
            "duration",
        )


def _before_leaving(facts: RequestFacts) -> Iterator[Reason]:
    """Refuse access that would outlast a planned leave date, which ends it anyway: nobody should count on more."""
    leaves_at, duration = facts.person.leaves_at, facts.ask.duration
    if leaves_at is None:
        return
    begins = max(facts.ask.starts_at or facts.now, facts.now)
    if facts.held.is_extension and facts.held.until is not None:
        begins = facts.held.until
    if duration is None or begins + duration > leaves_at:
        yield Reason(
            "beyond_leaving",
            f"{facts.person.name} leaves on {leaves_at:%d %B %Y at %H:%M} UTC. Choose an end before that.",
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
    yield from _which_ticket(ask.ticket.strip(), facts)


def _which_ticket(ticket: str, facts: RequestFacts) -> Iterator[Reason]:
    pattern = facts.policy.ticket_pattern
    if facts.policy.requires_ticket and not ticket:
        yield Reason("needs_ticket", "This access needs a ticket number.", "ticket")
    if len(ticket) > LONGEST_TICKET:
        yield Reason("ticket_too_long", f"Keep the ticket under {LONGEST_TICKET} characters.", "ticket")
    elif ticket and pattern and not re.fullmatch(pattern, ticket):
        yield Reason("wrong_ticket", f"This is no ticket number here. It has to look like {pattern}.", "ticket")
    if facts.ask.ticket_state == "bad":
        yield Reason("ticket_not_good", facts.ask.ticket_sentence, "ticket")
    elif facts.ask.ticket_state == "refused_silent":
        yield Reason("ticket_unknown", f"{facts.ask.ticket_sentence} Try again in a while.", "ticket")


def _how_risky(facts: RequestFacts, points: int) -> Iterator[Reason]:
    most = facts.policy.refused_from
    if most is not None and points >= most:
        yield Reason(
            "too_risky",
            f"The risk is {points} of 100, and the policy “{facts.policy.policy_name}” refuses from {most} on. "
            "A shorter time can lower it.",
            "duration",
        )


def _who_could_decide(stages: tuple[StageFacts, ...]) -> Iterator[Reason]:
    for stage in stages:
        if stage.approvers is not None and len(stage.approvers) < stage.quorum:
            asked_as = _SAID.get(stage.kind, stage.kind)
            yield Reason("no_approver", f"{_too_few(stage)} could decide this as {asked_as}. Ask security for help.")


def _too_few(stage: StageFacts) -> str:
    found = len(stage.approvers or ())
    return f"Only {found} of the {stage.quorum} who are needed" if found else "Nobody but you"


def _route(facts: RequestFacts, *, first_only: bool, adds_security: bool) -> tuple[StageFacts, ...]:
    stages = facts.policy.stages[:1] if first_only else facts.policy.stages
    return (*stages, StageFacts(SECURITY, facts.policy.security)) if adds_security else stages


def _is_first_only(facts: RequestFacts) -> bool:
    return facts.held.is_extension and facts.policy.extending == "one" and len(facts.policy.stages) > 1


def _adds_security(facts: RequestFacts, points: int) -> bool:
    """Tell whether security decides too: so risky, or nobody else would look at what a person has to look at."""
    policy = facts.policy
    if not policy.stages:
        return _needs_a_person(facts, points)
    has_it = any(stage.kind == SECURITY for stage in policy.stages)
    return _from(policy.needs_security_from, points) and not has_it


def _needs_a_person(facts: RequestFacts, points: int) -> bool:
    """Tell whether policy may not say yes by itself. A warning about duties is for somebody to read."""
    policy = facts.policy
    return bool(facts.duties or _from(policy.never_automatic_from, points) or _from(policy.needs_security_from, points))


def _is_automatic(facts: RequestFacts, points: int) -> bool:
    policy, duration = facts.policy, facts.ask.duration
    if policy.auto_denies or _needs_a_person(facts, points):
        return False
    if not policy.stages or _extends_within_the_longest(facts):
        return True
    if duration is None or _outlasts_the_longest(facts):
        return False
    return policy.auto_approves and duration <= policy.auto_approve_up_to


def _extends_within_the_longest(facts: RequestFacts) -> bool:
    """Tell whether what is held would last no longer than the longest, and policy lets that go at once.

    Counted from its start, so that nobody extends for ever what was approved once. Receipts of before do not say that;
    they counted from the instant of asking.
    """
    held, duration = facts.held, facts.ask.duration
    if not held.is_extension or facts.policy.extending != "automatic" or held.until is None or duration is None:
        return False
    so_far = held.until - facts.now if held.lasts is None else held.lasts
    return so_far + duration <= facts.policy.max_duration


def _outlasts_the_longest(facts: RequestFacts) -> bool:
    """Tell whether an extension would make what it extends last longer, from its start, than the longest."""
    lasts, duration = facts.held.lasts, facts.ask.duration
    return lasts is not None and duration is not None and lasts + duration > facts.policy.max_duration


def _nobody_decides_extensions(facts: RequestFacts) -> bool:
    return facts.held.is_extension and (facts.policy.extending == "automatic" or not facts.policy.stages)


def _from(threshold: int | None, points: int) -> bool:
    return threshold is not None and points >= threshold
