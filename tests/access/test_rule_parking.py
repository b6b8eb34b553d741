"""A run of a rule that fails pauses, is put aside in the end, and holds up nobody; planned versions are called off."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import transaction

from governance.access import birthright, queries, rule_parking, rule_runs
from governance.access.models import Grant, RuleRun
from governance.access.rule_parking import FAILURES_TO_PARK
from governance.catalog.models import Application, BirthrightRule, Entitlement, RuleCallOff
from governance.catalog.retiring import mentions
from governance.catalog.rules import RuleTerms
from governance.core.clock import now
from governance.core.errors import Conflict, NotFound
from governance.identity.models import Person
from governance.ledger.models import Pending
from tests.cast import TESTING, add_role, move

pytestmark = pytest.mark.django_db

ENGINEERS = 'department eq "Engineering"'
WEEK = timedelta(days=7)
NOON = datetime(2027, 3, 2, 12, tzinfo=UTC)


def change(name: str, condition: str, *roles: Entitlement, slug: str = "", **said: Any) -> BirthrightRule:
    return rule_runs.change_rule(RuleTerms(name, condition, roles, **said), slug=slug, actor=TESTING).rule


def held_by(person: Person) -> set[str]:
    return {grant.entitlement.name for grant in queries.access_of(person, at=now())}


def said() -> list[str]:
    return [entry.body["event"] for entry in Pending.objects.order_by("id")]


class Broken:
    """Rules of which no batch can be done; the real work of every other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.slugs: set[str] = set()
        self.real = birthright.apply
        monkeypatch.setattr(birthright, "apply", self.apply)

    def apply(self, people: Collection[int], *, judged: Collection[int] | None = None, **known: Any) -> Any:
        slugs = BirthrightRule.objects.filter(pk__in=judged or ()).values_list("slug", flat=True)
        if self.slugs & set(slugs):
            raise LookupError("There is no such thing.\nDETAIL: of Ada")
        return self.real(people, judged=judged, **known)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Broken:
    return Broken(monkeypatch)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as found:
        yield found


@pytest.fixture
def admin(snowflake: Application) -> Entitlement:
    return add_role(snowflake, "Admin")


def work_until_parked(clock: time_machine.Traveller) -> None:
    for _ in range(FAILURES_TO_PARK):
        rule_runs.work()
        clock.shift(timedelta(minutes=5))


def test_a_run_that_fails_pauses_longer_each_time_and_nothing_else_waits(
    ada: Person, analyst: Entitlement, admin: Entitlement, broken: Broken, clock: time_machine.Traveller
) -> None:
    broken.slugs = {"engineers"}
    change("Engineers", ENGINEERS, analyst)
    change("Everybody", "active eq true", admin)

    pauses = []
    for _ in range(FAILURES_TO_PARK - 1):
        rule_runs.work()
        run = RuleRun.objects.get(rule__slug="engineers")
        assert run.retry_at is not None
        pauses.append((run.retry_at - now()).total_seconds())
        rule_runs.work()
        clock.move_to(run.retry_at)

    assert pauses == [5, 10, 20, 40]
    assert RuleRun.objects.get(rule__slug="engineers").failures == FAILURES_TO_PARK - 1
    assert held_by(ada) == {"Admin"}


def test_what_failed_too_often_is_put_aside_with_its_cause_and_recorded_once(
    ada: Person, analyst: Entitlement, broken: Broken, clock: time_machine.Traveller
) -> None:
    broken.slugs = {"engineers"}
    change("Engineers", ENGINEERS, analyst)

    work_until_parked(clock)
    rule_runs.work()

    run = RuleRun.objects.get()
    assert (run.parked_at is not None, run.finished_at, run.done) == (True, None, 0)
    assert run.cause == "LookupError: There is no such thing."
    assert said().count("rule.parked") == 1
    entry = Pending.objects.filter(body__event="rule.parked").get()
    assert entry.body["data"] == {"version": 1, "done": 0, "total": 2, "error": "LookupError"}


def test_what_was_put_aside_goes_on_where_it_stopped_when_it_is_tried_again(
    ada: Person, analyst: Entitlement, broken: Broken, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_runs, "BATCH", 1)
    rule = change("Engineers", ENGINEERS, analyst)
    # Seen, listed and one of two done, before it breaks.
    turn = rule_runs._Turn()
    assert [rule_runs._step(turn) for _ in range(3)] == [0, 0, 1]
    broken.slugs = {"engineers"}
    work_until_parked(clock)
    assert (RuleRun.objects.get().done, Grant.objects.count()) == (1, 1)

    broken.slugs = set()
    rule_runs.work()
    assert Grant.objects.count() == 1
    rule_parking.try_again(rule, actor=TESTING)
    rule_runs.work()

    run = RuleRun.objects.get()
    assert (run.done, run.started, run.failures, run.cause, run.parked_at) == (2, 2, 0, "", None)
    assert Grant.objects.count() == 2
    assert said().count("rule.tried_again") == 1
    with pytest.raises(Conflict, match="Nothing of Engineers waits"):
        rule_parking.try_again(rule, actor=TESTING)


def test_a_later_version_runs_and_does_what_was_put_aside(
    ada: Person, mallory: Person, analyst: Entitlement, broken: Broken, clock: time_machine.Traveller
) -> None:
    broken.slugs = {"engineers"}
    change("Engineers", ENGINEERS, analyst)
    work_until_parked(clock)

    broken.slugs = set()
    rule = change("Engineers", 'department eq "Marketing"', analyst, slug="engineers")
    rule_runs.work()

    assert (held_by(ada), held_by(mallory)) == (set(), {"Analyst"})
    first, second = RuleRun.objects.order_by("id")
    assert None not in (first.parked_at, first.finished_at, second.finished_at)
    with pytest.raises(Conflict):
        rule_parking.try_again(rule, actor=TESTING)


def test_a_planned_version_that_is_called_off_never_begins(
    ada: Person, analyst: Entitlement, admin: Entitlement, clock: time_machine.Traveller
) -> None:
    rule = change("Engineers", ENGINEERS, analyst)
    change("Engineers", ENGINEERS, admin, slug="engineers", starts_at=NOON + WEEK)
    rule_runs.work()

    rule_runs.call_off(rule, 2, actor=TESTING)
    clock.shift(2 * WEEK)
    rule_runs.work()
    move(ada, department="Marketing")
    move(ada, department="Engineering")

    assert held_by(ada) == {"Analyst"}
    assert RuleRun.objects.count() == RuleCallOff.objects.count() == said().count("rule.called_off") == 1
    assert {one.kind for one in mentions([admin.pk])} == {"policy"}


def test_a_rule_of_which_only_a_called_off_version_is_known_gives_nothing_and_can_be_written_anew(
    ada: Person, analyst: Entitlement, clock: time_machine.Traveller
) -> None:
    rule = change("Engineers", ENGINEERS, analyst, starts_at=NOON + WEEK)
    rule_runs.call_off(rule, 1, actor=TESTING)
    clock.shift(2 * WEEK)
    rule_runs.work()
    assert held_by(ada) == set()

    change("Engineers", ENGINEERS, analyst, slug="engineers")
    rule_runs.work()
    assert held_by(ada) == {"Analyst"}


@pytest.mark.parametrize("why", ["begun", "begins_now", "twice", "replaced", "retired", "unknown"])
def test_what_cannot_be_called_off(why: str, analyst: Entitlement, clock: time_machine.Traveller) -> None:
    starts_at = None if why == "begun" else NOON + (timedelta(seconds=1) if why == "begins_now" else WEEK)
    rule = change("Engineers", ENGINEERS, analyst, starts_at=starts_at)
    if why == "twice":
        rule_runs.call_off(rule, 1, actor=TESTING)
    if why == "replaced":
        change("Engineers", ENGINEERS, analyst, slug="engineers")
    if why == "retired":
        rule_runs.retire_rule(rule, actor=TESTING)

    number = 9 if why == "unknown" else 1
    with pytest.raises(NotFound if why == "unknown" else Conflict), transaction.atomic():
        rule_runs.call_off(rule, number, actor=TESTING)

    assert RuleCallOff.objects.count() == (why == "twice")
