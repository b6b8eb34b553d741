"""Orphan accounts: their order, whom they may belong to, and linking one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from governance.catalog.models import Application, Entitlement
from governance.core.clock import now
from governance.identity.models import Person
from governance.provisioning.models import Account
from governance.web.govern.matching import matches_for
from tests import cast
from tests.web import stories
from tests.web.conftest import SignedIn
from tests.web.govern import world

HTMX = {"HX-Request": "true"}


def order_of(page: str, *names: str) -> list[str]:
    """Return the names in the order in which the page shows them."""
    return sorted((name for name in names if f">{name}</a>" in page), key=lambda name: page.index(f">{name}</a>"))


def test_the_most_powerful_come_first_and_then_the_oldest(
    sam: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    plain = cast.add_role(snowflake, "Reader", risk=1)
    powerful = cast.add_role(snowflake, "Admin", risk=4, is_privileged=True)
    at = now()
    world.holding(world.account(snowflake, "young", first_seen_at=at - timedelta(days=1)), plain)
    world.holding(world.account(snowflake, "old", first_seen_at=at - timedelta(days=90)), plain)
    world.holding(world.account(snowflake, "strong", first_seen_at=at - timedelta(days=1)), powerful)

    page = signed_in(sam).get("/orphans/").content.decode()

    assert order_of(page, "young", "old", "strong") == ["strong", "old", "young"]


def test_when_every_account_has_a_person_the_page_says_so(
    ada: Person, sam: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    world.account(snowflake, "ada", person=ada)
    world.reading(snowflake)

    page = signed_in(sam).get("/orphans/").content.decode()

    assert "Every account has a person" in page
    assert "Complete: the one application read in the last" in page


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ({"email": "ADA@halden.example"}, "Same address"),
        ({"display_name": "Ada  Lovelacé"}, None),
        ({"display_name": "ada lovelace"}, "Same name"),
        ({"email": "ada@gmail.example"}, "Same name before the @"),
        ({"kind": "service", "email": "ada@halden.example"}, None),
        ({}, None),
    ],
    ids=["address", "accent in a name we do not have", "name", "local part", "service account", "nothing"],
)
def test_a_suggestion_names_its_reason(
    known: dict[str, str], reason: str | None, ada: Person, snowflake: Application
) -> None:
    account = world.account(snowflake, "x-4711", **known)

    match = matches_for([account]).get(account.pk)

    assert (match.reason if match else None) == reason
    assert match is None or match.person == ada


def test_two_people_who_match_equally_are_no_suggestion(ada: Person, snowflake: Application) -> None:
    cast.hire("Ada Lovelace", user_name="ada2@halden.example", email="ada2@halden.example", external_id="2")
    account = world.account(snowflake, "x-4711", display_name="Ada Lovelace")

    assert matches_for([account]) == {}


@pytest.mark.parametrize("who", ["sam", "linus"])
def test_an_account_is_linked_to_a_person(
    who: str, request: pytest.FixtureRequest, ada: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    account = world.account(snowflake, "a.lovelace")
    client = signed_in(request.getfixturevalue(who))
    assert "Ada Lovelace" in client.get(f"/orphans/{account.pk}/?q=love", headers=HTMX).content.decode()

    answer = client.post(f"/orphans/{account.pk}/link/", {"person": str(ada.ref)}, headers=HTMX)

    assert answer.status_code == 200
    assert answer["HX-Trigger"] == "access-changed"
    assert "belongs to Ada Lovelace" in answer.content.decode()
    account.refresh_from_db()
    assert (account.person, account.linked_by) == (ada, "by_hand")


def test_somebody_must_be_chosen(sam: Person, snowflake: Application, signed_in: SignedIn) -> None:
    account = world.account(snowflake, "a.lovelace")

    answer = signed_in(sam).post(f"/orphans/{account.pk}/link/", {}, headers=HTMX)

    assert answer.status_code == 422
    assert "Choose whose account this is." in answer.content.decode()


def test_linking_what_somebody_else_linked_is_a_conflict(
    ada: Person, grace: Person, sam: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    account = world.account(snowflake, "a.lovelace", person=grace)

    answer = signed_in(sam).post(f"/orphans/{account.pk}/link/", {"person": str(ada.ref)}, headers=HTMX)

    assert answer.status_code == 409
    assert Account.objects.get(pk=account.pk).person == grace


@pytest.mark.parametrize("who", ["ada", "audrey", "stranger"])
def test_nobody_else_links_accounts(
    who: str, request: pytest.FixtureRequest, ada: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    account = world.account(snowflake, "a.lovelace")
    person = request.getfixturevalue("mallory") if who == "stranger" else request.getfixturevalue(who)
    if who == "stranger":
        cast.add_application("NetSuite", owner=person)

    answer = signed_in(person).post(f"/orphans/{account.pk}/link/", {"person": str(ada.ref)})

    assert answer.status_code == 403
    assert Account.objects.get(pk=account.pk).person is None


def test_an_owner_sees_only_their_own(linus: Person, snowflake: Application, signed_in: SignedIn) -> None:
    world.account(snowflake, "mine")
    foreign = world.account(cast.add_application("NetSuite"), "foreign")
    client = signed_in(linus)

    page = client.get("/orphans/").content.decode()

    assert order_of(page, "mine", "foreign") == ["mine"]
    assert client.get(f"/orphans/{foreign.pk}/").status_code == 403


def test_the_list_stays_within_twelve_statements(
    sam: Person, analyst: Entitlement, signed_in: SignedIn, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(30):
        world.holding(world.account(analyst.application, f"a{number}@halden.example"), analyst)
    client = signed_in(sam)

    with django_assert_max_num_queries(12):
        client.get("/orphans/")


def test_hostile_words_stay_text_among_orphans(sam: Person, linus: Person, signed_in: SignedIn) -> None:
    application = cast.add_application(stories.HOSTILE, owner=linus, slug="hostile")
    account = world.account(application, stories.HOSTILE, display_name=stories.HOSTILE, email=stories.HOSTILE)
    client = signed_in(sam)

    for path in ("/orphans/", f"/orphans/{account.pk}/?q=%3Cimg+src%3E"):
        page = client.get(path).content.decode()
        assert "<img" not in page, path
        assert "&amp;lt;" not in page, path
