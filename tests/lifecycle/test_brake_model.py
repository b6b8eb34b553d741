"""The brake beside its definition: random signals of two sources over days, decided by a list that is counted anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.core.actor import Actor, Door
from governance.identity.models import Person, Status
from governance.identity.profiles import Profile
from governance.lifecycle import actions as lifecycle
from governance.lifecycle import brake, holds
from governance.lifecycle.brake import Limits
from governance.lifecycle.models import HeldItem, Hold, ItemState
from tests.cast import TESTING, acting, hire, make_security_admin

pytestmark = pytest.mark.django_db

START = datetime(2026, 3, 3, 9, tzinfo=UTC)
WHY = "Its administrator confirmed it."
SOURCES = ("okta", "entra")
PEOPLE = 12

#: Minutes that pass, which source, and which of its people; -1 releases what the source is held for, -2 refuses it.
STEPS = st.lists(
    st.tuples(st.integers(0, 600), st.sampled_from(SOURCES), st.integers(-2, PEOPLE - 1)), min_size=1, max_size=40
)


class Model:
    """What should be: who left, who is held, and the hours in which signals were counted."""

    def __init__(self, limit: int, window: int) -> None:
        self.limit, self.window = limit, timedelta(hours=window)
        self.counted: dict[str, list[datetime]] = {source: [] for source in SOURCES}
        self.left: set[tuple[str, int]] = set()
        self.held: set[tuple[str, int]] = set()

    def signal(self, source: str, number: int, at: datetime) -> None:
        who = (source, number)
        if who in self.left | self.held:
            return
        within = [hour for hour in self.counted[source] if hour > at - self.window]
        self.counted[source].append(at.replace(minute=0, second=0, microsecond=0))
        (self.left if len(within) + 1 <= self.limit else self.held).add(who)

    def decide(self, source: str, *, release: bool) -> None:
        about = {who for who in self.held if who[0] == source}
        self.held -= about
        if release and about:
            self.left |= about
            self.counted[source] = []


def test_the_brake_does_what_its_definition_says_whatever_comes() -> None:
    sam = make_security_admin(hire("Sam Okoro"))

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(limit=st.integers(1, 4), window=st.integers(1, 30), steps=STEPS)
    def agrees(limit: int, window: int, steps: list[tuple[int, str, int]]) -> None:
        with transaction.atomic():
            _play(sam, limit, window, steps)
            transaction.set_rollback(True)

    agrees()


def _play(sam: Person, limit: int, window: int, steps: list[tuple[int, str, int]]) -> None:
    model, at = Model(limit, window), START
    people = {source: _people(source) for source in SOURCES}
    for source in SOURCES:
        limits = Limits(at_least=limit, share_percent=0, window_hours=window)
        brake.set_limits(f"scim:{source}", limits, actor=TESTING)
    for minutes, source, number in steps:
        at += timedelta(minutes=minutes)
        with time_machine.travel(at, tick=False):
            if number >= 0:
                person = Person.objects.select_for_update().get(pk=people[source][number].pk)
                lifecycle.leave(person, actor=Actor.service(source, door=Door.SCIM))
                model.signal(source, number, at)
            else:
                _decide(sam, source, release=number == -1)
                model.decide(source, release=number == -1)
    everybody = {one.pk: (source, number) for source in SOURCES for number, one in enumerate(people[source])}
    left = set(Person.objects.filter(pk__in=everybody, status=Status.LEFT).values_list("pk", flat=True))
    waiting = set(HeldItem.objects.filter(state=ItemState.WAITING).values_list("person_id", flat=True))
    assert {everybody[key] for key in left} == model.left
    assert {everybody[key] for key in waiting} == model.held


def _people(source: str) -> list[Person]:
    profiles = [Profile(f"{source}{number}@halden.example") for number in range(PEOPLE)]
    return lifecycle.join_many(profiles, source=f"scim:{source}", actor=TESTING)


def _decide(sam: Person, source: str, *, release: bool) -> None:
    found = Hold.objects.filter(source=f"scim:{source}", state="open").first()
    if found is None:
        return
    act = holds.release if release else holds.refuse
    act(found.ref, by=sam, reason=WHY, actor=acting(sam))
    holds.carry_out_released()
