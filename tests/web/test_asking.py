"""The request drawer: limits, who decides, errors in place, what is sent."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from pytest_django import DjangoAssertNumQueries

from governance.access.models import AccessRequest, RequestState
from governance.catalog.models import Application, Entitlement
from governance.catalog.stages import Approvers, Stage
from governance.core.clock import now
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


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        (Stage(Approvers("managers_manager")), "the manager of your manager"),
        (Stage(Approvers("group", group="data")), "one of a group"),
        (Stage(Approvers("people", people=("linus",))), "somebody the policy names"),
    ],
    ids=["managers_manager", "group", "people"],
)
def test_the_drawer_says_as_what_every_kind_of_approver_is_asked(
    stage: Stage, said: str, ada: Person, linus: Person, sam: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    asked = stage.asked
    if asked.kind == "group":
        group = lifecycle.create_group("Data stewards", member_ids=[linus.pk], source="scim:test", actor=cast.TESTING)
        asked = Approvers("group", group=str(group.ref))
    elif asked.kind == "people":
        asked = Approvers("people", people=(str(linus.ref),))
    cast.add_role(snowflake, "Analyst", stages=(Stage(asked), "owner"))
    cast.add_role(snowflake, "Writer", stages=("manager", Stage(asked)))
    client = signed_in(ada)

    page = client.get(ADDRESS).content.decode()

    assert said in page
    assert f"{said[0].upper()}{said[1:]} decides" in client.get("/access/").content.decode()
    client.post(ADDRESS, answers(role="writer"))
    assert client.get(f"/requests/R-{AccessRequest.objects.get().number}/").status_code == 200


def test_teleport_58465_and_14424_nobody_chooses_who_decides_and_everybody_sees_who_and_how_fast(
    ada: Person, grace: Person, linus: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    role = cast.add_role(snowflake, "Analyst", stages=("manager", "owner"))
    with time_machine.travel(now() + timedelta(days=2), tick=False) as clock:
        for number in range(3):
            asked = stories.submit(cast.hire(f"Person{number} Test", manager=grace), role)
            clock.shift(timedelta(hours=3))
            stories.approve(asked, grace)
            clock.shift(timedelta(minutes=20))
            stories.approve(asked, linus)
        client = signed_in(ada)
        drawer = " ".join(client.get(ADDRESS).content.decode().split())
        several = client.get("/access/several/?role=snowflake/analyst").content.decode()
        answer = client.post(ADDRESS, answers(approver=str(linus.ref), stages="owner"))

    assert f"{grace.display_name} decides, your manager<small>Usually answered in 3 h; nearly always" in drawer
    assert re.search(r"Linus Berg decides, application owner.{0,80}Usually answered in 20 min", drawer)
    assert "Grace Hopper, then Linus Berg" in several
    for page in (drawer, several):
        assert "approver" not in {name.lower() for name in re.findall(r'name="([^"]+)"', page)}
    sent = AccessRequest.objects.get(person=ada)
    assert answer.status_code == 302
    assert [stage.kind for stage in sent.route] == ["manager", "owner"]


def test_what_was_typed_for_one_role_goes_along_to_several(
    ada: Person, analyst: Entitlement, snowflake: Application, signed_in: SignedIn
) -> None:
    cast.add_role(snowflake, "Writer")
    client = signed_in(ada)
    typed = answers(ticket="OPS-17")

    carried = client.post("/access/several/", typed | {"carry": "snowflake"})
    more = client.post(
        "/access/several/",
        typed
        | {"role": "snowflake/analyst", "more": "snowflake/writer", "choose": "1", "starts_at": "2036-03-03T10:00"},
    )
    fewer = client.post(
        "/access/several/", typed | {"role": ["snowflake/analyst", "snowflake/writer"], "without": "snowflake/analyst"}
    )

    assert not AccessRequest.objects.exists()
    for answer, roles in ((carried, ["analyst"]), (more, ["analyst", "writer"]), (fewer, ["writer"])):
        page = " ".join(answer.content.decode().split())
        assert answer.status_code == 200
        assert [f'name="role" value="snowflake/{role}"' in page for role in roles] == [True] * len(roles)
        assert typed["reason"] in page
        assert 'value="OPS-17"' in page
        assert 'value="14400" checked' in page
        assert '<option value="Fix an incident" selected' in page
    assert 'value="2036-03-03T10:00"' in more.content.decode()
    assert 'value="snowflake/analyst"' not in fewer.content.decode()


def test_without_words_what_is_chosen_stands_in_the_address(
    ada: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    chosen = {"role": "snowflake/analyst", "choose": "1", "q": "writer", "reason": ""}

    answer = signed_in(ada).post("/access/several/", chosen)

    assert answer.url == "/access/several/?role=snowflake%2Fanalyst&q=writer"
