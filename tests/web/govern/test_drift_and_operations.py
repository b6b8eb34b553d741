"""Drift in both directions, and orders that are not done."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from governance.access.models import Grant
from governance.catalog.models import Entitlement
from governance.core.clock import now
from governance.identity.models import Person
from governance.provisioning.models import Connector, Operation, OperationKind, OperationState
from tests import cast
from tests.web import stories
from tests.web.conftest import SignedIn
from tests.web.govern import world

HTMX = {"HX-Request": "true"}


def test_what_is_seen_and_not_granted_is_listed(
    ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    world.holding(world.account(analyst.application, "ada", person=ada), analyst)
    assert "Ada Lovelace" in signed_in(sam).get("/drift/", headers=HTMX).content.decode()

    stories.give(ada, analyst)

    page = signed_in(sam).get("/drift/", headers=HTMX).content.decode()
    assert "What is there is what was granted" in page


def test_drift_whose_removal_is_under_way_says_so(
    ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    world.holding(world.account(analyst.application, "ada", person=ada), analyst)
    world.order(ada, analyst, OperationState.FAILED, kind=OperationKind.TAKE)

    assert "The removal failed" in signed_in(sam).get("/drift/").content.decode()


@pytest.mark.parametrize(
    ("state", "read_ago", "listed"),
    [
        (OperationState.VERIFIED, timedelta(0), True),
        (OperationState.DELIVERED, timedelta(0), False),
        (OperationState.VERIFIED, timedelta(hours=3), False),
    ],
    ids=["a later reading does not show it", "the order is under way", "not read since"],
)
def test_what_is_granted_and_not_seen_is_listed(
    state: str, read_ago: timedelta, listed: bool, ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    grant = stories.give(ada, analyst)
    at = now()
    Grant.objects.filter(pk=grant.pk).update(starts_at=at - timedelta(hours=1))
    Operation.objects.filter(pk=grant.give_operation_id).update(state=state, delivered_at=at, verified_at=at)
    world.reading(analyst.application, ago=read_ago)

    page = signed_in(sam).get("/drift/?show=missing", headers=HTMX).content.decode()

    assert ("Ada Lovelace" in page) is listed


def test_an_owner_sees_drift_of_their_own(
    ada: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    foreign = cast.add_role(cast.add_application("NetSuite"), "Clerk")
    for role in (analyst, foreign):
        world.holding(world.account(role.application, "ada", person=ada), role)

    page = signed_in(linus).get("/drift/", headers=HTMX).content.decode()

    assert "Snowflake" in page
    assert "NetSuite" not in page


def test_failed_orders_come_first_with_cause_and_next_step(
    ada: Person, grace: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    world.order(grace, analyst, OperationState.WAITING)
    world.order(ada, analyst, OperationState.FAILED)

    page = signed_in(sam).get("/operations/", headers=HTMX).content.decode()

    assert page.index("Ada Lovelace") < page.index("Grace Hopper")
    assert "The token expired." in page
    assert "Renew the token." in page


def test_done_orders_are_not_listed(ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    world.order(ada, analyst, OperationState.VERIFIED)

    assert "Nothing waits" in signed_in(sam).get("/operations/").content.decode()


@pytest.mark.parametrize("who", ["sam", "linus"])
def test_a_failed_order_is_tried_again(
    who: str, request: pytest.FixtureRequest, ada: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    order = world.order(ada, analyst, OperationState.FAILED)

    answer = signed_in(request.getfixturevalue(who)).post(f"/operations/{order.pk}/retry/", headers=HTMX)

    assert answer.status_code == 200
    assert "Analyst for Ada Lovelace in Snowflake is tried again." in answer.content.decode()
    order.refresh_from_db()
    assert order.state == OperationState.WAITING


def test_an_order_is_ticked_off_by_hand_once(
    ada: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    order = world.order(ada, analyst, OperationState.WAITING)
    client = signed_in(linus)

    first = client.post(f"/operations/{order.pk}/confirm/", headers=HTMX)
    second = client.post(f"/operations/{order.pk}/confirm/", headers=HTMX)

    order.refresh_from_db()
    assert (first.status_code, second.status_code) == (200, 409)
    assert (order.state, order.confirmed_by) == (OperationState.DELIVERED, linus)
    assert "Ada Lovelace" not in client.get("/operations/", headers=HTMX).content.decode()


@pytest.mark.parametrize("what", ["retry", "confirm"])
@pytest.mark.parametrize("who", ["ada", "audrey", "stranger"])
def test_nobody_else_touches_orders(
    who: str, what: str, request: pytest.FixtureRequest, ada: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    order = world.order(ada, analyst, OperationState.FAILED)
    person = request.getfixturevalue("mallory" if who == "stranger" else who)
    if who == "stranger":
        cast.add_application("NetSuite", owner=person)

    answer = signed_in(person).post(f"/operations/{order.pk}/{what}/")

    assert answer.status_code == 403
    order.refresh_from_db()
    assert order.state == OperationState.FAILED


def test_an_open_circuit_is_said(sam: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    world.reading(analyst.application)
    Connector.objects.update(circuit_opened_at=now(), circuit_retry_at=now(), last_error="No answer in 20 s")

    page = signed_in(sam).get("/operations/").content.decode()

    assert "Nothing is sent to" in page
    assert "No answer in 20 s" in page


@pytest.mark.parametrize("path", ["/drift/", "/drift/?show=missing", "/operations/"])
def test_the_lists_stay_within_twelve_statements(
    path: str, ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:  # fmt: skip
    for number in range(12):
        person = cast.hire(f"P{number:02d} Person")
        world.holding(world.account(analyst.application, f"p{number}", person=person), analyst)
        world.order(person, analyst, OperationState.FAILED)
    client = signed_in(sam)

    with django_assert_max_num_queries(12):
        client.get(path)


def test_hostile_words_stay_text_among_orders(sam: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    person = cast.hire(stories.HOSTILE)
    world.holding(world.account(analyst.application, "x", person=person), analyst)
    world.order(person, analyst, OperationState.FAILED, last_error=stories.HOSTILE, next_step=stories.HOSTILE)
    client = signed_in(sam)

    for path in ("/drift/", "/operations/"):
        page = client.get(path).content.decode()
        assert "<img" not in page, path
        assert "&amp;lt;" not in page, path
