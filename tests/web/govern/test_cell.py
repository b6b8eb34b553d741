"""One cell in full, and taking a grant away from it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from governance.access import grants
from governance.access.models import EndCause, Grant
from governance.catalog.models import Entitlement
from governance.core.clock import now
from governance.identity.models import Person
from governance.ledger.models import Pending
from governance.provisioning.models import Operation, OperationKind, OperationState
from tests import cast
from tests.web import stories
from tests.web.conftest import SignedIn
from tests.web.govern import world

HTMX = {"HX-Request": "true"}


def address(person: Person) -> str:
    return f"/matrix/{person.ref}/snowflake/"


def test_a_cell_says_why_since_when_until_when_and_who_said_yes(
    ada: Person, linus: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    request = stories.approve(stories.submit(ada, analyst), linus)

    page = signed_in(sam).get(address(ada), headers=HTMX).content.decode()

    assert f"Request R-{request.number}" in page
    assert "The nightly load failed" in page
    assert "Approved by Linus Berg" in page
    assert "then it is taken away by itself" in page
    assert "Revoke Analyst" in page


def test_an_order_is_green_only_after_the_read_back(
    ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    grant = stories.give(ada, analyst)
    Operation.objects.filter(pk=grant.give_operation_id).update(state=OperationState.DELIVERED, delivered_at=now())
    assert "Sent, not read back yet" in signed_in(sam).get(address(ada)).content.decode()

    Operation.objects.filter(pk=grant.give_operation_id).update(state=OperationState.VERIFIED, verified_at=now())

    assert "There, read back" in signed_in(sam).get(address(ada)).content.decode()


def test_what_is_still_seen_after_its_end_is_told_from_what_nothing_explains(
    ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    world.holding(world.account(analyst.application, "ada", person=ada), analyst)
    assert "No rule and no request explains it" in signed_in(sam).get(address(ada)).content.decode()

    world.order(ada, analyst, OperationState.WAITING, kind=OperationKind.TAKE)

    page = signed_in(sam).get(address(ada)).content.decode()
    assert "though its reason ended" in page
    assert "No rule and no request explains it" not in page


@pytest.mark.parametrize("who", ["sam", "linus"])
def test_administrators_and_owners_take_a_grant_away(
    who: str, request: pytest.FixtureRequest, ada: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    person = cast.make_security_admin(request.getfixturevalue(who)) if who == "sam" else request.getfixturevalue(who)
    grant = stories.give(ada, analyst)

    answer = signed_in(person).post(f"/grants/{grant.pk}/revoke/", headers=HTMX)

    assert answer.status_code == 200
    assert answer["HX-Trigger"] == "access-changed"
    assert "The removal is ordered at Snowflake." in answer.content.decode()
    grant.refresh_from_db()
    assert (grant.end_cause, grant.ends_at <= now()) == (EndCause.REVOKED, True)
    assert grant.take_operation is not None
    assert Pending.objects.filter(body__event="grant.ended", body__actor__ref=str(person.ref)).exists()


def test_taking_away_works_without_script(ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    grant = stories.give(ada, analyst)

    answer = signed_in(sam).post(f"/grants/{grant.pk}/revoke/")

    assert (answer.status_code, answer.url) == (302, address(ada))


@pytest.mark.parametrize("who", ["ada", "mallory", "audrey", "stranger"])
def test_nobody_else_takes_a_grant_away(
    who: str, request: pytest.FixtureRequest, ada: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    grant = stories.give(ada, analyst)
    person = _owner_of_something_else() if who == "stranger" else request.getfixturevalue(who)

    answer = signed_in(person).post(f"/grants/{grant.pk}/revoke/")

    assert answer.status_code == 403
    assert Grant.objects.get(pk=grant.pk).end_cause == ""


def test_a_second_revoke_is_a_conflict_in_words(
    ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    grant = stories.give(ada, analyst)
    grants.revoke(grant, actor=cast.TESTING)

    answer = signed_in(sam).post(f"/grants/{grant.pk}/revoke/", headers=HTMX)

    assert (answer.status_code, answer.content.decode()) == (409, "This access has ended already.")


def test_birthright_is_not_taken_away_here(ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    grant = stories.give(ada, analyst, ends_in=None)
    Grant.objects.filter(pk=grant.pk).update(cause="birthright")

    answer = signed_in(sam).post(f"/grants/{grant.pk}/revoke/", headers=HTMX)

    assert answer.status_code == 422
    assert "Change the rule, or it would come back." in answer.content.decode()


def test_an_auditor_sees_no_button(ada: Person, audrey: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    stories.give(ada, analyst)

    page = signed_in(audrey).get(address(ada), headers=HTMX).content.decode()

    assert "Analyst" in page
    assert "<form" not in page


def test_an_owner_cannot_look_into_another_application(ada: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    assert signed_in(_owner_of_something_else()).get(address(ada)).status_code == 403


def test_the_past_offers_nothing_to_change(ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    stories.give(ada, analyst)
    day = (now() - timedelta(days=1)).date()

    page = signed_in(sam).get(f"{address(ada)}?at={day}", headers=HTMX).content.decode()

    assert "no access to Snowflake on that day" in page
    assert "Revoke" not in page


def test_the_cell_stays_within_twelve_statements(
    ada: Person, linus: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:  # fmt: skip
    stories.approve(stories.submit(ada, analyst), linus)
    world.holding(world.account(analyst.application, "ada", person=ada), analyst)
    client = signed_in(sam)

    with django_assert_max_num_queries(12):
        client.get(address(ada))


def test_hostile_words_stay_text_in_a_cell(
    sam: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    person = cast.hire(stories.HOSTILE, title=stories.HOSTILE)
    stories.approve(stories.submit(person, analyst, reason=stories.HOSTILE, ticket=stories.HOSTILE), linus)

    page = signed_in(sam).get(address(person), headers=HTMX).content.decode()

    assert "<img" not in page
    assert "&amp;lt;" not in page


def _owner_of_something_else() -> Person:
    owner = cast.hire("Olga Other")
    cast.add_application("NetSuite", owner=owner)
    return owner


def test_signed_out_people_are_sent_to_sign_in(ada: Person, analyst: Entitlement) -> None:
    assert Client().get(address(ada)).status_code == 302
