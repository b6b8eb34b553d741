"""Rules and people that change at once, over real connections: nobody is left behind, nothing happens twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections, transaction

from governance.access import birthright, rule_runs
from governance.access.models import Grant, RuleRun
from governance.catalog.models import Entitlement
from governance.catalog.rules import RuleTerms
from governance.core.clock import now
from governance.identity.models import Person
from tests.cast import TESTING, hire, move

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]

FINANCE = 'department eq "Finance"'


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def own_connection(act: Callable[[], object]) -> Callable[[], None]:
    def acting() -> None:
        try:
            act()
        finally:
            connections.close_all()

    return acting


def holders(role: Entitlement) -> list[str]:
    running = Grant.objects.filter(entitlement=role, ends_at__gt=now())
    return sorted(running.values_list("person__display_name", flat=True))


def test_who_moves_under_the_old_rules_while_a_rule_is_saved_is_not_left_behind(
    ada: Person, analyst: Entitlement, threads: ThreadPoolExecutor
) -> None:
    moved, saved = threading.Event(), threading.Event()

    def moves() -> None:
        with transaction.atomic():
            move(ada, department="Finance")
            moved.set()
            assert saved.wait(30)

    under_way = threads.submit(own_connection(moves))
    assert moved.wait(30)
    rule_runs.change_rule(RuleTerms("Finance", FINANCE, [analyst]), actor=TESTING)
    rule_runs.work()
    waits = RuleRun.objects.get().listed_at is None
    saved.set()
    under_way.result(30)
    rule_runs.work()

    assert waits
    assert holders(analyst) == ["Ada Lovelace"]
    assert RuleRun.objects.get().finished_at is not None


def test_two_workers_at_one_run_do_nothing_twice(
    analyst: Entitlement, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_runs, "BATCH", 3)
    crew = [hire(f"Crew{number:02} Member", department="Finance") for number in range(20)]
    rule_runs.change_rule(RuleTerms("Finance", FINANCE, [analyst]), actor=TESTING)

    for done in [threads.submit(own_connection(rule_runs.work)) for _ in range(3)]:
        done.result(60)
    rule_runs.work()

    assert holders(analyst) == [one.display_name for one in crew]
    run = RuleRun.objects.get()
    assert (run.total, run.done, run.started) == (20, 20, 20)


def test_people_move_in_and_out_while_a_rule_is_applied(
    analyst: Entitlement, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_runs, "BATCH", 2)
    crew = [hire(f"Crew{number:02} Member", department="Finance") for number in range(12)]
    rule_runs.change_rule(RuleTerms("Finance", FINANCE, [analyst]), actor=TESTING)

    def moves() -> None:
        for one in crew[::2]:
            move(Person.objects.get(pk=one.pk), department="Sales")
            if one is not crew[0]:
                move(Person.objects.get(pk=one.pk), department="Finance")

    for done in [threads.submit(own_connection(act)) for act in (moves, rule_runs.work, rule_runs.work)]:
        done.result(60)
    while RuleRun.objects.filter(finished_at=None).exists():
        rule_runs.work()

    assert holders(analyst) == [one.display_name for one in crew[1:]]


def test_a_person_who_is_judged_twice_while_a_rule_is_applied_gets_it_once(
    ada: Person, analyst: Entitlement, threads: ThreadPoolExecutor
) -> None:
    rule_runs.change_rule(RuleTerms("Everybody", "active eq true", [analyst]), actor=TESTING)

    def settles() -> None:
        with transaction.atomic():
            birthright.lock([ada.pk])
            birthright.apply([ada.pk], at=now(), actor=TESTING)

    for done in [threads.submit(own_connection(act)) for act in (settles, settles, rule_runs.work)]:
        done.result(60)
    while RuleRun.objects.filter(finished_at=None).exists():
        rule_runs.work()

    assert Grant.objects.filter(person=ada, entitlement=analyst).count() == 1
