"""How people want to be told by mail: read for many at once, changed by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.db import transaction

from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Invalid
from governance.identity.models import Person
from governance.ledger.recording import Subject, record
from governance.notices import events
from governance.notices.kinds import KINDS, TOPICS, Pace
from governance.notices.models import Preferences

DEFAULT_HOUR = 8


@dataclass(frozen=True, slots=True)
class Wishes:
    """What one person wants: the pace of each topic, and when the daily mail comes, in which zone."""

    paces: Mapping[str, Pace]
    daily_hour: int
    zone: ZoneInfo
    #: The zone that was chosen here; empty: the directory's.
    chosen_zone: str = field(default="")


def of(person: Person) -> Wishes:
    """Return what a person wants."""
    return many([person])[person.pk]


def many(people: Iterable[Person]) -> dict[int, Wishes]:
    """Return what people want, by primary key. One statement."""
    found = {one.pk: one for one in people}
    rows = {row.person_id: row for row in Preferences.objects.filter(person_id__in=found)}
    return {key: _wishes(rows.get(key), person.time_zone) for key, person in found.items()}


def due_at(kind: str, wishes: Wishes, at: datetime) -> datetime | None:
    """Return when a notice of this kind goes by mail; None when it does not."""
    known = KINDS[kind]
    pace = Pace.AT_ONCE if known.is_mandatory else wishes.paces[known.topic]
    if pace == Pace.NEVER:
        return None
    if pace == Pace.HOURLY:
        return at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return next_daily(at, wishes.daily_hour, wishes.zone) if pace == Pace.DAILY else at


def next_daily(at: datetime, hour: int, zone: ZoneInfo) -> datetime:
    """Return the next instant after `at` at which it is `hour` in a zone, also where clocks are changed."""
    local = at.astimezone(zone)
    for days in (0, 1):
        day = local.date() + timedelta(days=days)
        then = datetime(day.year, day.month, day.day, hour, tzinfo=zone).astimezone(at.tzinfo)
        if then > at:
            return then
    return at + timedelta(days=1)


@transaction.atomic
def change(person: Person, *, paces: Mapping[str, Any], daily_hour: int, time_zone: str = "", actor: Actor) -> Wishes:
    """Keep how a person wants to be told; topics that are not named stay as they are. Raises Invalid."""
    known = of(person)
    problems = _problems(paces, daily_hour, time_zone)
    if problems:
        raise Invalid(problems)
    wanted = {**known.paces, **{topic: Pace(pace) for topic, pace in paces.items()}}
    differing = {topic: pace.value for topic, pace in wanted.items() if pace != TOPICS[topic].default}
    row, _ = Preferences.objects.update_or_create(
        person=person,
        defaults={"paces": differing, "daily_hour": daily_hour, "time_zone": time_zone, "changed_at": now()},
    )
    record(
        events.PREFERENCES_CHANGED,
        actor=actor,
        subjects=[Subject("person", str(person.ref))],
        data={"paces": {topic: pace.value for topic, pace in wanted.items()}, "daily_hour": daily_hour},
    )
    return _wishes(row, person.time_zone)


def _wishes(row: Preferences | None, told_zone: str) -> Wishes:
    said = row.paces if row else {}
    paces = {slug: Pace(said.get(slug, topic.default)) for slug, topic in TOPICS.items()}
    chosen = row.time_zone if row else ""
    name = next((one for one in (chosen, told_zone) if one in zones()), "UTC")
    return Wishes(paces, row.daily_hour if row else DEFAULT_HOUR, ZoneInfo(name), chosen)


def _problems(paces: Mapping[str, Any], daily_hour: int, time_zone: str) -> dict[str, str]:
    problems = {}
    for topic, pace in paces.items():
        if topic not in TOPICS:
            problems[topic] = "There is no such group of notices."
        elif pace not in list(Pace):
            problems[topic] = f"Choose one of {', '.join(Pace)}."
    if not 0 <= daily_hour <= 23:
        problems["daily_hour"] = "Choose an hour from 0 to 23."
    if time_zone and time_zone not in zones():
        problems["time_zone"] = "There is no such time zone. Write it like Europe/Berlin."
    return problems


@cache
def zones() -> frozenset[str]:
    """Return the names of all time zones."""
    return frozenset(available_timezones())
