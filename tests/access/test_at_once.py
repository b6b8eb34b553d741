"""Two who answer, take back, leave, extend or escalate at once, over real connections: never both win."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from django.db import connections, transaction

from governance.access import absences, deciding, grants, requests, turns
from governance.access.models import AccessRequest, Approval, Grant, RequestState, Turn
from governance.access.sweep import escalate_batch, sweep
from governance.catalog.models import Application, ApplicationOwner, Entitlement
from governance.catalog.stages import Approvers, Stage
from governance.core.clock import now
from governance.core.errors import Conflict, DomainError, Refused
from governance.identity.models import Person
from governance.identity.queries import locked_person
from governance.lifecycle import actions as lifecycle
from governance.provisioning.models import Operation
from tests import cast
from tests.cast import acting, add_role
from tests.web import stories

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]

ROUNDS = 3


def at_once(*acts: Callable[[], object]) -> list[object]:
    """Do all of it in as many threads, begun together; return what came of each: a value or the domain's error."""
    ready = threading.Barrier(len(acts))

    def act(one: Callable[[], object]) -> object:
        ready.wait(timeout=30)
        try:
            return one()
        except DomainError as problem:
            return problem
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=len(acts)) as pool:
        return list(pool.map(act, acts))


def leave(person: Person) -> None:
    with transaction.atomic():
        lifecycle.leave(locked_person(person.scim_id), actor=cast.TESTING)


def won(outcomes: list[object]) -> list[object]:
    return [one for one in outcomes if not isinstance(one, DomainError)]


def only(outcomes: list[object]) -> DomainError:
    (lost,) = (one for one in outcomes if isinstance(one, DomainError))
    return lost


def asked(ada: Person, role: Entitlement) -> Iterator[AccessRequest]:
    """Ask again and again, so that both orders are met."""
    for _ in range(ROUNDS):
        request = stories.submit(ada, role)
        yield request
        for grant in Grant.objects.filter(person=ada, ends_at__gt=now()):
            grants.revoke(grant, actor=cast.TESTING)


def test_team_263_of_two_yeses_at_once_one_wins_and_the_other_learns_who_and_when(
    ada: Person, grace: Person, linus: Person, analyst: Entitlement
) -> None:
    ApplicationOwner.objects.create(application=analyst.application, person=grace, since=now())
    for request in asked(ada, analyst):
        outcomes = at_once(lambda r=request: stories.approve(r, linus), lambda r=request: stories.approve(r, grace))  # type: ignore[misc]

        approval = Approval.objects.get(request=request)
        assert approval.approver is not None
        assert len(won(outcomes)) == 1
        assert isinstance(only(outcomes), Conflict)
        assert f"{approval.approver.display_name} approved this at" in str(only(outcomes))
        assert Grant.objects.filter(request=request).count() == 1


def test_a_yes_and_a_no_at_once_are_one_answer(ada: Person, grace: Person, linus: Person, analyst: Entitlement) -> None:
    ApplicationOwner.objects.create(application=analyst.application, person=grace, since=now())
    for request in asked(ada, analyst):
        outcomes = at_once(lambda r=request: stories.approve(r, linus), lambda r=request: stories.decline(r, grace))  # type: ignore[misc]

        request.refresh_from_db()
        assert len(won(outcomes)) == 1
        assert Grant.objects.filter(request=request).exists() == (request.state == RequestState.APPROVED)


def test_a_yes_and_taking_it_back_at_once_are_one(ada: Person, linus: Person, analyst: Entitlement) -> None:
    for request in asked(ada, analyst):
        outcomes = at_once(
            lambda r=request: stories.approve(r, linus),  # type: ignore[misc]
            lambda r=request: requests.withdraw(r, person=ada, actor=acting(ada)),  # type: ignore[misc]
        )

        request.refresh_from_db()
        assert len(won(outcomes)) == 1
        assert Grant.objects.filter(request=request).exists() == (request.state == RequestState.APPROVED)


def test_a_yes_while_the_person_leaves_gives_nothing_that_stays(
    grace: Person, linus: Person, analyst: Entitlement
) -> None:
    for number in range(ROUNDS):
        person = cast.hire(f"Leaver{number} Test", manager=grace)
        request = stories.submit(person, analyst)

        at_once(
            lambda r=request: stories.approve(r, linus),  # type: ignore[misc]
            lambda p=person: leave(p),  # type: ignore[misc]
        )

        request.refresh_from_db()
        assert request.state != RequestState.PENDING
        assert not Grant.objects.filter(person=person, ends_at__gt=now()).exists()


def test_more_time_and_the_end_at_once_leave_one_truth(ada: Person, linus: Person, analyst: Entitlement) -> None:
    for _ in range(ROUNDS):
        grant = stories.give(ada, analyst, ends_in=timedelta(milliseconds=150))
        later = now() + timedelta(hours=1)

        def extend(one: Grant = grant, ends_at: datetime = later) -> Grant:
            threading.Event().wait(0.14)
            return grants.extend(one, ends_at=ends_at, actor=cast.TESTING)

        def expire() -> int:
            threading.Event().wait(0.16)
            return sweep()

        extended, _ = at_once(extend, expire)
        sweep()

        grant.refresh_from_db()
        taken = Operation.objects.filter(origin=f"grant:{grant.pk}", kind="take").exists()
        assert (grant.ends_at == later) == isinstance(extended, Grant)
        assert (grant.end_ordered_at is None) == (grant.ends_at > now())
        assert taken == (grant.ends_at <= now())
        if grant.ends_at > now():
            grants.revoke(grant, actor=cast.TESTING)


def test_an_answer_and_an_escalation_at_once_do_not_both_happen_after_each_other(
    ada: Person, linus: Person, snowflake: Application
) -> None:
    stage = Stage(Approvers("owner"), escalates_after=timedelta(minutes=1), fallback=Approvers("manager"))
    for request in asked(ada, add_role(snowflake, stages=(stage,))):
        AccessRequest.objects.filter(pk=request.pk).update(escalates_at=now() - timedelta(seconds=1))

        approved, escalated = at_once(
            lambda r=request: stories.approve(r, linus),  # type: ignore[misc]
            lambda: escalate_batch(100),
        )

        request.refresh_from_db()
        assert isinstance(approved, AccessRequest)
        assert request.state == RequestState.APPROVED
        assert Turn.objects.filter(request=request).count() == escalated
        assert escalate_batch(100) == 0


def test_two_sweepers_escalate_once(ada: Person, snowflake: Application) -> None:
    stage = Stage(Approvers("owner"), escalates_after=timedelta(minutes=1), fallback=Approvers("manager"))
    for request in asked(ada, add_role(snowflake, stages=(stage,))):
        AccessRequest.objects.filter(pk=request.pk).update(escalates_at=now() - timedelta(seconds=1))

        outcomes = at_once(lambda: escalate_batch(100), lambda: escalate_batch(100))

        assert sum(one for one in outcomes if isinstance(one, int)) == 1
        assert Turn.objects.filter(request=request).count() == 1
        requests.withdraw(request, person=ada, actor=acting(ada))


def test_handing_over_and_deciding_at_once_are_in_one_order(
    ada: Person, linus: Person, sam: Person, analyst: Entitlement
) -> None:
    for request in asked(ada, analyst):
        handed, approved = at_once(
            lambda r=request: turns.hand_over(  # type: ignore[misc]
                r, approver=linus, to=sam, reason="You know this.", actor=acting(linus)
            ),
            lambda r=request: stories.approve(r, linus),  # type: ignore[misc]
        )

        request.refresh_from_db()
        if isinstance(handed, Turn):
            assert isinstance(approved, Refused)
            stories.approve(request, sam)
        else:
            assert isinstance(handed, Conflict)
        assert Approval.objects.filter(request=request).count() == 1


def test_going_away_and_deciding_at_once_leaves_one_answer(
    ada: Person, linus: Person, grace: Person, analyst: Entitlement
) -> None:
    for request in asked(ada, analyst):
        at = now()
        away, own, deputy = at_once(
            lambda at=at: absences.plan_absence(  # type: ignore[misc]
                linus, deputy=grace, starts_at=at, ends_at=at + timedelta(days=1), actor=acting(linus)
            ),
            lambda r=request: stories.approve(r, linus),  # type: ignore[misc]
            lambda r=request: stories.approve(r, grace),  # type: ignore[misc]
        )

        assert Approval.objects.filter(request=request).count() == 1
        assert len(won([own, deputy])) == 1
        assert not isinstance(away, DomainError)
        for absence in absences.absences_of(linus, at=now()):
            absences.end_absence(absence, person=linus, actor=acting(linus))


def test_two_absences_at_once_are_one(linus: Person, grace: Person, sam: Person) -> None:
    at = now()

    def go(deputy: Person) -> object:
        ends_at = at + timedelta(days=1)
        return absences.plan_absence(linus, deputy=deputy, starts_at=at, ends_at=ends_at, actor=acting(linus))

    outcomes = at_once(lambda: go(grace), lambda: go(sam))

    assert len(won(outcomes)) == 1


def test_team_187_587_and_356_who_left_or_lost_the_role_decides_nothing_and_somebody_else_is_asked(
    ada: Person, linus: Person, sam: Person, analyst: Entitlement
) -> None:
    request = stories.submit(ada, analyst)
    person = Person.objects.get(pk=linus.pk)
    lifecycle.leave(person, actor=cast.TESTING)

    assert deciding.eligible_approvers(request) == [sam]
    with pytest.raises(Refused) as refusal:
        stories.approve(request, person)
    assert {one.code for one in refusal.value.reasons} >= {"approver_left"}
    stories.approve(request, sam)
