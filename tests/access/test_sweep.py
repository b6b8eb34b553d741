"""What time causes is ordered once, whole and by the union, whoever sweeps and however late."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from governance.access import endings, grants
from governance.access.models import EndCause, Grant, GrantCause
from governance.access.sweep import sweep, sweep_batch
from governance.catalog.models import Entitlement
from governance.core.clock import OPEN_END, now
from governance.identity.models import Person
from governance.ledger.models import Pending
from governance.provisioning.models import Connector, Operation, OperationKind
from tests import cast
from tests.cast import TESTING

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def noon() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def give(person: Person, role: Entitlement, starts_at: datetime = NOON, ends_at: datetime = OPEN_END) -> Grant:
    new = grants.NewGrant(person.pk, role.pk, role.application_id, GrantCause.MANUAL, starts_at, ends_at)
    with transaction.atomic():
        return grants.start_many([new], at=now(), actor=TESTING)[0]


def recorded(event: str) -> list[dict[str, object]]:
    return [one.body for one in Pending.objects.order_by("id") if one.body["event"] == event]


def test_the_end_is_recorded_with_its_cause_when_it_was_due_and_its_removal(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    due = NOON + HOUR + timedelta(microseconds=1_500)
    grant = give(ada, analyst, NOON, due)
    noon.move_to(NOON + 2 * HOUR)

    sweep()

    grant.refresh_from_db()
    (entry,) = recorded("grant.ended")
    assert entry == {
        "v": 2,
        "event": "grant.ended",
        "at": "2026-03-03T14:00:00.000000Z",
        "actor": {"kind": "system", "ref": "expiry", "door": "clock"},
        "correlation": Operation.objects.get(pk=grant.take_operation_id).correlation_id,
        "subjects": [
            {"kind": "grant", "ref": str(grant.pk)},
            {"kind": "person", "ref": str(ada.ref)},
            {"kind": "application", "ref": str(analyst.application_id)},
            {"kind": "entitlement", "ref": str(analyst.pk)},
        ],
        "data": {"cause": "expired", "due_at": due.isoformat(), "removal": grant.take_operation_id},
        "private": {},
    }


def test_a_removal_says_everything_a_worker_needs(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    Connector.objects.create(application=analyst.application, kind="scim2", created_at=NOON)
    grant = give(ada, analyst, NOON, NOON + HOUR)
    noon.shift(HOUR)

    sweep()

    take = Operation.objects.get(kind=OperationKind.TAKE)
    given_back = Operation.objects.get(kind=OperationKind.GIVE)
    varying = {"_state", "id", "kind", "idempotency_key", "correlation_id", "ordered_at", "next_attempt_at"}
    same = {name for name in vars(take) if vars(take)[name] == vars(given_back)[name]} | varying | {"closes_account"}
    assert same == set(vars(take))
    assert (take.idempotency_key, take.closes_account) == (f"grant:{grant.pk}:take:1", True)
    assert take.ordered_at == take.next_attempt_at == NOON + HOUR


def test_a_removal_no_connector_reaches_says_what_to_do_by_hand(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    give(ada, analyst, NOON, NOON + HOUR)
    noon.shift(HOUR)

    sweep()

    assert "by hand" in Operation.objects.get(kind=OperationKind.TAKE).next_step


def test_a_removal_that_was_ordered_before_is_found_again(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    grant = give(ada, analyst, NOON, NOON + HOUR)
    noon.shift(HOUR)
    sweep()
    before = Grant.objects.get(pk=grant.pk).take_operation_id
    Grant.objects.filter(pk=grant.pk).update(end_ordered_at=None, take_operation=None)

    sweep()

    assert Grant.objects.get(pk=grant.pk).take_operation_id == before
    assert Operation.objects.filter(kind=OperationKind.TAKE).count() == 1


@pytest.mark.parametrize("end", [grants.revoke, None], ids=["revoked", "called off"])
def test_what_only_a_grant_that_was_not_swept_yet_supported_is_taken_with_it(
    end: Callable[..., Grant] | None, noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    outer = give(ada, analyst, NOON, NOON + 4 * HOUR)
    inner = give(ada, analyst, NOON + HOUR, NOON + 2 * HOUR)
    noon.shift(HOUR)
    grants.revoke(outer, actor=TESTING)
    assert not Operation.objects.filter(kind=OperationKind.TAKE).exists()

    if end:
        end(inner, actor=TESTING)
    else:
        endings.call_off([Grant.objects.get(pk=inner.pk)], cause=EndCause.CONFLICT, at=now(), actor=TESTING)
    sweep()

    assert [one.origin for one in Operation.objects.filter(kind=OperationKind.TAKE)] == [f"grant:{inner.pk}"]


def test_an_end_cause_that_is_known_stays(noon: time_machine.Traveller, ada: Person, analyst: Entitlement) -> None:
    grant = give(ada, analyst, NOON + HOUR, NOON + 2 * HOUR)

    grants.revoke(grant, actor=TESTING)

    grant.refresh_from_db()
    assert (grant.end_cause, grant.end_ordered_at, grant.take_operation) == (EndCause.REVOKED, NOON, None)
    assert recorded("grant.ended")[0]["data"]["cause"] == "revoked"  # type: ignore[index]


@pytest.mark.parametrize("begins", [-HOUR, HOUR], ids=["ends", "starts"])
def test_a_batch_costs_the_same_statements_however_many_are_due(
    begins: timedelta, noon: time_machine.Traveller, analyst: Entitlement
) -> None:
    costs = []
    for number in (1, 30):
        for one in range(number):
            person = cast.hire(f"Person{number}x{one} Test")
            give(person, analyst, now() + begins, OPEN_END if begins > timedelta(0) else now() + HOUR)
        noon.shift(HOUR)
        with CaptureQueriesContext(connection) as counted:
            assert sweep_batch(100) == number
        costs.append(len(counted))

    assert costs[0] == costs[1] <= 8


def test_a_sweep_ends_although_more_falls_due_all_the_time(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement, monkeypatch: pytest.MonkeyPatch
) -> None:
    for minute in range(1, 6):
        give(ada, analyst, NOON, NOON + minute * MINUTE)

    def a_minute_later() -> datetime:
        noon.shift(MINUTE)
        return now()

    monkeypatch.setattr("governance.access.sweep.now", a_minute_later)

    assert sweep() == 1


def test_a_sweep_goes_on_while_batches_are_full(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("governance.access.sweep.BATCH", 2)
    for _ in range(5):
        give(ada, analyst, NOON, NOON + HOUR)
    noon.shift(HOUR)

    assert sweep() == 5


@dataclass
class Naive:
    """One grant as arithmetic has it."""

    person: int
    role: int
    start: int
    end: int
    key: int = 0
    start_ordered: bool = False
    end_ordered: bool = False
    removal: bool | None = None
    closes: bool | None = None

    def covers(self, minute: int) -> bool:
        return self.start <= minute < self.end


@dataclass
class Model:
    """What must be true after a sweep at a minute, computed one grant at a time."""

    grants: list[Naive]
    #: Two roles in each application.
    application: dict[int, int] = field(default_factory=lambda: {0: 0, 1: 0, 2: 1})

    def sweep(self, minute: int) -> int:
        begun = [one for one in self.grants if one.covers(minute) and not one.start_ordered]
        for one in begun:
            one.start_ordered = True
        ended = [one for one in self.grants if one.end <= minute and not one.end_ordered]
        for one in ended:
            self._end(one, minute)
        return len(begun) + len(ended)

    def _end(self, one: Naive, minute: int) -> None:
        theirs = [other for other in self.grants if other.person == one.person and other.covers(minute)]
        one.end_ordered = True
        one.removal = one.start_ordered and not any(other.role == one.role for other in theirs)
        if one.removal:
            one.closes = not any(self.application[other.role] == self.application[one.role] for other in theirs)


class Sweeps(TestCase):
    """Any grants, swept at any instants, by any batch size, end as arithmetic says."""

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        intervals=st.lists(
            st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 12), st.integers(1, 12)), max_size=14
        ),
        sweeps=st.lists(st.integers(0, 26), min_size=1, max_size=6, unique=True).map(sorted),
        batch=st.sampled_from([1, 3, 500]),
    )
    def test_they_leave_what_a_naive_model_says(
        self, intervals: list[tuple[int, int, int, int]], sweeps: list[int], batch: int
    ) -> None:
        model = Model([Naive(person, role, start, start + length) for person, role, start, length in intervals])
        with time_machine.travel(NOON, tick=False) as clock:
            self._write(model)
            for minute in sweeps:
                clock.move_to(NOON + minute * MINUTE)
                done = 0
                while swept := sweep_batch(batch):
                    done += swept
                assert done == model.sweep(minute)
                self._compare(model)

    def _write(self, model: Model) -> None:
        people = [cast.hire(name) for name in ("Ada Lovelace", "Grace Hopper", "Mallory Grey")]
        first, second = cast.add_application("Snowflake"), cast.add_application("Linear")
        roles = [cast.add_role(first, "Analyst"), cast.add_role(first, "Admin"), cast.add_role(second, "Member")]
        for one in model.grants:
            start, end = NOON + one.start * MINUTE, NOON + one.end * MINUTE
            one.key = give(people[one.person], roles[one.role], start, end).pk
            one.start_ordered = one.start == 0

    def _compare(self, model: Model) -> None:
        found = {grant.pk: grant for grant in Grant.objects.select_related("take_operation")}
        for one in model.grants:
            grant = found[one.key]
            take = grant.take_operation
            assert (grant.start_ordered_at is not None) == one.start_ordered
            assert (grant.end_ordered_at is not None) == one.end_ordered
            assert grant.end_cause == ("expired" if one.end_ordered else "")
            assert (take is not None) == bool(one.removal)
            if take is not None:
                assert take.origin == f"grant:{grant.pk}"
                assert take.closes_account == one.closes
        gives, removals = sum(one.start_ordered for one in model.grants), sum(bool(one.removal) for one in model.grants)
        assert Operation.objects.filter(kind=OperationKind.GIVE).count() == gives
        assert Operation.objects.filter(kind=OperationKind.TAKE).count() == removals
        assert sorted(_ref(entry) for entry in recorded("grant.ended")) == sorted(
            str(one.key) for one in model.grants if one.end_ordered
        )


def _ref(entry: dict[str, object]) -> str:
    return entry["subjects"][0]["ref"]  # type: ignore[index]
