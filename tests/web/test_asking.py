"""The request drawer: limits, who decides, errors in place, what is sent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from governance.access.models import AccessRequest, RequestState
from governance.catalog.models import Application, Entitlement
from governance.identity.models import Person
from governance.lifecycle import actions as lifecycle
from tests import cast
from tests.web import stories
from tests.web.conftest import SignedIn

PART = {"HX-Request": "true"}
ADDRESS = "/access/snowflake/request/"


def answers(**changed: str) -> dict[str, str]:
    return {
        "role": "analyst",
        "length": "14400",
        "purpose": "Fix an incident",
        "reason": "The nightly load failed and I have to see why.",
        "ticket": "",
        **changed,
    }


def test_the_drawer_is_a_page_without_script_and_a_part_with_it(
    ada: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    client = signed_in(ada)

    assert "<html" in client.get(ADDRESS).content.decode()
    part = client.get(ADDRESS, headers=PART).content.decode()
    assert part.strip().startswith('<form class="drawer-body" id="ask"')


def test_it_says_who_decides_and_until_when(
    ada: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    page = signed_in(ada).get(ADDRESS).content.decode()

    assert f"{linus.display_name} decides, application owner" in page
    assert "Ends" in page
    assert "your time" in page


def test_the_limit_is_shown_before_it_is_hit(ada: Person, snowflake: Application, signed_in: SignedIn) -> None:
    cast.add_role(snowflake, "Administrator", terms={"max_duration": timedelta(hours=8)}, stages=("owner", "security"))

    page = signed_in(ada).get(f"{ADDRESS}limits/?role=administrator&length=604800", headers=PART).content.decode()

    assert "Longest for Administrator: 8 hours." in page
    assert 'value="604800" disabled' in " ".join(page.split())
    assert 'value="28800" checked' in page


def test_a_request_is_sent(ada: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    answer = signed_in(ada).post(ADDRESS, answers())

    request = AccessRequest.objects.get()
    assert answer.status_code == 302
    assert answer.url == f"/requests/R-{request.number}/"
    assert request.duration == timedelta(hours=4)
    assert request.person == ada


def test_htmx_gets_where_it_stands_and_what_changes_behind_the_drawer(
    ada: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    headers = PART | {"HX-Current-URL": "http://testserver/access/"}

    page = signed_in(ada).post(ADDRESS, answers(), headers=headers).content.decode()

    assert "Request sent" in page
    assert 'hx-target="#card-snowflake"' in page
    assert 'hx-target="#live"' in page


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"reason": ""}, "Write one sentence"),
        ({"reason": "short"}, "Write one full sentence"),
        ({"reason": "x" * 2001}, "Keep it under 2000 characters."),
        ({"purpose": ""}, "Choose what this access is for."),
        ({"purpose": "World domination"}, "Choose one of these purposes."),
        ({"length": "7776000"}, "The longest for Analyst is 30 days."),
        ({"length": "0"}, "Choose one of these lengths."),
        ({"length": "-5"}, "Choose one of these lengths."),
        ({"length": "tomorrow"}, "Choose one of these lengths."),
        ({"role": "emperor"}, "Choose one of these roles."),
        ({"ticket": "x" * 121}, "Keep the ticket under 120 characters."),
    ],
    ids=lambda value: next(iter(value.items()))[0] if isinstance(value, dict) else None,
)
@pytest.mark.parametrize("headers", [{}, PART], ids=["page", "htmx"])
def test_what_does_not_fit_is_said_beside_the_field_and_nothing_is_sent(
    changed: dict[str, str], sentence: str, headers: dict[str, str], ada: Person, analyst: Entitlement,
    signed_in: SignedIn,
) -> None:  # fmt: skip
    answer = signed_in(ada).post(ADDRESS, answers(**changed), headers=headers)

    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert not AccessRequest.objects.exists()


def test_what_was_typed_is_not_typed_twice(ada: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    page = signed_in(ada).post(ADDRESS, answers(purpose="", reason="A sentence I typed."), headers=PART)

    assert "A sentence I typed." in page.content.decode()


def test_a_ticket_is_asked_for_where_the_policy_wants_one(
    ada: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    cast.add_role(snowflake, "Administrator", terms={"requires_ticket": True}, stages=("owner",))

    answer = signed_in(ada).post(ADDRESS, answers(role="administrator"), headers=PART)

    assert answer.status_code == 422
    assert "This role needs a ticket number." in answer.content.decode()


def test_who_has_it_is_offered_to_extend(ada: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    grant = stories.give(ada, analyst)

    page = signed_in(ada).get(ADDRESS).content.decode()

    assert "You already have Analyst until" in page
    assert f"/me/access/{grant.pk}/extend/" in page
    assert "Send request" not in page


def test_who_asked_already_is_led_to_the_request(ada: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    request = stories.submit(ada, analyst)

    page = signed_in(ada).get(ADDRESS).content.decode()

    assert f'href="/requests/R-{request.number}/"' in page
    assert signed_in(ada).post(ADDRESS, answers()).status_code == 422


def test_policy_that_approves_at_once_says_so_and_does_so(
    ada: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    terms = {"auto_approve": 'department eq "Engineering"', "auto_approve_up_to": timedelta(hours=8)}
    cast.add_role(snowflake, "Reader", terms=terms, stages=("owner",))
    client = signed_in(ada)

    assert "Approved at once by policy" in client.get(ADDRESS).content.decode()
    assert "decides, application owner" in client.get(f"{ADDRESS}limits/?role=reader&length=86400").content.decode()
    client.post(ADDRESS, answers(role="reader"))
    assert AccessRequest.objects.get().state == RequestState.APPROVED


def test_access_without_an_end_can_be_asked_for_where_the_policy_has_it(
    ada: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    cast.add_role(snowflake, "Reader", terms={"allows_open_end": True}, stages=("owner",))

    signed_in(ada).post(ADDRESS, answers(role="reader", length="0"))

    assert AccessRequest.objects.get().duration is None


def test_nothing_to_ask_for_names_who_can_help(
    ada: Person, linus: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    page = signed_in(ada).get(ADDRESS).content.decode()

    assert "There is no role here that you may ask for." in page
    assert linus.display_name in page


def test_an_unknown_application_is_not_found(ada: Person, signed_in: SignedIn) -> None:
    assert signed_in(ada).get("/access/atlantis/request/").status_code == 404
    assert signed_in(ada).get("/access/atlantis/request/limits/").status_code == 404


def test_reading_the_drawer_writes_nothing(ada: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    signed_in(ada).get(ADDRESS, answers())

    assert not AccessRequest.objects.exists()


def test_the_drawer_needs_few_queries(
    ada: Person, linus: Person, snowflake: Application, signed_in: SignedIn,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:  # fmt: skip
    for number in range(6):
        role = cast.add_role(
            snowflake, f"Role {number}", terms={"may_request": f'title ne "x{number}"'}, stages=("owner",)
        )
        if number % 2:
            stories.submit(ada, role)
    client = signed_in(ada)

    with django_assert_max_num_queries(12):
        client.get(ADDRESS)


def test_a_leaver_cannot_send_what_they_opened(ada: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    client = signed_in(ada)
    client.get(ADDRESS)
    lifecycle.leave(ada, actor=cast.TESTING)

    answer = client.post(ADDRESS, answers(), headers=PART)

    assert answer.status_code == 204
    assert answer["HX-Redirect"].startswith("/sign-in/")
    assert not AccessRequest.objects.exists()
