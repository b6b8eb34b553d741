"""My access and one request: what is said is true, and what can be done works without script."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from pytest_django import DjangoAssertNumQueries

from governance.access import rule_runs
from governance.access.models import AccessRequest, EndCause, Grant, RequestState
from governance.access.sweep import sweep
from governance.catalog.models import Application, Entitlement
from governance.catalog.rules import RuleTerms
from governance.core.clock import now
from governance.identity.models import Person
from governance.provisioning.models import Operation, OperationState
from tests import cast
from tests.web import stories
from tests.web.conftest import SignedIn

PART = {"HX-Request": "true"}


def read_back(grant: Grant) -> None:
    """Let the application have shown it."""
    Operation.objects.filter(pk=grant.give_operation_id).update(state=OperationState.VERIFIED, verified_at=now())


def test_access_is_called_ready_only_after_read_back(ada: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    grant = stories.give(ada, analyst)
    client = signed_in(ada)
    assert "We are opening it" in client.get("/me/access/").content.decode()
    assert "Ready" not in client.get("/me/access/").content.decode()

    read_back(grant)

    assert "Ready, Snowflake shows it" in client.get("/me/access/").content.decode()


def test_it_says_where_access_comes_from(ada: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    request = stories.approve(stories.submit(ada, analyst), linus)

    page = signed_in(ada).get("/me/access/").content.decode()

    assert f"R-{request.number}</a>, approved by {linus.display_name}" in page


def test_access_is_grouped_by_how_it_ends(ada: Person, snowflake: Application, signed_in: SignedIn) -> None:
    stories.give(ada, cast.add_role(snowflake, "Reader"), ends_in=None)
    stories.give(ada, cast.add_role(snowflake, "Writer"), ends_in=timedelta(minutes=20))

    page = signed_in(ada).get("/me/access/").content.decode()

    assert page.index("Ends by itself") < page.index("Writer") < page.index("Without an end") < page.index("Reader")
    assert "now-card soon" in page


def test_past_access_stays(ada: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    stories.give(ada, analyst, ends_in=timedelta(minutes=5))
    with time_machine.travel(now() + timedelta(minutes=6)):
        sweep()

        page = signed_in(ada).get("/me/access/").content.decode()

    assert "In the past" in page
    assert "Time was up" in page
    assert "Ordered" in page


@pytest.mark.parametrize("headers", [{}, PART], ids=["page", "htmx"])
def test_access_is_given_back(headers: dict[str, str], ada: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    grant = stories.give(ada, analyst)

    answer = signed_in(ada).post(f"/me/access/{grant.pk}/give-back/", headers=headers)

    grant.refresh_from_db()
    assert grant.end_cause == EndCause.RETURNED
    assert answer.status_code == (200 if headers else 302)
    if headers:
        assert "Given back: Analyst in Snowflake." in answer.content.decode()


def test_giving_back_twice_says_that_it_has_ended(ada: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    grant = stories.give(ada, analyst)
    client = signed_in(ada)
    client.post(f"/me/access/{grant.pk}/give-back/")

    answer = client.post(f"/me/access/{grant.pk}/give-back/", headers=PART)

    assert answer.status_code == 409
    assert answer.content.decode() == "This access has ended already."


@pytest.mark.parametrize("deed", ["give-back", "extend"])
def test_nobody_touches_the_access_of_somebody_else(
    deed: str, ada: Person, mallory: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    grant = stories.give(ada, analyst)

    answer = signed_in(mallory).post(f"/me/access/{grant.pk}/{deed}/", {"length": "3600", "reason": "x" * 20})

    assert answer.status_code == 404
    grant.refresh_from_db()
    assert grant.end_cause == ""


def test_giving_back_needs_a_post(ada: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    grant = stories.give(ada, analyst)

    assert signed_in(ada).get(f"/me/access/{grant.pk}/give-back/").status_code == 405


def test_an_extension_is_asked_for_under_the_same_rules(
    ada: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    request = stories.approve(stories.submit(ada, analyst), linus)
    grant = request.grants.get()

    signed_in(ada).post(f"/me/access/{grant.pk}/extend/", {"length": "3600", "reason": "The load still runs, an hour."})

    extension = AccessRequest.objects.latest("id")
    assert extension.extends == grant
    assert extension.state == RequestState.PENDING
    stories.approve(extension, linus)
    before = grant.ends_at
    grant.refresh_from_db()
    assert grant.ends_at == before + timedelta(hours=1)


def test_what_is_wrong_with_an_extension_is_said_in_place(
    ada: Person, analyst: Entitlement, linus: Person, signed_in: SignedIn
) -> None:
    grant = stories.approve(stories.submit(ada, analyst), linus).grants.get()

    answer = signed_in(ada).post(f"/me/access/{grant.pk}/extend/", {"length": "3600", "reason": ""}, headers=PART)

    assert answer.status_code == 422
    assert "Write one sentence" in answer.content.decode()


def test_my_access_needs_few_queries_however_much_there_is(
    ada: Person, linus: Person, signed_in: SignedIn, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(8):
        application = cast.add_application(f"Application {number}", owner=linus)
        stories.submit(ada, cast.add_role(application, "Asker"))
        stories.approve(stories.submit(ada, cast.add_role(application, "Reader")), linus)
        stories.give(ada, cast.add_role(application, "Writer"), ends_in=None)
    client = signed_in(ada)

    with django_assert_max_num_queries(12):
        client.get("/me/access/")


def test_a_request_is_followed_from_sent_to_gone(
    ada: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    with time_machine.travel(now(), tick=False) as travel:
        request = stories.submit(ada, analyst, timedelta(hours=1))
        address = f"/requests/R-{request.number}/"

        def page() -> str:
            return signed_in(ada).get(address).content.decode()

        assert f"{linus.display_name} decides" in page()
        assert 'hx-trigger="every 3s"' in page()
        stories.approve(request, linus)
        assert f"{linus.display_name} approved" in page()
        assert "We are opening it in Snowflake" in page()
        read_back(request.grants.get())
        assert "Ready: Snowflake shows it" in page()
        assert 'hx-trigger="every 3s"' not in page()
        travel.shift(timedelta(hours=1))
        assert "Time was up" in page()
        sweep()
        assert "Removal ordered at Snowflake" in page()
        Operation.objects.filter(kind="take").update(state=OperationState.VERIFIED, verified_at=now())
        assert "Gone: Snowflake was read again" in page()


def test_a_failed_order_says_why_and_what_next(
    ada: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    request = stories.approve(stories.submit(ada, analyst), linus)
    Operation.objects.update(
        state=OperationState.FAILED, failed_at=now(), last_error="The token expired.", next_step="Renew the token."
    )

    page = signed_in(ada).get(f"/requests/R-{request.number}/").content.decode()

    assert "It did not reach Snowflake" in page
    assert "The token expired. Renew the token." in page


def test_a_declined_request_says_who_and_why(
    ada: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    request = stories.decline(stories.submit(ada, analyst), linus)

    page = signed_in(ada).get(f"/requests/R-{request.number}/").content.decode()

    assert f"{linus.display_name} declined" in page
    assert "Use the report in Looker." in page
    assert "Ask again" in page


@pytest.mark.parametrize("headers", [{}, PART], ids=["page", "htmx"])
def test_a_request_is_taken_back(
    headers: dict[str, str], ada: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    request = stories.submit(ada, analyst)

    answer = signed_in(ada).post(f"/requests/R-{request.number}/withdraw/", headers=headers)

    request.refresh_from_db()
    assert request.state == RequestState.WITHDRAWN
    assert answer.status_code == (200 if headers else 302)


def test_taking_back_what_was_decided_says_who_was_faster(
    ada: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    request = stories.decline(stories.submit(ada, analyst), linus)

    answer = signed_in(ada).post(f"/requests/R-{request.number}/withdraw/", headers=PART)

    assert answer.status_code == 409
    assert f"{linus.display_name} declined this" in answer.content.decode()


@pytest.mark.parametrize(
    ("who", "status"),
    [("ada", 200), ("grace", 200), ("linus", 200), ("sam", 200), ("audrey", 200), ("mallory", 404)],
)
def test_a_request_is_seen_by_those_it_concerns(
    who: str, status: int, request: pytest.FixtureRequest, ada: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    asked = stories.submit(ada, analyst)
    person = request.getfixturevalue(who)

    assert signed_in(person).get(f"/requests/R-{asked.number}/").status_code == status


def test_only_who_asked_takes_it_back(ada: Person, grace: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    request = stories.submit(ada, analyst)

    answer = signed_in(grace).post(f"/requests/R-{request.number}/withdraw/")

    assert answer.status_code == 409
    request.refresh_from_db()
    assert request.state == RequestState.PENDING


def test_a_request_needs_few_queries(
    ada: Person, linus: Person, sam: Person, snowflake: Application, signed_in: SignedIn,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:  # fmt: skip
    role = cast.add_role(snowflake, "Administrator", stages=("manager", "owner", "security"))
    request = stories.approve(stories.submit(ada, role), ada.manager)
    client = signed_in(ada)

    with django_assert_max_num_queries(12):
        client.get(f"/requests/R-{request.number}/")


def test_what_no_longer_comes_with_the_role_says_until_when_it_is_kept(
    ada: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    terms = RuleTerms("Engineers", 'department eq "Engineering"', [analyst], grace=timedelta(days=7))
    rule_runs.change_rule(terms, actor=cast.TESTING)
    rule_runs.work()
    client = signed_in(ada)
    assert "Kept until" not in client.get("/me/access/").content.decode()

    cast.move(ada, department="Finance")

    assert "it no longer comes with your role" in client.get("/me/access/").content.decode()
