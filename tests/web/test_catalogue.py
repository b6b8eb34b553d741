"""Home and the catalogue: what one may ask for, what one has and waits for."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from pytest_django import DjangoAssertNumQueries

from governance.access import deciding
from governance.access.queries import first_answer_times
from governance.catalog.models import Application, Entitlement
from governance.core.clock import now
from governance.identity.models import Person
from tests import cast
from tests.web import stories
from tests.web.conftest import SignedIn

PART = {"HX-Request": "true"}


@pytest.fixture
def figma(linus: Person) -> Application:
    return cast.add_application("Figma", owner=linus, description="Design files", category="Design")


def test_the_catalogue_shows_what_can_be_asked_for(ada: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    page = signed_in(ada).get("/access/").content.decode()

    assert "Snowflake" in page
    assert 'href="/access/snowflake/request/"' in page


def test_what_the_policy_does_not_let_one_ask_for_is_not_shown(
    ada: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    cast.add_role(snowflake, "Controller", terms={"may_request": 'department eq "Finance"'}, stages=("owner",))

    assert "Snowflake" not in signed_in(ada).get("/access/").content.decode()


@pytest.mark.parametrize(
    ("question", "is_found"),
    [("snow", True), ("ANALYST", True), ("query snowflake", True), ("payroll", False)],
    ids=["name", "role in capitals", "task in two words", "something else"],
)
def test_applications_are_found_by_name_role_and_task(
    question: str, is_found: bool, ada: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    page = signed_in(ada).get("/access/", {"q": question}).content.decode()

    assert ('id="card-snowflake"' in page) is is_found
    assert ("No application by that name" in page) is not is_found


def test_a_category_narrows_the_catalogue(
    ada: Person, analyst: Entitlement, figma: Application, signed_in: SignedIn
) -> None:
    cast.add_role(figma, "Editor")

    page = signed_in(ada).get("/access/", {"category": "Design"}).content.decode()

    assert 'id="card-figma"' in page
    assert 'id="card-snowflake"' not in page


def test_htmx_gets_only_the_list(ada: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    page = signed_in(ada).get("/access/", headers=PART).content.decode()

    assert page.strip().startswith('<div id="list"')
    assert "<html" not in page


def test_yours_right_now_says_what_ends_and_what_waits(
    ada: Person, linus: Person, analyst: Entitlement, figma: Application, signed_in: SignedIn
) -> None:
    stories.give(ada, analyst, ends_in=timedelta(hours=2))
    stories.submit(ada, cast.add_role(figma, "Editor"))

    page = signed_in(ada).get("/access/").content.decode()

    assert "Yours right now" in page
    assert "1 h 59</time> left" in page
    assert f"Waiting for {linus.display_name}" in page


def test_at_once_is_said_where_policy_approves(ada: Person, snowflake: Application, signed_in: SignedIn) -> None:
    terms = {"auto_approve": 'department eq "Engineering"', "auto_approve_up_to": timedelta(hours=8)}
    cast.add_role(snowflake, "Reader", terms=terms, stages=("owner",))

    assert "At once" in signed_in(ada).get("/access/").content.decode()


def test_the_usual_time_is_said_after_three_answers(
    ada: Person, grace: Person, mallory: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    for person in (ada, grace, mallory):
        stories.decline(stories.submit(person, analyst), linus)

    page = signed_in(ada).get("/access/").content.decode()
    assert "Usually less than a minute" in page
    assert "nearly always within less than a minute" in page


def test_the_usual_time_is_that_of_the_first_answer(
    grace: Person, linus: Person, ada: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    role = cast.add_role(snowflake, "Writer", stages=("manager", "owner"))
    with time_machine.travel(now() + timedelta(days=9), tick=False) as clock:
        for number, minutes in enumerate((10, 20, 600)):
            waiting = stories.submit(cast.hire(f"Person{number} Test", manager=grace), role)
            clock.shift(timedelta(minutes=minutes))
            deciding.approve(waiting, approver=grace, actor=cast.acting(grace))
            clock.shift(timedelta(days=2))
            deciding.approve(waiting, approver=linus, actor=cast.acting(linus))
        times = first_answer_times([snowflake.pk], at=now())
        page = signed_in(ada).get("/access/").content.decode()

    assert times[snowflake.pk].median == timedelta(minutes=20)
    assert timedelta(hours=9) < times[snowflake.pk].p95 < timedelta(hours=10)
    assert "Usually 20" in page


def test_an_employee_begins_with_the_catalogue(ada: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    page = signed_in(ada).get("/").content.decode()

    assert "<h1>What do you need, " in page
    assert 'id="card-snowflake"' in page


def test_an_owner_begins_with_what_waits_the_oldest_first(
    ada: Person, mallory: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    first, second = stories.submit(mallory, analyst), stories.submit(ada, analyst)

    page = signed_in(linus).get("/").content.decode()

    assert "Waiting for you" in page
    assert page.index(f"R-{first.number}") < page.index(f"R-{second.number}")


def test_an_auditor_begins_with_the_evidence(audrey: Person, signed_in: SignedIn) -> None:
    answer = signed_in(audrey).get("/")

    assert answer.status_code == 302
    assert answer.url == "/evidence/"


@pytest.mark.parametrize("path", ["/", "/access/"])
def test_the_catalogue_needs_few_queries_however_much_is_in_it(
    path: str,
    ada: Person,
    linus: Person,
    signed_in: SignedIn,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(12):
        application = cast.add_application(f"Application {number}", owner=linus)
        stories.submit(ada, cast.add_role(application, "Reader"))
        stories.give(ada, cast.add_role(application, "Writer"))
    client = signed_in(ada)

    with django_assert_max_num_queries(12):
        client.get(path)


def test_names_and_words_from_outside_are_escaped(ada: Person, linus: Person, signed_in: SignedIn) -> None:
    application = cast.add_application(
        stories.HOSTILE, owner=linus, description=stories.HOSTILE, category=stories.HOSTILE[:50], icon="nothing"
    )
    cast.add_role(application, stories.HOSTILE)
    Person.objects.update(display_name=stories.HOSTILE, given_name=stories.HOSTILE, title=stories.HOSTILE)

    for path in ("/", "/access/", f"/access/{application.slug}/request/", "/settings/", "/search/?q=img"):
        page = signed_in(ada).get(path).content.decode()
        assert "<img" not in page, path
        assert "&lt;img src=x onerror=alert(1)&gt;" in page, path
        assert "&amp;lt;" not in page, path
