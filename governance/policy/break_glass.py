"""Whether somebody may break the glass, and what its review has to say. Pure.

Rules about duties do not stop it: in an emergency somebody needs it now, nobody decides before, and everybody who has
to know is told. The conflict is shown before, recorded with it, and stands in front of whoever reviews it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from governance.core.errors import Reason
from governance.policy.durations import SHORTEST, spoken

SHORTEST_REASON = 15
LONGEST_TEXT = 2000


@dataclass(frozen=True, slots=True)
class GlassFacts:
    """What breaking the glass looks at. `up_to` None: the policy knows no break-glass."""

    person_name: str
    person_is_active: bool
    name: str
    is_retired: bool
    policy_name: str
    up_to: timedelta | None
    may: bool
    already_has_it: bool
    duration: timedelta
    reason: str


@dataclass(frozen=True, slots=True)
class ReviewFacts:
    """What a review of break-glass looks at."""

    reviewer_id: int
    reviewer_is_active: bool
    person_id: int
    eligible_ids: frozenset[int]
    done: str
    follow_up: str


def refuse_glass(facts: GlassFacts) -> tuple[Reason, ...]:
    """Return every reason why the glass stays whole; empty when it may be broken."""
    return (*_who_and_what(facts), *_how_long(facts), *_sentence(facts.reason, "reason"))


def refuse_review(facts: ReviewFacts) -> tuple[Reason, ...]:
    """Return every reason why this review cannot be written; empty when it can."""
    return (*_by_whom(facts), *_sentence(facts.done, "done"), *_not_too_long(facts.follow_up, "follow_up"))


def _who_and_what(facts: GlassFacts) -> Iterator[Reason]:
    if not facts.person_is_active:
        yield Reason("person_left", f"{facts.person_name} is not active any more.")
    if facts.is_retired:
        yield Reason("retired", f"{facts.name} does not exist any more.", "entitlement")
    if facts.already_has_it:
        yield Reason("already_held", f"You have {facts.name} already. There is no glass to break.", "entitlement")
    if facts.up_to is None:
        yield Reason("no_break_glass", f"There is no break-glass for {facts.name}. Ask for it.", "entitlement")
    elif not facts.may:
        yield Reason(
            "not_eligible", f"The policy “{facts.policy_name}” does not let you break the glass here.", "entitlement"
        )


def _how_long(facts: GlassFacts) -> Iterator[Reason]:
    if facts.duration < SHORTEST:
        yield Reason("too_short", "Choose a time longer than that.", "duration")
    elif facts.up_to is not None and facts.duration > facts.up_to:
        yield Reason("too_long", f"At most {spoken(facts.up_to)}. Break it again if that is not enough.", "duration")


def _by_whom(facts: ReviewFacts) -> Iterator[Reason]:
    if facts.reviewer_id == facts.person_id:
        yield Reason("own_access", "Nobody reviews their own emergency.")
    elif not facts.reviewer_is_active or facts.reviewer_id not in facts.eligible_ids:
        yield Reason("not_asked", "This review is for somebody else to write.")


def _sentence(text: str, field: str) -> Iterator[Reason]:
    if len(text.strip()) < SHORTEST_REASON:
        yield Reason("reason_too_short", f"Write one full sentence ({SHORTEST_REASON} characters or more).", field)
    yield from _not_too_long(text, field)


def _not_too_long(text: str, field: str) -> Iterator[Reason]:
    if len(text) > LONGEST_TEXT:
        yield Reason("reason_too_long", f"Keep it under {LONGEST_TEXT} characters.", field)
