"""A risk score that explains itself: each part says what it adds and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from governance.catalog.weights import STANDARD, Weights
from governance.policy.facts import EntitlementFacts, PersonFacts, RequestFacts

HIGH = 3


@dataclass(frozen=True, slots=True)
class Part:
    """What one fact adds to the score."""

    code: str
    points: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Risk:
    """A score from 0 to 100, its level (1 low to 4 critical), its parts, and the weights it was made with."""

    points: int
    level: int
    parts: tuple[Part, ...]
    weights: Weights = STANDARD


def score(facts: RequestFacts, weights: Weights = STANDARD) -> Risk:
    """Return the risk of granting what is asked for. Pure, and never below the entitlement's own level."""
    parts = tuple(part for part in _parts(facts, weights) if part.points or part.code == "entitlement")
    points = min(100, sum(part.points for part in parts))
    level = next(level for least, level in weights.levels if points >= least)
    return Risk(points, max(level, facts.entitlement.risk), parts, weights)


def _parts(facts: RequestFacts, weights: Weights) -> Iterator[Part]:
    yield from _of_role(facts.entitlement, weights)
    yield from _of_person(facts.person, facts.now, weights)
    yield from _of_length(facts.ask.duration, weights)
    yield from _of_hour(facts.person, facts.ask.starts_at or facts.now, weights)
    yield from _of_what_is_held(facts, weights)


def _of_role(entitlement: EntitlementFacts, weights: Weights) -> Iterator[Part]:
    above_lowest = entitlement.risk - 1
    yield Part("entitlement", weights.role_level * above_lowest, f"The role is rated {entitlement.risk} of 4.")
    if entitlement.is_privileged:
        yield Part("privileged", weights.privileged, "It is a powerful role.")
    if "phi" in entitlement.data_classes:
        yield Part("phi", weights.patient_data, "It reaches patient data.")
    elif entitlement.data_classes:
        yield Part("data", weights.other_data, "It reaches protected data.")


def _of_person(person: PersonFacts, now: datetime, weights: Weights) -> Iterator[Part]:
    if person.person_type.casefold() not in ("", "employee"):
        yield Part("person_type", weights.not_employee, f"{person.name} is not an employee ({person.person_type}).")
    if person.joined_at is not None and now - person.joined_at < timedelta(days=weights.new_here_days):
        yield Part("tenure", weights.new_here, f"{person.name} joined less than {weights.new_here_days} days ago.")


def _of_length(duration: timedelta | None, weights: Weights) -> Iterator[Part]:
    if duration is None:
        yield Part("open_end", weights.open_end, "It would have no end.")
    elif duration > timedelta(days=weights.long_days):
        longer = "a week" if weights.long_days == 7 else f"{weights.long_days} days"
        yield Part("long", weights.long, f"It would last longer than {longer}.")


def _of_hour(person: PersonFacts, begins: datetime, weights: Weights) -> Iterator[Part]:
    """Look at when it would begin where the person is; without a known zone there is nothing to look at."""
    zone = _zone(person.time_zone)
    if zone is None:
        return
    local = begins.astimezone(zone)
    if local.isoweekday() > 5:
        yield Part("weekend", weights.weekend, f"It would begin on a {local:%A}.")
    if not weights.day_begins <= local.hour < weights.day_ends:
        said = f"It would begin at {local:%H:%M} where {person.name} is, outside usual hours."
        yield Part("hour", weights.unusual_hour, said)


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (
        ZoneInfoNotFoundError,
        OSError,
        ValueError,
    ):  # Not found, or no name of a zone at all: the directory sends what it likes.
        return None


def _of_what_is_held(facts: RequestFacts, weights: Weights) -> Iterator[Part]:
    held = facts.held
    if held.peers and held.peers_with_it / held.peers < weights.few_peers_percent / 100:
        said = f"{held.peers_with_it} of {held.peers} people in the same department have it."
        yield Part("peers", weights.few_peers, said)
    if held.denied_lately:
        yield Part("denied", weights.declined_lately, "It was declined for this person in the last 90 days.")
    for conflict in facts.duties:
        points = weights.duties + weights.duties_level * conflict.severity
        yield Part("duties", points, conflict.sentence)
