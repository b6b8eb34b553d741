"""The pages about the separation of duties: who breaks what, writing rules after a look, exceptions."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from governance.access import birthright
from governance.catalog import rules
from governance.catalog.models import Application, Entitlement, SodEffect, SodException, SodRule, SodRuleVersion
from governance.core.clock import now
from governance.identity.models import Person
from tests import cast
from tests.duties import BECAUSE, exempt, forbid, seen
from tests.web import stories
from tests.web.conftest import SignedIn

pytestmark = pytest.mark.django_db


@pytest.fixture
def payer(snowflake: Application) -> Entitlement:
    return cast.add_role(snowflake, "Payer")


@pytest.fixture
def approver(sam: Person) -> Entitlement:
    return cast.add_role(cast.add_application("Tally", owner=sam), "Approver")


@pytest.fixture
def rule(sam: Person, payer: Entitlement, approver: Entitlement) -> SodRule:
    return forbid([payer], [approver], owner=sam)


@pytest.fixture
def breaks(ada: Person, payer: Entitlement, approver: Entitlement, rule: SodRule) -> Person:
    """Ada, who has both."""
    stories.give(ada, payer)
    stories.give(ada, approver)
    return ada


def written(one: Entitlement, other: Entitlement, /, **change: Any) -> dict[str, Any]:
    return {
        "name": "Pay and sign",
        "why": "They could pay themselves.",
        "shape": "pair",
        "first": [one.pk],
        "second": [other.pk],
        "effect": "block",
        "severity": "4",
        "owner": "sam@halden.example",
        "do": "look",
        **change,
    }


def fingerprint(page: str) -> str:
    return page.split('name="shown" value="')[1].split('"', maxsplit=1)[0]


def test_the_list_counts_who_breaks_each_rule(breaks: Person, sam: Person, signed_in: SignedIn) -> None:
    page = signed_in(sam).get("/duties/").content.decode()

    assert "Nobody has Payer in Snowflake together with Approver in Tally." in page
    assert "1 person" in page
    assert "New rule" in page


def test_a_rule_names_who_breaks_it_by_what_and_since_when(
    breaks: Person, grace: Person, payer: Entitlement, approver: Entitlement, sam: Person, signed_in: SignedIn
) -> None:
    stories.give(grace, payer)
    seen(grace, approver)

    page = signed_in(sam).get("/duties/pay-and-approve/").content.decode()

    assert page.index("Ada Lovelace") < page.index("Grace Hopper")
    assert re.search(r">By hand</a>, since", page)
    assert "Seen there, nothing explains it" in page
    assert f"?person={breaks.ref}" in page


def test_an_owner_sees_conflicts_in_their_applications_and_changes_nothing(
    breaks: Person, linus: Person, mallory: Person, signed_in: SignedIn
) -> None:
    mine, others = signed_in(linus), cast.add_application("Dock", owner=mallory)
    ship, book = cast.add_role(others, "Shipper"), cast.add_role(others, "Booker")
    forbid([ship], [book], owner=linus, name="Ship and book")

    page = mine.get("/duties/").content.decode()
    assert "Pay and approve" in page
    assert "Ship and book" not in page
    assert "New rule" not in page
    one = mine.get("/duties/pay-and-approve/").content.decode()
    assert "Ada Lovelace" in one
    assert "Make one" not in one
    assert mine.get("/duties/ship-and-book/").status_code == 403


def test_an_auditor_reads_everything_and_finds_no_buttons(
    breaks: Person, rule: SodRule, sam: Person, audrey: Person, signed_in: SignedIn
) -> None:
    exempt(rule, breaks, by=sam)

    page = signed_in(audrey).get("/duties/pay-and-approve/").content.decode()

    assert BECAUSE in page
    assert "Change rule" not in page
    assert "Retire" not in page
    assert "End<" not in page


def test_a_rule_is_saved_only_after_a_look_at_who_would_break_it(
    ada: Person, payer: Entitlement, approver: Entitlement, sam: Person, signed_in: SignedIn
) -> None:
    stories.give(ada, payer)
    stories.give(ada, approver)
    client = signed_in(sam)

    unseen = client.post("/new-duty-rule/", written(payer, approver, do="save"))
    assert not SodRule.objects.exists()
    page = unseen.content.decode()
    assert "1 person breaks it as written" in page
    assert "Ada Lovelace" in page

    answer = client.post("/new-duty-rule/", written(payer, approver, do="save", shown=fingerprint(page)))
    assert answer.status_code == 302
    version = SodRuleVersion.objects.get()
    assert (version.name, version.severity, version.effect, version.owner) == ("Pay and sign", 4, "block", sam)


def test_a_change_after_the_look_is_looked_at_again(
    payer: Entitlement, approver: Entitlement, analyst: Entitlement, sam: Person, signed_in: SignedIn
) -> None:
    client = signed_in(sam)
    shown = fingerprint(client.post("/new-duty-rule/", written(payer, approver)).content.decode())

    page = client.post("/new-duty-rule/", written(payer, analyst, do="save", shown=shown)).content.decode()

    assert not SodRule.objects.exists()
    assert "Nobody breaks it as written" in page


def test_a_change_says_how_many_break_the_version_in_force_and_is_a_new_version(
    breaks: Person, payer: Entitlement, analyst: Entitlement, approver: Entitlement, sam: Person, signed_in: SignedIn
) -> None:
    client, address = signed_in(sam), "/duties/pay-and-approve/change/"
    limit = {"shape": "limit", "at_most": "2", "first": [payer.pk, analyst.pk, approver.pk], "second": []}
    assert "They could" not in client.get(address).content.decode()

    page = client.post(address, written(payer, approver, **limit)).content.decode()
    assert "1 breaks the version in force" in page
    client.post(address, written(payer, approver, **limit, shown=fingerprint(page)) | {"do": "save"})

    assert [one.at_most for one in SodRuleVersion.objects.order_by("number")] == [None, 2]
    shown = client.get("/duties/pay-and-approve/").content.decode()
    assert "Nobody has more than 2 of" in shown
    assert "Version 1" in shown


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"owner": "nobody@halden.example"}, "Nobody has the address"),
        ({"second": []}, "Choose at least one role."),
        ({"shape": "limit"}, "Say how many."),
        ({"shape": "limit", "at_most": "1"}, "this forbids nothing"),
        ({"name": "!!!"}, "letters or digits"),
        ({"severity": "9"}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_a_rule_comes_back_with_the_reason(
    change: dict[str, Any], said: str, payer: Entitlement, approver: Entitlement, sam: Person, signed_in: SignedIn
) -> None:
    answer = signed_in(sam).post("/new-duty-rule/", written(payer, approver, **change))

    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not SodRule.objects.exists()


def exception_of(who: Person, /, **change: Any) -> dict[str, Any]:
    ends_on = (now() + timedelta(days=20)).date()
    return {"person": who.email, "reason": BECAUSE, "owner": "grace@halden.example", "ends_on": ends_on} | change


def test_an_exception_is_granted_shown_and_ended(
    breaks: Person, grace: Person, sam: Person, signed_in: SignedIn
) -> None:
    client = signed_in(sam)
    assert breaks.email in client.get(f"/duties/pay-and-approve/except/?person={breaks.ref}").content.decode()

    assert client.post("/duties/pay-and-approve/except/", exception_of(breaks)).status_code == 302

    exception = SodException.objects.get()
    assert (exception.granted_by, exception.owner) == (sam, grace)
    page = client.get("/duties/pay-and-approve/").content.decode()
    assert "1 with an exception" in client.get("/duties/").content.decode()
    assert BECAUSE in page
    client.post(f"/exceptions/{exception.pk}/end/")
    assert "by Sam Okoro" in client.get("/duties/pay-and-approve/").content.decode()
    assert client.post(f"/exceptions/{exception.pk}/end/").status_code == 409


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"person": "sam@halden.example"}, "Nobody grants an exception for themselves."),
        ({"person": "nobody@halden.example"}, "Nobody has the address"),
        ({"owner": "ada@halden.example"}, "Somebody else has to answer for it."),
        ({"reason": "Because."}, "at least 15 characters"),
        ({"ends_on": "2020-01-01"}, "Choose a day ahead"),
        ({"ends_on": ""}, "required"),
    ],
)
def test_an_exception_out_of_order_comes_back_with_the_reason(
    change: dict[str, Any], said: str, breaks: Person, sam: Person, signed_in: SignedIn
) -> None:
    answer = signed_in(sam).post("/duties/pay-and-approve/except/", exception_of(breaks, **change))

    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not SodException.objects.exists()


def test_a_retired_rule_is_kept_and_offers_nothing(breaks: Person, sam: Person, signed_in: SignedIn) -> None:
    client = signed_in(sam)

    client.post("/duties/pay-and-approve/retire/")

    page = client.get("/duties/pay-and-approve/").content.decode()
    assert "Retired" in page
    assert "Ada Lovelace" not in page
    assert "Change rule" not in page
    assert "Retired" in client.get("/duties/").content.decode()
    assert client.get("/duties/pay-and-approve/change/").status_code == 409


def test_what_is_held_back_is_listed_at_the_rule_and_at_the_person(
    ada: Person, payer: Entitlement, approver: Entitlement, rule: SodRule, sam: Person, signed_in: SignedIn
) -> None:
    stories.give(ada, payer)
    rules.save_birthright_rule("Engineers", 'department eq "Engineering"', [approver], actor=cast.TESTING)
    birthright.apply([ada.pk], at=now(), actor=cast.TESTING)

    assert "Held back because of it" in signed_in(sam).get("/duties/pay-and-approve/").content.decode()
    assert "Not given: Approver in Tally" in signed_in(sam).get(f"/people/{ada.ref}/").content.decode()


def test_the_page_of_a_person_shows_what_they_break(breaks: Person, sam: Person, signed_in: SignedIn) -> None:
    page = signed_in(sam).get(f"/people/{breaks.ref}/").content.decode()

    assert "No exception" in page
    assert 'href="/duties/pay-and-approve/"' in page


def test_the_drawer_says_why_a_role_cannot_be_had_and_offers_no_button(
    ada: Person, payer: Entitlement, approver: Entitlement, rule: SodRule, signed_in: SignedIn
) -> None:
    stories.give(ada, approver)

    page = signed_in(ada).get("/access/snowflake/request/?role=payer").content.decode()

    assert "You cannot have this: it breaks the rule “Pay and approve”" in page
    assert "You have Approver in Tally." in page
    assert "Send request" not in page


def test_a_warning_is_read_by_who_asks_and_by_who_decides(
    ada: Person, linus: Person, payer: Entitlement, approver: Entitlement, sam: Person, signed_in: SignedIn
) -> None:
    forbid([payer], [approver], owner=sam, effect=SodEffect.WARN)
    stories.give(ada, approver, ends_in=None)
    drawer = signed_in(ada).get("/access/snowflake/request/?role=payer").content.decode()
    assert "You may ask; whoever decides sees this." in drawer
    assert "Send request" in drawer

    stories.submit(ada, payer)

    page = signed_in(linus).get("/approvals/").content.decode()
    assert "Breaks the rule “Pay and approve”" in page
    assert "Ada Lovelace has Approver in Tally." in page
    assert "You may approve it" in page


def test_a_yes_that_a_new_rule_forbids_comes_back_with_the_reason(
    ada: Person, linus: Person, payer: Entitlement, approver: Entitlement, sam: Person, signed_in: SignedIn
) -> None:
    stories.give(ada, approver, ends_in=None)
    request = stories.submit(ada, payer)
    forbid([payer], [approver], owner=sam)

    answer = signed_in(linus).post(f"/requests/R-{request.number}/approve/", {})

    assert answer.status_code == 422
    assert "It breaks the rule “Pay and approve” together with Approver in Tally." in answer.content.decode()


def test_the_pages_stay_within_twelve_statements(
    rule: SodRule,
    payer: Entitlement,
    approver: Entitlement,
    linus: Person,
    sam: Person,
    ada: Person,
    signed_in: SignedIn,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(5):
        person = cast.hire(f"Clerk{number} Nr")
        stories.give(person, payer)
        stories.give(person, approver)
        exempt(rule, person, by=sam)
        forbid([payer], [approver], owner=sam, name=f"Rule {number}", effect=SodEffect.WARN)
    stories.give(ada, approver, ends_in=None)
    exempt(rule, ada, by=sam)
    stories.submit(ada, payer)

    for who, address in (
        (sam, "/duties/"),
        (linus, "/duties/"),
        (sam, "/duties/pay-and-approve/"),
        (linus, "/duties/pay-and-approve/"),
        (sam, "/duties/pay-and-approve/change/"),
        (sam, "/duties/pay-and-approve/except/"),
        (linus, "/approvals/"),
        (ada, "/access/snowflake/request/"),
    ):
        client = signed_in(who)
        with django_assert_max_num_queries(12):
            client.get(address)
