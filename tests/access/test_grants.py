"""Access is a union of reasons, and its ends are a fact of time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from governance.access import endings, grants, queries, requests
from governance.access.models import EndCause, Grant, GrantCause, GrantRevision, RequestState
from governance.access.sweep import sweep, sweep_lag_seconds
from governance.catalog.models import Application, Entitlement
from governance.core.clock import OPEN_END, now
from governance.core.errors import Conflict, Invalid, Refused
from governance.identity.models import Person
from governance.provisioning.models import Operation, OperationKind
from tests import cast
from tests.cast import TESTING, acting, ask

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def give(
    person: Person,
    role: Entitlement,
    starts_at: datetime = NOON,
    ends_at: datetime = OPEN_END,
    cause: str = GrantCause.MANUAL,
) -> Grant:
    new = grants.NewGrant(person.pk, role.pk, role.application_id, cause, starts_at, ends_at)
    return grants.start_many([new], at=now(), actor=TESTING)[0]


def takes() -> list[Operation]:
    return list(Operation.objects.filter(kind=OperationKind.TAKE))


@pytest.fixture
def noon() -> object:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def test_a_grant_is_half_open(noon: object, ada: Person, analyst: Entitlement) -> None:
    give(ada, analyst, NOON, NOON + HOUR)

    held = [
        bool(queries.access_of(ada, at=at))
        for at in (NOON - HOUR, NOON, NOON + HOUR - timedelta(microseconds=1), NOON + HOUR)
    ]

    assert held == [False, True, True, False]


def test_reads_are_true_although_nobody_swept(noon: time_machine.Traveller, ada: Person, analyst: Entitlement) -> None:
    give(ada, analyst, NOON, NOON + HOUR)
    noon.shift(HOUR)

    assert queries.access_of(ada, at=now()) == []
    assert len(queries.past_access_of(ada, at=now())) == 1
    assert takes() == []


def test_the_sweep_orders_the_removal_once(noon: time_machine.Traveller, ada: Person, analyst: Entitlement) -> None:
    grant = give(ada, analyst, NOON, NOON + HOUR)
    noon.shift(HOUR + timedelta(seconds=3))

    assert sweep_lag_seconds() == 3.0
    assert (sweep(), sweep()) == (1, 0)

    grant.refresh_from_db()
    assert grant.end_cause == EndCause.EXPIRED
    assert [take.pk for take in takes()] == [grant.take_operation_id]
    assert grant.ends_at == NOON + HOUR
    assert sweep_lag_seconds() == 0.0


@pytest.mark.parametrize("other_end", [HOUR * 2, None], ids=["dated", "open"])
def test_the_end_of_one_reason_leaves_what_another_supports(
    noon: time_machine.Traveller, other_end: timedelta | None, ada: Person, analyst: Entitlement
) -> None:
    give(ada, analyst, NOON, NOON + HOUR)
    give(ada, analyst, NOON, NOON + other_end if other_end else OPEN_END, GrantCause.IMPORTED)
    noon.shift(HOUR)
    sweep()

    assert takes() == []
    assert len(queries.access_of(ada, at=now())) == 1

    if other_end:
        noon.shift(HOUR)
        sweep()
        assert len(takes()) == 1


def test_an_ended_grant_between_two_others_takes_nothing(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    outer = give(ada, analyst, NOON, OPEN_END)
    inner = give(ada, analyst, NOON, NOON + HOUR)

    grants.revoke(inner, actor=TESTING)
    assert takes() == []
    grants.revoke(outer, actor=TESTING)

    assert len(takes()) == 1


def test_a_grant_that_begins_later_is_ordered_when_it_begins(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    give(ada, analyst, NOON + HOUR, NOON + 2 * HOUR)

    assert sweep() == 0
    assert queries.upcoming_access_of(ada, at=now()) != []
    noon.shift(HOUR)
    sweep()

    assert [operation.kind for operation in Operation.objects.all()] == [OperationKind.GIVE]


def test_a_grant_revoked_before_it_begins_never_reaches_the_application(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    grant = give(ada, analyst, NOON + HOUR, NOON + 2 * HOUR)
    grants.revoke(grant, actor=TESTING)
    noon.shift(3 * HOUR)
    sweep()

    assert not Operation.objects.exists()


def test_the_account_is_closed_with_the_last_access_in_an_application(
    noon: object, ada: Person, snowflake: Application, analyst: Entitlement
) -> None:
    admin = cast.add_role(snowflake, "Admin")
    first, second = give(ada, analyst), give(ada, admin)

    grants.revoke(first, actor=TESTING)
    grants.revoke(second, actor=TESTING)

    assert [take.closes_account for take in Operation.objects.filter(kind="take").order_by("id")] == [False, True]


def test_what_we_believed_then_differs_from_what_we_know_now(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    grant = give(ada, analyst, NOON, NOON + 4 * HOUR)
    noon.shift(HOUR)
    grants.shorten(grant, ends_at=NOON + 2 * HOUR, actor=TESTING)

    assert queries.known_interval(grant, known_at=NOON) == (NOON, NOON + 4 * HOUR)
    assert queries.known_interval(grant, known_at=now()) == (NOON, NOON + 2 * HOUR)
    assert queries.known_interval(grant, known_at=NOON - HOUR) is None


@pytest.mark.parametrize("ends_at", [NOON - HOUR, NOON, NOON + 4 * HOUR, NOON + 5 * HOUR])
def test_a_grant_is_shortened_only_between_now_and_its_end(
    noon: object, ends_at: datetime, ada: Person, analyst: Entitlement
) -> None:
    grant = give(ada, analyst, NOON, NOON + 4 * HOUR)

    with pytest.raises(Invalid) as problem:
        grants.shorten(grant, ends_at=ends_at, actor=TESTING)

    assert list(problem.value.fields) == ["ends_at"]


def test_an_ended_grant_is_neither_extended_nor_shortened_nor_revoked(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    grant = give(ada, analyst, NOON, NOON + HOUR)
    noon.shift(HOUR)

    for change in (
        lambda: grants.extend(grant, ends_at=NOON + 3 * HOUR, actor=TESTING),
        lambda: grants.shorten(grant, ends_at=NOON + 3 * HOUR, actor=TESTING),
        lambda: grants.revoke(grant, actor=TESTING),
    ):
        with pytest.raises(Conflict):
            change()


def test_what_a_rule_gives_is_not_revoked_by_hand(noon: object, ada: Person, analyst: Entitlement) -> None:
    with pytest.raises(Refused):
        grants.revoke(give(ada, analyst, cause=GrantCause.BIRTHRIGHT), actor=TESTING)


def test_many_ends_cost_as_many_statements_as_one(
    noon: time_machine.Traveller, snowflake: Application, analyst: Entitlement
) -> None:
    costs = []
    for size in (1, 8):
        for number in range(size):
            give(cast.hire(f"Person{size}{number} Test"), analyst, now(), now() + HOUR)
        noon.shift(HOUR)
        with CaptureQueriesContext(connection) as asked_for:
            assert sweep() == size
        costs.append(len(asked_for))

    assert costs[1] <= costs[0]


def test_a_request_nobody_answers_lapses(noon: time_machine.Traveller, ada: Person, analyst: Entitlement) -> None:
    waiting = requests.submit(ada, analyst, ask(), actor=acting(ada))
    noon.shift(timedelta(days=15))
    sweep()

    waiting.refresh_from_db()
    assert (waiting.state, waiting.closed_at) == (RequestState.LAPSED, now())


@pytest.mark.usefixtures("noon")
def test_a_revision_cannot_be_rewritten(ada: Person, analyst: Entitlement) -> None:
    give(ada, analyst)

    with pytest.raises(Exception, match="insert-only"):
        GrantRevision.objects.update(ends_at=NOON)


class Union(TestCase):
    """Any history of overlapping grants leaves exactly the access that some grant covers."""

    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @example(intervals=[(0, 4), (3, 1)], revoked={0, 1})
    @given(
        intervals=st.lists(st.tuples(st.integers(0, 6), st.integers(1, 6)), min_size=1, max_size=4),
        revoked=st.sets(st.integers(0, 3), max_size=2),
    )
    def test_orders_follow_the_union(self, intervals: list[tuple[int, int]], revoked: set[int]) -> None:
        ada = cast.hire("Ada Lovelace")
        role = cast.add_role(cast.add_application("Snowflake", owner=cast.hire("Linus Berg")))
        with time_machine.travel(NOON, tick=False) as clock:
            made = [give(ada, role, NOON + start * HOUR, NOON + (start + length) * HOUR) for start, length in intervals]
            for hour in range(14):
                clock.move_to(NOON + hour * HOUR)
                if hour == 3:
                    for number in revoked & set(range(len(made))):
                        grant = Grant.objects.get(pk=made[number].pk)
                        if grant.ends_at > now():
                            grants.revoke(grant, actor=TESTING)
                sweep()
                last = Operation.objects.order_by("id").last()
                wanted = bool(queries.access_of(ada, at=now()))
                assert (last is not None and last.kind == OperationKind.GIVE) == wanted

    def test_ending_nothing_changes_nothing(self) -> None:
        endings.end_many([], cause=EndCause.REVOKED, at=NOON, actor=TESTING)
        assert not Operation.objects.exists()
