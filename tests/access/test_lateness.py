"""How late access ended is counted from when it was due, and every end is counted."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import transaction

from governance.access import grants
from governance.access.lateness import Lateness, Seconds, late_ends, lateness
from governance.access.models import EndCause, Grant, GrantCause
from governance.access.sweep import sweep
from governance.catalog.models import Entitlement
from governance.core.clock import OPEN_END, now
from governance.identity.models import Person
from governance.provisioning.models import Operation, OperationState
from tests import cast
from tests.cast import TESTING

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOTHING = Lateness(0, 0, 0, 0, 0, 0, 0, None, None, None)


@pytest.fixture(autouse=True)
def noon() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def give(person: Person, role: Entitlement, ends_at: datetime = OPEN_END) -> Grant:
    new = grants.NewGrant(person.pk, role.pk, role.application_id, GrantCause.MANUAL, NOON, ends_at)
    with transaction.atomic():
        return grants.start_many([new], at=now(), actor=TESTING)[0]


def removed(grant: Grant, *, delivered_after: float, verified_after: float | None, by: Person | None = None) -> None:
    """Have the removal of an ended grant carried out so many seconds after the end."""
    grant.refresh_from_db()
    verified_at = None if verified_after is None else grant.ends_at + timedelta(seconds=verified_after)
    Operation.objects.filter(pk=grant.take_operation_id).update(
        state=OperationState.VERIFIED if verified_at else OperationState.DELIVERED,
        delivered_at=grant.ends_at + timedelta(seconds=delivered_after),
        verified_at=verified_at,
        confirmed_by=by,
    )


def of_the_day(**known: object) -> Lateness:
    return lateness(NOON, NOON + 24 * HOUR, at=now(), **known)  # type: ignore[arg-type]


def test_an_end_is_followed_from_due_to_read_back(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    grant = give(ada, analyst, NOON + HOUR)
    assert of_the_day() == NOTHING

    noon.move_to(NOON + HOUR + timedelta(seconds=2))
    assert of_the_day() == Lateness(1, 0, 0, 0, 0, 0, 0, None, None, None)

    sweep()
    two = Seconds(2, 2, 2, 2)
    assert of_the_day() == Lateness(1, 1, 1, 0, 0, 0, 0, two, None, None)

    removed(grant, delivered_after=3.5, verified_after=4)
    assert of_the_day() == Lateness(1, 1, 1, 1, 1, 0, 0, two, Seconds(*[3.5] * 4), Seconds(*[4.0] * 4))


def test_percentiles_are_those_of_the_sorted_values(noon: time_machine.Traveller, analyst: Entitlement) -> None:
    late = [number * 37 % 41 + 0.25 for number in range(40)]
    given = [give(cast.hire(f"Person{number} Test"), analyst, NOON + HOUR) for number in range(40)]
    noon.shift(HOUR)
    sweep()
    for grant, seconds in zip(given, late, strict=True):
        removed(grant, delivered_after=0.1, verified_after=seconds)

    found = of_the_day().until_verified

    ordered = sorted(late)
    assert found == Seconds(*(ordered[math.ceil(40 * part) - 1] for part in (0.5, 0.95, 0.99, 1)))


def test_what_another_grant_supports_has_no_removal_and_is_not_late(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    give(ada, analyst, NOON + HOUR)
    give(ada, analyst)
    noon.shift(2 * HOUR)
    sweep()

    assert (of_the_day().due, of_the_day().ordered, of_the_day().removals) == (1, 1, 0)
    assert late_ends(NOON, NOON + 24 * HOUR, at=now(), longer_than=timedelta(0)) == []


def test_only_the_causes_that_are_asked_for_count(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    grants.revoke(give(ada, analyst), actor=TESTING)
    noon.shift(HOUR)

    assert of_the_day() == NOTHING
    assert of_the_day(causes=[EndCause.REVOKED]).until_ordered == Seconds(0, 0, 0, 0)


def test_the_period_is_half_open_and_what_lies_ahead_is_not_due(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    for hours in (1, 2, 3):
        give(ada, analyst, NOON + hours * HOUR)
    noon.shift(2 * HOUR + timedelta(minutes=30))
    sweep()

    assert lateness(NOON + HOUR, NOON + 2 * HOUR, at=now()).due == 1
    assert lateness(NOON + HOUR, NOON + 24 * HOUR, at=now()).due == 2


def test_the_late_ones_are_named_page_by_page(
    noon: time_machine.Traveller, ada: Person, grace: Person, sam: Person, analyst: Entitlement
) -> None:
    punctual, late, open_ = (give(person, analyst, NOON + HOUR) for person in (ada, grace, sam))
    noon.move_to(NOON + HOUR + timedelta(minutes=1))
    sweep()
    removed(punctual, delivered_after=1, verified_after=5)
    removed(late, delivered_after=1, verified_after=5.5)
    known = {"at": now(), "longer_than": timedelta(seconds=5)}

    (first,) = late_ends(NOON, NOON + 24 * HOUR, limit=1, **known)  # type: ignore[arg-type]
    rest = late_ends(NOON, NOON + 24 * HOUR, after=(first.due_at, first.grant_id), **known)  # type: ignore[arg-type]

    assert (first.person, first.application, first.entitlement) == ("Grace Hopper", "Snowflake", "Analyst")
    assert (first.grant_id, first.due_at, first.seconds_late) == (late.pk, NOON + HOUR, 5.5)
    assert [(one.grant_id, one.verified_at, one.seconds_late) for one in rest] == [(open_.pk, None, 60.0)]


def test_what_was_done_by_hand_is_done_when_somebody_said_so(
    noon: time_machine.Traveller, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    grant = give(ada, analyst, NOON + HOUR)
    noon.shift(2 * HOUR)
    sweep()
    removed(grant, delivered_after=90, verified_after=None, by=linus)

    assert (of_the_day().delivered, of_the_day().verified, of_the_day().by_hand) == (1, 0, 1)
    assert [
        one.seconds_late
        for seconds in (89, 91)
        for one in late_ends(NOON, NOON + 24 * HOUR, at=now(), longer_than=timedelta(seconds=seconds))
    ] == [90.0]


def test_what_nobody_ordered_yet_is_late_as_well(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    give(ada, analyst, NOON + HOUR)
    noon.shift(2 * HOUR)

    (missed,) = late_ends(NOON, NOON + 24 * HOUR, at=now(), longer_than=timedelta(minutes=1))

    assert (missed.ordered_at, missed.seconds_late) == (None, 3600.0)
