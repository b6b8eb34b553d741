"""The list of people and the page of one."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from pytest_django import DjangoAssertNumQueries

from governance.access.models import Grant
from governance.catalog.models import Entitlement
from governance.core.clock import now
from governance.identity.models import Person, Status
from governance.lifecycle import actions as lifecycle
from governance.provisioning.models import Operation, OperationState
from governance.web.govern.pages import PAGE_SIZE
from tests import cast
from tests.web import stories
from tests.web.conftest import SignedIn
from tests.web.govern import world

HTMX = {"HX-Request": "true"}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("q=love", ["Ada Lovelace"]),
        ("dept=Marketing", ["Mallory Grey"]),
        ("type=Contractor", ["Mallory Grey"]),
        ("status=left", ["Linus Berg"]),
    ],
    ids=["name", "department", "employment", "status"],
)
def test_the_list_is_narrowed(
    query: str, names: list[str], ada: Person, mallory: Person, linus: Person, sam: Person, signed_in: SignedIn
) -> None:
    lifecycle.leave(linus, actor=cast.TESTING)

    page = signed_in(sam).get(f"/people/?{query}", headers=HTMX).content.decode()

    everybody = ["Ada Lovelace", "Mallory Grey", "Linus Berg", "Sam Okoro"]
    assert [name for name in everybody if f'">{name}</a>' in page] == names


def test_an_owner_sees_the_people_of_their_applications(
    ada: Person, mallory: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    stories.give(ada, analyst)

    page = signed_in(linus).get("/people/", headers=HTMX).content.decode()

    assert "Ada Lovelace" in page
    assert "Mallory Grey" not in page
    assert signed_in(linus).get(f"/people/{ada.ref}/").status_code == 200
    assert signed_in(linus).get(f"/people/{mallory.ref}/").status_code == 403


def test_the_list_is_paged_by_key_and_counted(
    sam: Person, signed_in: SignedIn, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(PAGE_SIZE + 5):
        cast.hire(f"P{number:02d} Person")
    client = signed_in(sam)

    with django_assert_max_num_queries(12):
        first = client.get("/people/").content.decode()
    last = Person.objects.order_by("display_name", "pk")[PAGE_SIZE - 1]
    second = client.get(f"/people/?after={last.pk}").content.decode()

    assert f"after={last.pk}" in first
    assert "Sam Okoro" in second
    assert "P00 Person" not in second
    assert "before=" in second


def test_the_page_of_a_person_says_what_they_have_and_why(
    ada: Person, linus: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    request = stories.approve(stories.submit(ada, analyst), linus)

    page = signed_in(sam).get(f"/people/{ada.ref}/").content.decode()

    assert f"Request R-{request.number}" in page
    assert "by Linus Berg" in page
    assert "Grace Hopper" in page


def test_a_day_in_the_past_shows_what_was_granted_then(
    ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    stories.give(ada, analyst, ends_in=timedelta(days=1))
    day = now().date()
    with time_machine.travel(now() + timedelta(days=5), tick=False):
        client = signed_in(sam)

        today = client.get(f"/people/{ada.ref}/", headers=HTMX).content.decode()
        then = client.get(f"/people/{ada.ref}/?at={day}", headers=HTMX).content.decode()

    assert "Analyst" not in today
    assert "Analyst" in then
    assert "You look at the past" in then


def test_a_leaver_shows_how_far_each_removal_is(
    ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    grant = stories.give(ada, analyst)
    lifecycle.leave(Person.objects.get(pk=ada.pk), actor=cast.TESTING)
    client = signed_in(sam)
    assert "Ordered" in client.get(f"/people/{ada.ref}/").content.decode()

    grant = Grant.objects.get(pk=grant.pk)
    Operation.objects.filter(pk=grant.take_operation_id).update(
        state=OperationState.VERIFIED, delivered_at=now(), verified_at=grant.ends_at + timedelta(minutes=3)
    )

    page = client.get(f"/people/{ada.ref}/").content.decode()
    assert "Gone, read back" in page
    assert "3 min" in page


def test_an_administrator_says_that_somebody_left(
    ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    stories.give(ada, analyst)

    answer = signed_in(sam).post(f"/people/{ada.ref}/leave/", headers=HTMX)

    assert (answer.status_code, answer["HX-Redirect"]) == (204, f"/leavers/{ada.ref}/")
    ada.refresh_from_db()
    assert ada.status == Status.LEFT
    assert not Grant.objects.filter(person=ada, ends_at__gt=now()).exists()


def test_saying_it_twice_is_a_conflict_that_says_when(ada: Person, sam: Person, signed_in: SignedIn) -> None:
    lifecycle.leave(Person.objects.get(pk=ada.pk), actor=cast.TESTING)

    answer = signed_in(sam).post(f"/people/{ada.ref}/leave/", headers=HTMX)

    assert answer.status_code == 409
    assert "Ada Lovelace left already" in answer.content.decode()


@pytest.mark.parametrize("who", ["ada", "linus", "audrey"])
def test_nobody_else_says_that_somebody_left(
    who: str, request: pytest.FixtureRequest, ada: Person, mallory: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    answer = signed_in(request.getfixturevalue(who)).post(f"/people/{mallory.ref}/leave/")

    assert answer.status_code == 403
    mallory.refresh_from_db()
    assert mallory.is_active


@pytest.mark.parametrize("tab", ["", "requests/", "history/"])
def test_each_tab_stays_within_twelve_statements(
    tab: str, ada: Person, linus: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:  # fmt: skip
    stories.approve(stories.submit(ada, analyst), linus)
    world.holding(world.account(analyst.application, "ada", person=ada), analyst)
    for client in (signed_in(sam), signed_in(linus)):
        with django_assert_max_num_queries(13):
            assert client.get(f"/people/{ada.ref}/{tab}").status_code == 200


def test_the_history_tells_the_profile_over_time(ada: Person, audrey: Person, signed_in: SignedIn) -> None:
    lifecycle.leave(Person.objects.get(pk=ada.pk), actor=cast.TESTING)

    page = signed_in(audrey).get(f"/people/{ada.ref}/history/").content.decode()

    assert "Joined: Engineer, Engineering" in page
    assert "Left: Engineer, Engineering" in page


def test_hostile_words_stay_text_on_the_page_of_a_person(
    sam: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    person = cast.hire(stories.HOSTILE, title=stories.HOSTILE, department=stories.HOSTILE)
    stories.approve(stories.submit(person, analyst, reason=stories.HOSTILE), linus)
    world.account(analyst.application, stories.HOSTILE, person=person)
    client = signed_in(sam)

    for path in ("/people/", *(f"/people/{person.ref}/{tab}" for tab in ("", "requests/", "history/"))):
        page = client.get(path).content.decode()
        assert "<img" not in page, path
        assert "&amp;lt;" not in page, path
