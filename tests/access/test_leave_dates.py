"""A leave date that was set after somebody asked: what is approved ends with it, what would begin later does not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import transaction

from governance.access import deciding, requests
from governance.access.models import Approval, CalledOff, Grant, GrantRevision, RequestState
from governance.access.recomputing import recomputed
from governance.access.sweep import sweep
from governance.catalog.models import Entitlement
from governance.core.errors import Refused
from governance.identity.models import Person
from governance.identity.queries import locked_person
from governance.ledger.models import Pending
from governance.lifecycle import planning
from tests import cast
from tests.cast import TESTING, acting
from tests.web import stories

pytestmark = pytest.mark.django_db

NOON = datetime(2036, 3, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as found:
        yield found


@transaction.atomic
def leaves(person: Person, at: datetime) -> None:
    planning.plan(locked_person(person.scim_id), at, source="file:hr", actor=TESTING)


@pytest.mark.parametrize(("hours_left", "ends"), [(1, NOON + HOUR), (2, NOON + 2 * HOUR), (9, NOON + 2 * HOUR)])
def test_what_is_approved_ends_when_the_person_leaves(
    hours_left: int, ends: datetime, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    request = stories.submit(ada, analyst, 2 * HOUR)
    leaves(ada, NOON + hours_left * HOUR)

    approved = stories.approve(request, linus)

    assert Grant.objects.get(request=request).ends_at == ends
    cut = NOON + HOUR if hours_left == 1 else None
    assert deciding.ends_by_leaving(approved, at=NOON) == cut
    data = Pending.objects.get(body__event="request.approved").body["data"]
    assert data["ends_by_leaving"] == (f"{cut:%Y-%m-%dT%H:%M:%S.%fZ}" if cut else None)


def test_an_approver_who_chooses_a_time_before_it_gives_that(ada: Person, linus: Person, analyst: Entitlement) -> None:
    request = stories.submit(ada, analyst, 4 * HOUR)
    leaves(ada, NOON + 2 * HOUR)

    deciding.approve(request, approver=linus, duration=HOUR, actor=acting(linus))

    assert Grant.objects.get(request=request).ends_at == NOON + HOUR


def test_nothing_is_approved_that_would_begin_after_it(ada: Person, linus: Person, analyst: Entitlement) -> None:
    request = stories.submit(ada, analyst, HOUR, starts_at=NOON + 5 * HOUR)
    leaves(ada, NOON + 5 * HOUR)

    with pytest.raises(Refused) as refusal:
        stories.approve(request, linus)

    [reason] = refusal.value.reasons
    assert reason.code == "beyond_leaving"
    assert "leaves on 03 March 2036 at 17:00 UTC, before this would give anything." in reason.sentence
    assert not Grant.objects.exists()
    assert stories.decline(request, linus).state == RequestState.DENIED


@pytest.mark.parametrize("left", [HOUR, 3 * HOUR], ids=["nothing-left", "an-hour-more"])
def test_an_extension_ends_with_it_as_well(left: timedelta, ada: Person, linus: Person, analyst: Entitlement) -> None:
    first = stories.approve(stories.submit(ada, analyst, 2 * HOUR), linus)
    grant = Grant.objects.get(request=first)
    request = requests.submit(ada, analyst, cast.ask(4 * HOUR), extends=grant, actor=acting(ada))
    leaves(ada, NOON + left)

    if left == HOUR:
        with pytest.raises(Refused, match="leaves on"):
            stories.approve(request, linus)
    else:
        stories.approve(request, linus)

    grant.refresh_from_db()
    assert grant.ends_at == NOON + max(left, 2 * HOUR)


def test_booked_access_that_outlasts_it_is_shortened_when_it_begins(
    ada: Person, linus: Person, analyst: Entitlement, clock: time_machine.Traveller
) -> None:
    request = stories.approve(stories.submit(ada, analyst, 4 * HOUR, starts_at=NOON + HOUR), linus)
    leaves(ada, NOON + 2 * HOUR)

    clock.move_to(NOON + HOUR)
    sweep()

    grant = Grant.objects.get(request=request)
    assert (grant.ends_at, grant.revision) == (NOON + 2 * HOUR, 2)
    assert grant.start_ordered_at is not None
    assert list(GrantRevision.objects.order_by("number").values_list("change", flat=True)) == ["started", "shortened"]
    data = Pending.objects.get(body__event="grant.shortened").body["data"]
    assert (data["cause"], data["to"]) == ("leaving", grant.ends_at.isoformat())


def test_booked_access_that_begins_after_it_is_called_off(
    ada: Person, linus: Person, analyst: Entitlement, clock: time_machine.Traveller
) -> None:
    stories.approve(stories.submit(ada, analyst, 4 * HOUR, starts_at=NOON + 2 * HOUR), linus)
    leaves(ada, NOON + HOUR)

    clock.move_to(NOON + 2 * HOUR)
    sweep()

    assert [one["code"] for one in CalledOff.objects.get().reasons] == ["beyond_leaving"]
    assert Grant.objects.get().start_ordered_at is None


def test_the_answer_can_be_made_again_from_its_receipt(ada: Person, linus: Person, analyst: Entitlement) -> None:
    request = stories.submit(ada, analyst, 2 * HOUR)
    leaves(ada, NOON + HOUR)
    stories.approve(request, linus)

    assert Approval.objects.get().facts["decision"]["facts"]["leaves_at"] == (NOON + HOUR).isoformat()
    assert [one.found.is_equal for one in recomputed()] == [True]
