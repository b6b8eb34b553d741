"""Whatever happens to somebody's access, who has what at every instant is what set arithmetic says.

A machine of random grants, overlaps, extensions, early ends, moves that change birthright, leaves and rejoins.
The model keeps half-open intervals of minutes and knows nothing of ours.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test

from governance.access import grants
from governance.access.models import Grant, GrantCause
from governance.access.sweep import sweep
from governance.catalog import rules
from governance.catalog.models import Entitlement
from governance.core.clock import OPEN_END
from governance.identity.models import Person
from governance.identity.queries import locked_person
from governance.lifecycle import actions as lifecycle
from governance.provisioning.models import Operation, OperationKind
from tests import cast
from tests.cast import TESTING

NOON = datetime(2036, 3, 3, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FOREVER = 10_000
LAST = 90
WHO = st.integers(0, 1)


@dataclass
class Span:
    """One reason in the model: from a minute until before another."""

    person: int
    role: int
    start: int
    end: int
    by_role: bool = False


@dataclass
class Model:
    """Who has what, as arithmetic over intervals."""

    minute: int = 0
    spans: list[Span] = field(default_factory=list)
    is_here: dict[int, bool] = field(default_factory=lambda: {0: True, 1: True})
    is_engineer: dict[int, bool] = field(default_factory=lambda: {0: True, 1: False})

    def has(self, person: int, role: int, minute: int) -> bool:
        return any(one.start <= minute < one.end for one in self.spans if (one.person, one.role) == (person, role))

    def close(self, span: Span) -> None:
        if span.end > self.minute:
            span.end = max(self.minute, span.start)

    def by_role(self, person: int) -> None:
        """Role 0 comes with engineering."""
        is_due = self.is_here[person] and self.is_engineer[person]
        live = [one for one in self.spans if one.person == person and one.by_role and one.end > self.minute]
        if is_due and not live:
            self.spans.append(Span(person, 0, self.minute, FOREVER, by_role=True))
        for one in [] if is_due else live:
            self.close(one)


class LifeOfAccess(RuleBasedStateMachine):
    """Any life of two people's access. What a step cannot do to the access it is about does nothing, here and there."""

    given_by_hand = Bundle("given_by_hand")

    def __init__(self) -> None:
        super().__init__()
        self.opened = ExitStack()
        self.opened.enter_context(transaction.atomic())
        self.clock = self.opened.enter_context(time_machine.travel(NOON, tick=False))
        self.model = Model()
        self.keys: dict[int, Span] = {}
        self.people = [
            cast.hire("Ada Lovelace", department="Engineering"),
            cast.hire("Mallory Grey", department="Marketing"),
        ]
        application = cast.add_application("Snowflake")
        self.roles = [cast.add_role(application, "Analyst"), cast.add_role(application, "Writer")]
        rules.save_birthright_rule("Engineers", 'department eq "Engineering"', [self.roles[0]], actor=TESTING)
        self._apply_rules()

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.opened.close()

    def _apply_rules(self) -> None:
        for number, person in enumerate(self.people):
            cast.move(person, title=f"Title {number}")
            self.model.by_role(number)

    @rule(target=given_by_hand, person=WHO, role=WHO, later=st.integers(0, 8), length=st.integers(1, 20))
    def give(self, person: int, role: int, later: int, length: int) -> object:
        if not self.model.is_here[person]:
            return multiple()
        start = self.model.minute + later
        span = Span(person, role, start, start + length)
        who, what = self.people[person], self.roles[role]
        new = grants.NewGrant(
            who.pk, what.pk, what.application_id, GrantCause.MANUAL, self._at(span.start), self._at(span.end)
        )
        with transaction.atomic():
            locked_person(who.scim_id)
            (grant,) = grants.start_many([new], at=self._at(self.model.minute), actor=TESTING)
        self.keys[grant.pk] = span
        self.model.spans.append(span)
        return grant.pk

    @rule(key=given_by_hand, longer=st.integers(1, 15))
    def extend(self, key: int, longer: int) -> None:
        grant, span = self._one(key)
        if grant is not None and span is not None:
            span.end += longer
            grants.extend(grant, ends_at=self._at(span.end), actor=TESTING)

    @rule(key=given_by_hand, minutes=st.integers(1, 15))
    def shorten(self, key: int, minutes: int) -> None:
        grant, span = self._one(key)
        if grant is not None and span is not None and span.start < self.model.minute + minutes < span.end:
            span.end = self.model.minute + minutes
            grants.shorten(grant, ends_at=self._at(span.end), actor=TESTING)

    @rule(key=given_by_hand)
    def end(self, key: int) -> None:
        grant, span = self._one(key)
        if grant is not None and span is not None:
            self.model.close(span)
            grants.revoke(grant, actor=TESTING)

    @rule(key=given_by_hand)
    def give_back(self, key: int) -> None:
        grant, span = self._one(key)
        if grant is not None and span is not None:
            self.model.close(span)
            grants.give_back(grant, person=self.people[span.person], actor=TESTING)

    @rule(person=WHO)
    def move(self, person: int) -> None:
        if not self.model.is_here[person]:
            return
        self.model.is_engineer[person] = not self.model.is_engineer[person]
        self.people[person] = cast.move(
            Person.objects.get(pk=self.people[person].pk),
            department="Engineering" if self.model.is_engineer[person] else "Marketing",
        )
        self.model.by_role(person)

    @rule(person=WHO)
    def leave(self, person: int) -> None:
        with transaction.atomic():
            lifecycle.leave(locked_person(self.people[person].scim_id), actor=TESTING)
        self.model.is_here[person] = False
        for span in self.model.spans:
            if span.person == person:
                self.model.close(span)

    @rule(person=WHO)
    def rejoin(self, person: int) -> None:
        if self.model.is_here[person]:
            return
        self.people[person] = cast.move(Person.objects.get(pk=self.people[person].pk), is_active=True)
        self.model.is_here[person] = True
        self.model.by_role(person)

    @rule(minutes=st.integers(1, 9))
    def wait(self, minutes: int) -> None:
        self.model.minute += minutes
        self.clock.move_to(self._at(self.model.minute))
        sweep()

    def _one(self, key: int) -> tuple[Grant | None, Span | None]:
        """Return a grant that was given by hand, while it runs or will."""
        span = self.keys[key]
        if span.end <= max(self.model.minute, span.start):
            return None, None
        return Grant.objects.get(pk=key), span

    def _at(self, minute: int) -> datetime:
        return OPEN_END if minute >= FOREVER else NOON + minute * MINUTE

    @invariant()
    def it_is_at_every_instant_what_set_arithmetic_says(self) -> None:
        """Compare every instant, past and to come, and what was ordered at the application with what is due now."""
        sweep()
        found = list(Grant.objects.values_list("person_id", "entitlement_id", "starts_at", "ends_at"))
        for person, who in enumerate(self.people):
            for role, what in enumerate(self.roles):
                mine = [
                    (start, end) for key, entitlement, start, end in found if (key, entitlement) == (who.pk, what.pk)
                ]
                for minute in range(LAST):
                    instant = self._at(minute)
                    covered = any(start <= instant < end for start, end in mine)
                    assert covered == self.model.has(person, role, minute), (person, role, minute)
                self._compare_orders(who, what, self.model.has(person, role, self.model.minute))

    def _compare_orders(self, who: Person, what: Entitlement, has_it: bool) -> None:
        last = Operation.objects.filter(person=who, entitlement=what).order_by("-pk").first()
        wants = last is not None and last.kind == OperationKind.GIVE
        assert wants == has_it, (who, what, last)


@pytest.mark.django_db
def test_any_life_of_access_is_what_set_arithmetic_says() -> None:
    chosen = settings(
        max_examples=20,
        stateful_step_count=18,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    run_state_machine_as_test(LifeOfAccess, settings=chosen)
