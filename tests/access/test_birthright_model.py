"""Birthright for random histories: what people have against plain set arithmetic, and what a preview said against
what happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import time_machine
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from governance.access import grants, rule_runs
from governance.access.birthright_preview import Preview, preview
from governance.access.models import Grant, Withheld
from governance.access.sweep import sweep
from governance.catalog import sod
from governance.catalog.models import BirthrightRule, SodEffect
from governance.catalog.rules import RuleTerms
from governance.core.clock import OPEN_END, now
from governance.identity.models import Person
from tests import cast
from tests.cast import TESTING

START = datetime(2027, 5, 3, 9, tzinfo=UTC)
DAY = timedelta(days=1)
DEPARTMENTS = ("Finance", "Sales", "Data")
TITLES = ("Lead", "Clerk")
PEOPLE, ROLES, SLOTS = 4, 3, 3
#: Conditions, and what they mean, said apart from the engine.
Says = Callable[["Somebody"], bool]
CONDITIONS: tuple[tuple[str, Says], ...] = (
    ("active eq true", lambda _: True),
    ('department eq "Finance"', lambda one: one.department == "Finance"),
    ('department eq "Sales" or title eq "Lead"', lambda one: one.department == "Sales" or one.title == "Lead"),
    ('title eq "Clerk"', lambda one: one.title == "Clerk"),
)


@dataclass(frozen=True)
class Change:
    """A version of the rule in a slot."""

    slot: int
    condition: int
    roles: frozenset[int]
    keeps_away: bool
    priority: int
    excepted: int | None
    except_condition: int | None
    grace_days: int
    delay_days: int


@dataclass(frozen=True)
class Retire:
    """The rule in a slot is retired; the slot is free again."""

    slot: int


@dataclass(frozen=True)
class Move:
    """The directory says something about a person."""

    person: int
    department: str
    title: str
    is_active: bool


@dataclass(frozen=True)
class Wait:
    """A day passes."""


@dataclass
class Somebody:
    """What the model knows of a person; `held` has the end of what each rule gave, none without one."""

    department: str = "Finance"
    title: str = "Clerk"
    is_active: bool = True
    held: dict[tuple[int, int], datetime | None] = field(default_factory=dict)


@dataclass
class Rule:
    """What the model knows of a rule: its versions with their starts, in the order in which they were saved."""

    versions: list[tuple[datetime, Change]]
    is_retired: bool = False

    def said(self, at: datetime) -> Change | None:
        """Return what it said last."""
        begun = [change for start, change in self.versions if start <= at]
        return begun[-1] if begun else None


@dataclass
class Model:
    """Set arithmetic for the same history."""

    people: list[Somebody] = field(default_factory=lambda: [Somebody() for _ in range(PEOPLE)])
    rules: list[Rule] = field(default_factory=list)

    def settle(self, at: datetime) -> None:
        """Bring everybody in line."""
        for number, one in enumerate(self.people):
            one.held = {reason: end for reason, end in one.held.items() if end is None or end > at}
            if not one.is_active:
                one.held = {}
                continue
            said = {key: rule.said(at) for key, rule in enumerate(self.rules)}
            in_force = {k: v for k, v in said.items() if v is not None and not self.rules[k].is_retired}
            hits = {k: v for k, v in in_force.items() if self._applies(v, number, one)}

            def is_barred(role: int, priority: int, hits: dict[int, Change] = hits) -> bool:
                return any(v.keeps_away and role in v.roles and v.priority <= priority for v in hits.values())

            wanted = {
                (role, k)
                for k, v in hits.items()
                if not v.keeps_away
                for role in v.roles
                if not is_barred(role, v.priority)
            }
            for role, k in set(one.held) - wanted:
                last = said[k]
                assert last is not None
                if is_barred(role, last.priority):
                    del one.held[role, k]
                elif one.held[role, k] is None and last.grace_days:
                    one.held[role, k] = at + last.grace_days * DAY
                elif one.held[role, k] is None:
                    del one.held[role, k]
            for reason in wanted:
                one.held[reason] = None

    def _applies(self, change: Change, number: int, one: Somebody) -> bool:
        if change.excepted == number or not CONDITIONS[change.condition][1](one):
            return False
        return change.except_condition is None or not CONDITIONS[change.except_condition][1](one)

    def ends(self) -> dict[tuple[int, int], datetime]:
        """Return what everybody has, with the last end of all reasons."""
        found: dict[tuple[int, int], datetime] = {}
        for number, one in enumerate(self.people):
            for (role, _), end in one.held.items():
                found[number, role] = max(end or OPEN_END, found.get((number, role), START))
        return found


changes = st.builds(
    Change,
    slot=st.integers(0, SLOTS - 1),
    condition=st.integers(0, len(CONDITIONS) - 1),
    roles=st.frozensets(st.integers(0, ROLES - 1), min_size=1),
    keeps_away=st.booleans(),
    priority=st.integers(1, 2),
    excepted=st.none() | st.integers(0, PEOPLE - 1),
    except_condition=st.none() | st.integers(1, len(CONDITIONS) - 1),
    grace_days=st.sampled_from([0, 0, 2]),
    delay_days=st.sampled_from([0, 0, 0, 1]),
)
moves = st.builds(
    Move,
    person=st.integers(0, PEOPLE - 1),
    department=st.sampled_from(DEPARTMENTS),
    title=st.sampled_from(TITLES),
    is_active=st.sampled_from([True, True, True, False]),
)
STEPS = st.lists(st.one_of(changes, changes, moves, st.builds(Retire, st.integers(0, SLOTS - 1)), st.just(Wait())),
                 min_size=2, max_size=10)  # fmt: skip


class BirthrightTests(TestCase):
    """Random histories over four people, three roles and three rules."""

    def setup_example(self) -> None:
        super().setup_example()
        application = cast.add_application("Snowflake")
        self.roles = [cast.add_role(application, f"Role {number}") for number in range(ROLES)]
        self.people = [
            cast.hire(f"Person{number} Crew", department="Finance", title="Clerk") for number in range(PEOPLE)
        ]
        self.rules: list[BirthrightRule | None] = [None] * SLOTS
        self.made = 0

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(steps=STEPS)
    def test_people_have_what_set_arithmetic_says(self, steps: list[Change | Retire | Move | Wait]) -> None:
        model, keys = Model(), [-1] * SLOTS
        with time_machine.travel(START, tick=False) as clock:
            for step in steps:
                self._do(step, clock)
                self._tell(model, keys, step)
                model.settle(now())
                assert self._ends() == model.ends(), step

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(steps=STEPS, has_duty=st.booleans(), has_grant=st.booleans())
    def test_what_a_preview_says_is_what_happens(
        self, steps: list[Change | Retire | Move | Wait], has_duty: bool, has_grant: bool
    ) -> None:
        with time_machine.travel(START, tick=False) as clock:
            if has_grant:
                self._give(0, 0)
            if has_duty:
                first, second, _ = self.roles
                pair = sod.SodTerms("Pair", "They could.", [first], self.people[0], [second], effect=SodEffect.BLOCK)
                sod.save_sod_rule(pair, actor=TESTING)
            for step in steps:
                said = self._previewed(step)
                before, waited = self._ends(), self._withheld()
                self._do(step, clock)
                if said is not None:
                    self._compare(said, before, waited)

    def _compare(self, said: Preview, before: dict[tuple[int, int], datetime], waited: set[tuple[int, int]]) -> None:
        after, open_end = self._ends(), OPEN_END
        assert self._told(said, "adds") == after.keys() - before.keys()
        assert self._told(said, "takes") == before.keys() - after.keys()
        both = before.keys() & after.keys()
        assert self._told(said, "keeps") == {one for one in both if before[one] == open_end and after[one] < open_end}
        assert self._told(said, "goes_on") == {one for one in both if before[one] < open_end and after[one] == open_end}
        assert self._told(said, "held_back") >= {one for one in self._withheld() - waited if one not in after}

    def _told(self, said: Preview, kind: str) -> set[tuple[int, int]]:
        places = {role.pk: number for number, role in enumerate(self.roles)}
        people = {person.pk: number for number, person in enumerate(self.people)}
        return {(people[one.person_id], places[role]) for one in said.of(kind).named for role in one.entitlement_ids}

    def _previewed(self, step: Change | Retire | Move | Wait) -> Preview | None:
        if isinstance(step, Change) and not step.delay_days:
            return preview(self._terms(step), self.rules[step.slot], at=now())
        if isinstance(step, Retire) and (rule := self.rules[step.slot]):
            return preview(None, rule, at=now())
        return None

    def _do(self, step: Change | Retire | Move | Wait, clock: time_machine.Traveller) -> None:
        match step:
            case Change():
                rule = self.rules[step.slot]
                said = self._terms(step)
                version = rule_runs.change_rule(said, slug=rule.slug if rule else "", actor=TESTING)
                self.rules[step.slot] = version.rule
            case Retire():
                if rule := self.rules[step.slot]:
                    rule_runs.retire_rule(rule, actor=TESTING)
                    self.rules[step.slot] = None
            case Move():
                person = Person.objects.get(pk=self.people[step.person].pk)
                cast.move(person, department=step.department, title=step.title, is_active=step.is_active)
            case Wait():
                clock.shift(DAY + timedelta(minutes=5))
        rule_runs.work()
        sweep()

    def _tell(self, model: Model, keys: list[int], step: Change | Retire | Move | Wait) -> None:
        match step:
            case Change():
                if keys[step.slot] < 0:
                    keys[step.slot] = len(model.rules)
                    model.rules.append(Rule([]))
                model.rules[keys[step.slot]].versions.append((now() + step.delay_days * DAY, step))
            case Retire():
                if keys[step.slot] >= 0:
                    model.rules[keys[step.slot]].is_retired = True
                    keys[step.slot] = -1
            case Move():
                one = model.people[step.person]
                one.department, one.title, one.is_active = step.department, step.title, step.is_active

    def _terms(self, step: Change) -> RuleTerms:
        self.made += 1
        rule = self.rules[step.slot]
        return RuleTerms(
            rule.name if rule else f"Rule {self.made}",
            CONDITIONS[step.condition][0],
            [self.roles[number] for number in sorted(step.roles)],
            effect="keep_away" if step.keeps_away else "give",
            priority=step.priority,
            except_condition="" if step.except_condition is None else CONDITIONS[step.except_condition][0],
            except_people=() if step.excepted is None else (self.people[step.excepted],),
            grace=step.grace_days * DAY,
            starts_at=now() + step.delay_days * DAY if step.delay_days else None,
        )

    def _give(self, person: int, role: int) -> None:
        one = self.roles[role]
        with transaction.atomic():
            given_by_hand = grants.NewGrant(self.people[person].pk, one.pk, one.application_id, "manual", now())
            grants.start_many([given_by_hand], at=now(), actor=TESTING)

    def _ends(self) -> dict[tuple[int, int], datetime]:
        places = {role.pk: number for number, role in enumerate(self.roles)}
        people = {person.pk: number for number, person in enumerate(self.people)}
        found: dict[tuple[int, int], datetime] = {}
        running = Grant.objects.filter(starts_at__lte=now(), ends_at__gt=now())
        for person, role, end in running.values_list("person_id", "entitlement_id", "ends_at"):
            key = people[person], places[role]
            found[key] = max(end, found.get(key, START))
        return found

    def _withheld(self) -> set[tuple[int, int]]:
        places = {role.pk: number for number, role in enumerate(self.roles)}
        people = {person.pk: number for number, person in enumerate(self.people)}
        waiting = Withheld.objects.filter(ended_at=None).values_list("person_id", "entitlement_id")
        return {(people[person], places[role]) for person, role in waiting}
