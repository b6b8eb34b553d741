"""Two at once over real connections: whoever holds the person first wins, the other is told, and nothing happens twice.

The first act is held open in its transaction until the second waits for it, so each order is met every time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction

from governance.access import break_glass, deciding, end_questions, grants, requests, retiring, sweep
from governance.access.models import AccessRequest, BreakGlass, EndQuestion, Grant, RequestState
from governance.catalog.models import Application, AtEnd, Entitlement, Extending
from governance.core.errors import Conflict, DomainError, Refused
from governance.identity.models import Person
from governance.identity.queries import locked_person
from governance.lifecycle import actions as lifecycle
from governance.provisioning.models import Operation, OperationKind
from tests.cast import TESTING, acting, add_role, ask

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]

NOON = datetime(2036, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def noon() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def one_after_the_other(first: Callable[[], Any], second: Callable[[], Any]) -> tuple[Any, Any]:
    """Do the first in a transaction that ends only when the second waits for it, or is done without waiting."""
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            done = first()
            other = pool.submit(_alone, second)
            _until_it_waits(other)
        return done, other.result(timeout=60)


def _alone(act: Callable[[], Any]) -> Any:
    try:
        return act()
    except DomainError as error:
        return error
    finally:
        connection.close()


def _until_it_waits(other: Future[Any]) -> None:
    for _ in range(2000):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")  # It is kept for a transaction.
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if other.done() or cursor.fetchone()[0]:
                return
        _pause()
    raise AssertionError("The second neither waits nor ends.")


def _pause() -> None:
    # An event, because the frozen clock is not to be slept by.
    threading.Event().wait(0.01)


def sent(person: Person, role: Entitlement, **known: object) -> AccessRequest:
    return requests.submit(person, role, ask(**known), actor=acting(person))  # type: ignore[arg-type]


def running(person: Person, role: Entitlement, by: Person, **known: object) -> Grant:
    deciding.approve(sent(person, role, **known), approver=by, actor=acting(by))
    return Grant.objects.latest("pk")


@pytest.fixture
def lasting(snowflake: Application) -> Entitlement:
    return add_role(snowflake, "Lasting", terms={"extending": Extending.AUTOMATIC})


def test_more_time_that_came_before_the_end_keeps_the_access(
    ada: Person, linus: Person, lasting: Entitlement, noon: time_machine.Traveller
) -> None:
    grant = running(ada, lasting, linus)

    def more() -> AccessRequest:
        made = requests.submit(ada, lasting, ask(HOUR), extends=grant, actor=acting(ada))
        noon.move_to(NOON + 2 * HOUR)
        return made

    one_after_the_other(more, lambda: sweep.sweep_batch(10))
    sweep.sweep()

    grant.refresh_from_db()
    assert grant.ends_at == NOON + 3 * HOUR
    assert not Operation.objects.filter(kind=OperationKind.TAKE).exists()


def test_more_time_that_came_after_the_end_is_refused(
    ada: Person, linus: Person, lasting: Entitlement, noon: time_machine.Traveller
) -> None:
    grant = running(ada, lasting, linus)
    noon.move_to(NOON + 2 * HOUR)

    _, answer = one_after_the_other(
        lambda: sweep.sweep_batch(10),
        lambda: requests.submit(ada, lasting, ask(HOUR), extends=grant, actor=acting(ada)),
    )

    assert isinstance(answer, Refused)
    assert "ended" in {one.code for one in answer.reasons}
    assert Operation.objects.filter(kind=OperationKind.TAKE).count() == 1


def test_two_who_extend_at_once_stay_within_the_longest_together(
    ada: Person, linus: Person, snowflake: Application, noon: time_machine.Traveller
) -> None:
    terms = {"extending": Extending.AUTOMATIC, "max_duration": 3 * HOUR, "default_duration": HOUR}
    role = add_role(snowflake, "Lasting", terms=terms)
    grant = running(ada, role, linus)

    def more() -> AccessRequest:
        return requests.submit(ada, role, ask(HOUR), extends=grant, actor=acting(ada))

    _, answer = one_after_the_other(more, more)

    grant.refresh_from_db()
    assert isinstance(answer, Refused)
    assert "longest_reached" in {one.code for one in answer.reasons}
    assert grant.ends_at == NOON + 3 * HOUR


def test_the_same_asked_for_twice_at_once_is_one_request(ada: Person, analyst: Entitlement) -> None:
    made, answer = one_after_the_other(lambda: sent(ada, analyst), lambda: sent(ada, analyst))

    assert made.state == RequestState.PENDING
    assert isinstance(answer, Refused)
    assert AccessRequest.objects.count() == 1


def test_a_set_and_one_of_its_roles_at_once_are_one_request(
    ada: Person, analyst: Entitlement, lasting: Entitlement
) -> None:
    wanted = [requests.Wanted(analyst, ask()), requests.Wanted(lasting, ask())]

    _, answer = one_after_the_other(
        lambda: sent(ada, analyst), lambda: requests.submit_together(ada, wanted, actor=acting(ada))
    )

    assert isinstance(answer, Refused)
    assert AccessRequest.objects.count() == 1


@pytest.mark.parametrize("first", ["withdraw", "approve"])
def test_of_taking_back_and_approving_at_once_one_wins(
    first: str, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    made = sent(ada, analyst)
    acts: dict[str, Callable[[], Any]] = {
        "withdraw": lambda: requests.withdraw(made, person=ada, actor=acting(ada)),
        "approve": lambda: deciding.approve(made, approver=linus, actor=acting(linus)),
    }
    second = "approve" if first == "withdraw" else "withdraw"

    _, answer = one_after_the_other(acts[first], acts[second])

    assert isinstance(answer, Conflict)
    assert Grant.objects.exists() == (first == "approve")


def test_the_glass_broken_twice_at_once_is_broken_once(ada: Person, snowflake: Application) -> None:
    root = add_role(snowflake, "Root", terms={"break_glass_up_to": HOUR})

    def take() -> BreakGlass:
        return break_glass.break_glass(
            ada, root, duration=HOUR, reason="The job is stuck and nobody answers.", actor=acting(ada)
        )

    _, answer = one_after_the_other(take, take)

    assert isinstance(answer, Refused)
    assert (BreakGlass.objects.count(), Grant.objects.count()) == (1, 1)


def test_two_reviews_at_once_are_one(ada: Person, sam: Person, snowflake: Application) -> None:
    root = add_role(snowflake, "Root", terms={"break_glass_up_to": HOUR})
    why = "The job is stuck and nobody answers."
    opened = break_glass.break_glass(ada, root, duration=HOUR, reason=why, actor=acting(ada))

    def write() -> object:
        return break_glass.review(opened, reviewer=sam, is_justified=True, done=why, actor=acting(sam))

    _, answer = one_after_the_other(write, write)

    assert isinstance(answer, Conflict)


@pytest.mark.parametrize("first", ["start", "leave"])
def test_what_begins_while_its_person_leaves_is_never_left_open(
    first: str, ada: Person, linus: Person, analyst: Entitlement, noon: time_machine.Traveller
) -> None:
    grant = running(ada, analyst, linus, starts_at=NOON + HOUR)
    noon.move_to(NOON + HOUR)

    def leave() -> None:
        with transaction.atomic():
            lifecycle.leave(locked_person(ada.scim_id), actor=TESTING)

    acts: dict[str, Callable[[], Any]] = {"start": lambda: sweep.sweep_batch(10), "leave": leave}
    one_after_the_other(acts[first], acts["leave" if first == "start" else "start"])
    sweep.sweep()

    grant.refresh_from_db()
    gives, takes = (Operation.objects.filter(kind=kind).count() for kind in (OperationKind.GIVE, OperationKind.TAKE))
    assert grant.ends_at <= NOON + HOUR
    assert (gives, takes) == ((1, 1) if first == "start" else (0, 0))


@pytest.mark.parametrize("first", ["answer", "sweep"])
def test_an_answer_at_the_end_of_the_grace_comes_before_or_too_late(
    first: str, ada: Person, linus: Person, snowflake: Application, noon: time_machine.Traveller
) -> None:
    role = add_role(snowflake, "Asking", terms={"at_end": AtEnd.ASK, "kept_for": DAY})
    grant = running(ada, role, linus)
    noon.move_to(NOON + 2 * HOUR)
    sweep.sweep()
    noon.move_to(NOON + 2 * HOUR + DAY - timedelta(seconds=1))

    def answer() -> object:
        done = end_questions.keep(grant, lasts=2 * DAY, reason="", answerer=linus, actor=acting(linus))
        noon.shift(timedelta(seconds=1))
        return done

    if first == "sweep":
        noon.shift(timedelta(seconds=1))
        _, late = one_after_the_other(lambda: sweep.sweep_batch(10), answer)
        assert isinstance(late, Conflict)
    else:
        one_after_the_other(answer, lambda: sweep.sweep_batch(10))
    sweep.sweep()

    grant.refresh_from_db()
    takes = Operation.objects.filter(kind=OperationKind.TAKE).count()
    assert (grant.ends_at, takes) == (
        (NOON + 2 * HOUR + 2 * DAY, 0) if first == "answer" else (NOON + 2 * HOUR + DAY, 1)
    )


def test_two_sweepers_ask_at_the_end_once(
    ada: Person, linus: Person, snowflake: Application, noon: time_machine.Traveller
) -> None:
    role = add_role(snowflake, "Asking", terms={"at_end": AtEnd.ASK, "kept_for": DAY})
    grant = running(ada, role, linus)
    noon.move_to(NOON + 2 * HOUR)

    one_after_the_other(lambda: sweep.sweep_batch(10), lambda: sweep.sweep_batch(10))

    grant.refresh_from_db()
    assert (EndQuestion.objects.count(), grant.revision) == (1, 2)


@pytest.mark.parametrize("what", ["asks at the end", "calls off", "notes overdue"])
def test_a_sweeper_that_is_killed_in_the_middle_leaves_nothing_half_done_and_nothing_is_done_twice(
    what: str,
    ada: Person,
    linus: Person,
    sam: Person,
    snowflake: Application,
    noon: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The database takes back what a killed worker had not committed; the next one finds all of it again."""
    broken = {
        "asks at the end": "governance.access.end_questions.record_many",
        "calls off": "governance.access.starting.record_many",
        "notes overdue": "governance.access.break_glass.record_many",
    }[what]
    role = add_role(snowflake, "Some", terms={"at_end": AtEnd.ASK, "kept_for": DAY, "break_glass_up_to": HOUR})
    if what == "calls off":
        running(ada, role, linus, starts_at=NOON + 4 * DAY)
        Entitlement.objects.filter(pk=role.pk).update(retired_at=NOON)
    elif what == "asks at the end":
        running(ada, role, linus, duration=4 * DAY)
    else:
        break_glass.break_glass(ada, role, duration=HOUR, reason="The job is stuck here.", actor=acting(ada))
    noon.move_to(NOON + 4 * DAY)

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(broken, die)
        with pytest.raises(Killed):
            sweep.sweep()
    sweep.sweep()
    sweep.sweep()

    counted = {
        "asks at the end": EndQuestion.objects.count,
        "calls off": Grant.objects.filter(end_cause="ineligible", called_off__isnull=False).count,
        "notes overdue": BreakGlass.objects.filter(overdue_noted_at__isnull=False).count,
    }[what]()
    assert counted == 1
    assert Grant.objects.get().revisions.count() == (1 if what == "notes overdue" else 2)


def test_what_is_approved_while_its_role_is_retired_ends_all_the_same(
    ada: Person, linus: Person, sam: Person, analyst: Entitlement
) -> None:
    made = sent(ada, analyst)

    one_after_the_other(
        lambda: deciding.approve(made, approver=linus, actor=acting(linus)),
        lambda: retiring.retire_role(analyst, actor=acting(sam)),
    )
    sweep.sweep()

    grant = Grant.objects.get()
    assert (grant.end_cause, grant.take_operation is not None) == ("retired", True)


def test_two_sweepers_end_what_is_retired_once(ada: Person, grace: Person, sam: Person, analyst: Entitlement) -> None:
    for person in (ada, grace):
        new = grants.NewGrant(person.pk, analyst.pk, analyst.application_id, "manual", NOON)
        with transaction.atomic():
            grants.start_many([new], at=NOON, actor=TESTING)
    retiring.retire_role(analyst, actor=acting(sam))

    numbers = one_after_the_other(lambda: retiring.end_batch(1), lambda: retiring.end_batch(10))

    assert numbers == (1, 1)
    assert Operation.objects.filter(kind=OperationKind.TAKE).count() == 2
