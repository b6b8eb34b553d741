"""A risk score that explains itself: each part says what it adds and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from governance.policy.facts import EntitlementFacts, PersonFacts, RequestFacts

#: Points from which each level begins. Levels are 1 low, 2 medium, 3 high, 4 critical.
LEVELS = ((75, 4), (50, 3), (25, 2), (0, 1))


@dataclass(frozen=True, slots=True)
class Part:
    """What one fact adds to the score."""

    code: str
    points: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Risk:
    """A score from 0 to 100, its level and its parts."""

    points: int
    level: int
    parts: tuple[Part, ...]


def score(facts: RequestFacts) -> Risk:
    """Return the risk of granting what is asked for. Pure, and never below the entitlement's own level."""
    parts = tuple(_parts(facts))
    points = min(100, sum(part.points for part in parts))
    level = next(level for least, level in LEVELS if points >= least)
    return Risk(points, max(level, facts.entitlement.risk), parts)


def _parts(facts: RequestFacts) -> Iterator[Part]:
    yield from _of_role(facts.entitlement)
    yield from _of_person(facts.person, facts.now)
    yield from _of_time(facts.ask.duration)
    yield from _of_what_is_held(facts)


def _of_role(entitlement: EntitlementFacts) -> Iterator[Part]:
    yield Part("entitlement", 15 * (entitlement.risk - 1), f"The role is rated {entitlement.risk} of 4.")
    if entitlement.is_privileged:
        yield Part("privileged", 15, "It is a powerful role.")
    if "phi" in entitlement.data_classes:
        yield Part("phi", 15, "It reaches patient data.")
    elif entitlement.data_classes:
        yield Part("data", 8, "It reaches protected data.")


def _of_person(person: PersonFacts, now: datetime) -> Iterator[Part]:
    if person.person_type.casefold() not in ("", "employee"):
        yield Part("person_type", 10, f"{person.name} is not an employee ({person.person_type}).")
    if person.joined_at is not None and now - person.joined_at < timedelta(days=30):
        yield Part("tenure", 8, f"{person.name} joined less than 30 days ago.")


def _of_time(duration: timedelta | None) -> Iterator[Part]:
    if duration is None:
        yield Part("open_end", 12, "It would have no end.")
    elif duration > timedelta(days=7):
        yield Part("long", 6, "It would last longer than a week.")


def _of_what_is_held(facts: RequestFacts) -> Iterator[Part]:
    held = facts.held
    if held.peers and held.peers_with_it / held.peers < 0.1:
        yield Part("peers", 8, f"{held.peers_with_it} of {held.peers} people in the same department have it.")
    if held.denied_lately:
        yield Part("denied", 10, "It was declined for this person in the last 90 days.")
    for conflict in facts.duties:
        yield Part("duties", 10 + 5 * conflict.severity, conflict.sentence)
