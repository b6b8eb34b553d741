"""What only a browser shows of the separation of duties: the whole way to a rule, accessibility, no script."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from playwright.sync_api import expect

from governance.access import birthright
from governance.catalog import rules
from governance.catalog.models import SodEffect, SodException, SodRule
from governance.core.clock import now
from governance.identity.models import Person
from tests import cast
from tests.duties import exempt, forbid, seen
from tests.web import stories
from tests.web.conftest import Open
from tests.web.page_check import findings, what_is_wrong

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def company(ada: Person, grace: Person, linus: Person, sam: Person, mallory: Person) -> dict[str, Any]:
    """A rule that somebody breaks, one with an exception, one that warns, something held back, a retired one."""
    netsuite = cast.add_application("NetSuite", owner=linus, category="Finance", risk=3)
    payer, approver = cast.add_role(netsuite, "Payer"), cast.add_role(netsuite, "Approver")
    auditor = cast.add_role(netsuite, "Auditor")
    rule = forbid([payer], [approver], owner=sam, severity=4)
    forbid([payer, approver, auditor], owner=sam, at_most=2, name=stories.HOSTILE, effect=SodEffect.WARN)
    for person in (ada, grace, mallory):
        stories.give(person, payer, ends_in=None)
    stories.give(grace, approver)
    seen(mallory, approver)
    exempt(rule, mallory, by=sam)
    rules.save_birthright_rule("Engineers", 'department eq "Engineering"', [approver], actor=cast.TESTING)
    with transaction.atomic():
        birthright.apply([ada.pk], at=now(), actor=cast.TESTING)
    stories.submit(ada, auditor)
    return {"rule": rule, "payer": payer, "approver": approver, "auditor": auditor}


PAGES = (
    "/duties/",
    "/duties/pay-and-approve/",
    "/duties/pay-and-approve/change/",
    "/new-duty-rule/",
    "/duties/pay-and-approve/except/",
)


@pytest.mark.timeout(300)
def test_every_page_is_accessible_quiet_and_narrow(
    company: dict[str, Any], ada: Person, sam: Person, reader: Open
) -> None:
    problems = what_is_wrong(reader(sam), (*PAGES, f"/people/{ada.ref}/", "/approvals/"))
    problems += what_is_wrong(reader(ada), ["/access/netsuite/request/?role=approver"])

    assert problems == []


@pytest.mark.parametrize("has_script", [True, False], ids=["script", "no script"])
def test_a_rule_is_written_looked_at_and_saved(
    has_script: bool, company: dict[str, Any], sam: Person, reader: Open
) -> None:
    page = reader(sam, java_script_enabled=has_script).open("/duties/")
    page.get_by_role("link", name="New rule").click()
    page.get_by_label("Name").fill("Audit and pay")
    page.get_by_label("Why it matters").fill("They could hide what they paid.")
    page.get_by_label("First roles", exact=True).select_option([str(company["payer"].pk)])
    page.get_by_label("Second roles").select_option([str(company["approver"].pk)])

    page.get_by_role("button", name="Show who breaks it").click()
    expect(page.get_by_role("region", name="Who would break it")).to_contain_text("2 people break it as written")
    expect(page.get_by_text("Grace Hopper")).to_be_visible()
    if has_script:
        assert findings(page) == []
    page.get_by_role("button", name="Save rule").click()

    expect(page.get_by_role("link", name="Audit and pay")).to_be_visible()
    assert SodRule.objects.filter(slug="audit-and-pay").exists()


def test_a_limit_asks_for_a_number_and_a_pair_for_a_second_set(
    company: dict[str, Any], sam: Person, reader: Open
) -> None:
    page = reader(sam).open("/new-duty-rule/")
    expect(page.get_by_label("Second roles")).to_be_visible()
    expect(page.get_by_label("At most so many")).to_be_hidden()

    page.get_by_text("Nobody has more than so many of the first roles").click()

    expect(page.get_by_label("Second roles")).to_be_hidden()
    expect(page.get_by_label("At most so many")).to_be_visible()


def test_an_exception_is_made_from_the_row_of_the_person(
    company: dict[str, Any], grace: Person, linus: Person, sam: Person, reader: Open
) -> None:
    page = reader(sam).open("/duties/pay-and-approve/")
    page.get_by_role("link", name="Make one for Grace Hopper").click()
    expect(page.get_by_label("Who", exact=True)).to_have_value(grace.email)
    page.get_by_label("Why").fill("She closes the quarter alone this month.")
    page.get_by_label("Last day").fill(f"{now() + timedelta(days=20):%Y-%m-%d}")
    page.get_by_label("Who answers for it").fill(linus.email)

    page.get_by_role("button", name="Make the exception").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Pay and approve")
    assert SodException.objects.filter(person=grace, owner=linus).exists()
