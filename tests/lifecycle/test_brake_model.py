"""The brake beside its definition: a machine of random signals of two sources, decided by a list counted anew."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

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


class TheBrake(RuleBasedStateMachine):
    """Two sources that signal leavers, and somebody who releases and refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = ExitStack()
        self.opened.enter_context(transaction.atomic())
        self.at = START
        self.clock = self.opened.enter_context(time_machine.travel(START, tick=False))
        self.sam = make_security_admin(hire("Sam Okoro"))
        self.people = {source: _people(source) for source in SOURCES}
        everybody = [(source, number) for source in SOURCES for number in range(PEOPLE)]
        self.names = {self.people[source][number].pk: (source, number) for source, number in everybody}

    @initialize(limit=st.integers(1, 4), window=st.integers(1, 30))
    def limits(self, limit: int, window: int) -> None:
        self.model = Model(limit, window)
        for source in SOURCES:
            chosen = Limits(at_least=limit, share_percent=0, window_hours=window)
            brake.set_limits(f"scim:{source}", chosen, actor=TESTING)

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.opened.close()

    @rule(source=st.sampled_from(SOURCES), number=st.integers(0, PEOPLE - 1))
    def signal(self, source: str, number: int) -> None:
        person = Person.objects.select_for_update().get(pk=self.people[source][number].pk)
        lifecycle.leave(person, actor=Actor.service(source, door=Door.SCIM))
        self.model.signal(source, number, self.at)

    @rule(source=st.sampled_from(SOURCES), release=st.booleans())
    def decide(self, source: str, release: bool) -> None:
        _decide(self.sam, source, release=release)
        self.model.decide(source, release=release)

    @rule(minutes=st.integers(1, 600))
    def wait(self, minutes: int) -> None:
        self.at += timedelta(minutes=minutes)
        self.clock.move_to(self.at)

    @invariant()
    def it_does_what_its_definition_says(self) -> None:
        left = Person.objects.filter(pk__in=self.names, status=Status.LEFT).values_list("pk", flat=True)
        waiting = HeldItem.objects.filter(state=ItemState.WAITING).values_list("person_id", flat=True)
        assert {self.names[key] for key in left} == self.model.left
        assert {self.names[key] for key in waiting} == self.model.held


def test_the_brake_does_what_its_definition_says_whatever_comes() -> None:
    chosen = settings(
        max_examples=60,
        stateful_step_count=40,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(TheBrake, settings=chosen)


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
