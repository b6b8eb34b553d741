"""The sweeper wakes when something is due, shares the work with others, and comes back from whatever kills it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from threading import Event

import pytest
import time_machine
from django.db import connection, connections, transaction

from governance.access import grants, sweeper
from governance.access.models import Grant, GrantCause
from governance.access.sweep import next_due_at, sweep
from governance.access.sweeper import LONGEST_SLEEP_SECONDS, SECONDS_BETWEEN_SWEEPS, SECONDS_WITHOUT_DATABASE, Sweeper
from governance.catalog.models import Entitlement
from governance.config.processes import wait_until
from governance.core.clock import OPEN_END, now
from governance.identity.models import Person
from governance.ledger.models import Pending
from governance.provisioning.models import Operation, OperationKind
from tests import cast
from tests.cast import TESTING
from tests.forked import forked

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def noon() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def give(
    people: list[Person], role: Entitlement, starts_at: datetime, ends_at: datetime = OPEN_END, count: int = 1
) -> list[Grant]:
    new = grants.NewGrant
    wanted = [
        new(one.pk, role.pk, role.application_id, GrantCause.MANUAL, starts_at, ends_at)
        for one in people
        for _ in range(count)
    ]
    with transaction.atomic():
        return grants.start_many(wanted, at=now(), actor=TESTING)


def due_long_ago(people: list[Person], role: Entitlement, count: int) -> int:
    """Have as many grants of each that began and ended before the sweeper looked; return how many."""
    made = give(people, role, now() - 2 * HOUR, now() + HOUR, count)
    Grant.objects.filter(pk__in=[one.pk for one in made]).update(ends_at=now() - HOUR)
    return len(made)


def assert_everything_ended_once(wanted: int) -> None:
    takes = Operation.objects.filter(kind=OperationKind.TAKE).values_list("origin", flat=True)
    entries = Counter(one.body["subjects"][0]["ref"] for one in Pending.objects.all() if _is_end(one))
    assert not Grant.objects.filter(end_ordered_at=None).exists()
    assert len(takes) == len(set(takes)) == wanted
    assert sorted(entries.values()) == [1] * wanted


def _is_end(pending: Pending) -> bool:
    return bool(pending.body["event"] == "grant.ended")


@pytest.mark.django_db
def test_it_sleeps_until_the_next_start_or_end_and_looks_again_for_sooner_ones(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    process = Sweeper()
    assert (next_due_at(), process.turn()) == (None, LONGEST_SLEEP_SECONDS)

    give([ada], analyst, NOON, NOON + HOUR)
    give([ada], analyst, NOON + 2 * HOUR)

    assert (next_due_at(), process.turn()) == (NOON + HOUR, LONGEST_SLEEP_SECONDS)
    noon.move_to(NOON + HOUR - timedelta(milliseconds=70))
    assert process.turn() == pytest.approx(0.07)
    noon.move_to(NOON + HOUR)
    assert process.turn() == SECONDS_BETWEEN_SWEEPS
    assert Grant.objects.get(ends_at=NOON + HOUR).end_ordered_at == NOON + HOUR
    assert next_due_at() == NOON + 2 * HOUR


@pytest.mark.django_db
def test_it_goes_on_at_once_while_a_whole_batch_was_due(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "BATCH", 2)
    give([ada], analyst, NOON, NOON + HOUR, count=3)
    noon.shift(HOUR)

    assert [Sweeper().turn() for _ in range(3)] == [0.0, SECONDS_BETWEEN_SWEEPS, LONGEST_SLEEP_SECONDS]


@pytest.mark.django_db
def test_what_never_began_and_is_over_wakes_nobody(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    grants.revoke(give([ada], analyst, NOON + HOUR, NOON + 2 * HOUR)[0], actor=TESTING)
    noon.shift(3 * HOUR)

    assert next_due_at() is None
    assert sweep() == 0


@pytest.mark.django_db(transaction=True)
def test_it_outlives_a_database_that_goes_away(ada: Person, analyst: Entitlement) -> None:
    wanted = due_long_ago([ada], analyst, 1)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(_end_session, _session()).result()

    assert Sweeper().turn() == SECONDS_WITHOUT_DATABASE
    assert Sweeper().turn() == SECONDS_BETWEEN_SWEEPS
    assert_everything_ended_once(wanted)


@pytest.mark.django_db(transaction=True)
def test_two_at_once_do_nothing_twice(analyst: Entitlement) -> None:
    people = [cast.hire(f"Person{number} Test") for number in range(12)]
    wanted = due_long_ago(people, analyst, 10)

    with ThreadPoolExecutor(3) as pool:
        done = [finished.result() for finished in [pool.submit(_in_thread, sweep) for _ in range(3)]]

    sweep()
    assert sum(done) <= wanted
    assert_everything_ended_once(wanted)


@pytest.mark.django_db(transaction=True)
def test_whoever_is_locked_is_skipped_and_hides_nobody(ada: Person, grace: Person, analyst: Entitlement) -> None:
    due_long_ago([ada], analyst, 3)
    due_long_ago([grace], analyst, 1)

    with transaction.atomic(), ThreadPoolExecutor(1) as pool:
        Person.objects.select_for_update().get(pk=ada.pk)
        done = pool.submit(_in_thread, sweep).result()

    assert done == 1
    assert set(Grant.objects.filter(end_ordered_at=None).values_list("person_id", flat=True)) == {ada.pk}


@pytest.mark.django_db(transaction=True)
def test_an_extension_that_came_first_wins_against_expiry(ada: Person, analyst: Entitlement) -> None:
    (grant,) = give([ada], analyst, now(), now() + HOUR)
    later = now() + 3 * HOUR

    with transaction.atomic(), ThreadPoolExecutor(1) as pool:
        grants.extend(grant, ends_at=later, actor=TESTING)
        with time_machine.travel(now() + 2 * HOUR):
            during = pool.submit(_in_thread, sweep).result()
    with time_machine.travel(now() + 2 * HOUR):
        after = sweep()

    assert (during, after) == (0, 0)
    assert Grant.objects.get().end_ordered_at is None


@pytest.mark.django_db(transaction=True)
def test_killed_in_the_middle_another_one_finishes_within_ten_seconds_and_nothing_twice(analyst: Entitlement) -> None:
    people = [cast.hire(f"Person{number} Test") for number in range(20)]
    wanted = due_long_ago(people, analyst, 100)
    connection.close()

    first = _start()
    assert wait_until(lambda: _ordered() > 0, timeout_seconds=20)
    first.kill()
    first.join()
    began = time.monotonic()
    second = _start()
    caught_up = wait_until(lambda: _ordered() == wanted, timeout_seconds=20)
    took = time.monotonic() - began
    second.kill()
    second.join()

    assert caught_up
    assert took < 10
    assert_everything_ended_once(wanted)


def _start() -> BaseProcess:
    connection.close()
    return forked(_sweep_in_process)


def _sweep_in_process() -> None:
    # Small batches, so that it is killed between two.
    sweeper.BATCH = 50
    Sweeper(Event()).run()


def _ordered() -> int:
    return Grant.objects.filter(end_ordered_at__isnull=False).count()


def _in_thread(act: object) -> int:
    try:
        return act()  # type: ignore[operator,no-any-return]
    finally:
        connections.close_all()


def _session() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def _end_session(pid: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    connection.close()
