"""What only a browser shows of Govern and Assure: accessibility, narrow screens, keys, the peek, no script."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from playwright.sync_api import expect

from governance.access import birthright
from governance.access.models import Grant
from governance.catalog import policy_proposals, rules
from governance.catalog.policy_terms import PolicyTerms
from governance.core.clock import now
from governance.identity.models import Person
from governance.ledger.notes import Signer
from governance.ledger.sequencer import seal_everything
from governance.lifecycle import actions as lifecycle
from governance.provisioning.models import OperationState
from tests import cast
from tests.web import stories
from tests.web.conftest import Open
from tests.web.govern import world
from tests.web.page_check import findings, what_is_wrong

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def company(ada: Person, grace: Person, linus: Person, sam: Person, audrey: Person, mallory: Person) -> dict[str, Any]:
    """A little of everything: each kind of access, drift, orphans, a leaver, orders, a sealed ledger."""
    snowflake = cast.add_application("Snowflake", owner=linus, icon="snowflake", category="Data", risk=4)
    netsuite = cast.add_application("NetSuite", owner=linus, category="Finance", risk=3, data_classes=["financial"])
    analyst = cast.add_role(snowflake, "Analyst", data_classes=["phi"])
    admin = cast.add_role(snowflake, "Administrator", risk=4, is_privileged=True)
    clerk = cast.add_role(netsuite, "Clerk")
    rules.save_birthright_rule("Engineers", 'department eq "Engineering"', [clerk], actor=cast.TESTING)
    with transaction.atomic():
        birthright.apply([ada.pk, grace.pk], at=now(), actor=cast.TESTING)
    grant = stories.give(ada, analyst)
    stories.give(grace, admin, ends_in=None)
    stories.give(mallory, clerk, ends_in=timedelta(minutes=20))
    request = stories.approve(stories.submit(grace, analyst), linus)
    stories.submit(mallory, analyst, reason=stories.HOSTILE)
    world.holding(world.account(netsuite, "mallory", person=mallory), clerk)
    world.holding(world.account(snowflake, "mallory", person=mallory), admin)
    orphan = world.account(snowflake, "a.lovelace", display_name="Ada Lovelace")
    world.holding(orphan, admin)
    world.reading(snowflake)
    world.order(ada, clerk, OperationState.FAILED)
    left = cast.hire("Lea Left")
    stories.give(left, analyst)
    lifecycle.leave(left, actor=cast.TESTING)
    terms = PolicyTerms(stages=("manager",), max_duration=timedelta(days=3), auto_deny='userType eq "Contractor"')
    why = "Three days are enough for everybody."
    proposal = policy_proposals.open_proposal(
        "Standard", terms, slug="standard", why=why, proposed_by=sam, actor=cast.TESTING
    )
    seal_everything(signer=Signer.generate("example.com/ledger"))
    return {"grant": grant, "orphan": orphan, "left": left, "request": request, "proposal": proposal}


def pages(company: dict[str, Any]) -> list[str]:
    """Return the addresses of all pages here."""
    ada, left = company["grant"].person, company["left"]
    day = (now() - timedelta(days=1)).date()
    return [
        "/matrix/",
        f"/matrix/?at={day}",
        "/matrix/?type=breakglass",
        f"/matrix/{ada.ref}/snowflake/",
        "/people/",
        *(f"/people/{ada.ref}/{tab}" for tab in ("", "requests/", "history/")),
        f"/people/{left.ref}/",
        "/applications/",
        "/catalogue/?q=git",
        *(
            f"/applications/snowflake/{tab}"
            for tab in ("", "roles/", "accounts/", "requests/", "connector/", "history/", "new-role/", "owners/?q=a")
        ),
        "/orphans/",
        f"/orphans/{company['orphan'].pk}/?q=a",
        "/drift/",
        "/drift/?show=missing",
        "/operations/",
        "/policies/",
        "/policies/standard/",
        "/policies/standard/change/",
        f"/policy-proposals/{company['proposal'].pk}/",
        f"/policy-proposals/{company['proposal'].pk}/effect/",
        f"/policy-proposals/{company['proposal'].pk}/replay/",
        "/rules/engineers/",
        "/new-policy/",
        "/new-rule/",
        "/ledger/",
        "/ledger/3/",
        "/evidence/",
        f"/evidence/?framework=soc2&from={day}&to={day}&zone=UTC",
        f"/evidence/reports/r01/?framework=soc2&from={day}&to={day}&zone=UTC",
    ]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("half", [0, 1])
def test_every_page_is_accessible_quiet_and_narrow(
    half: int, company: dict[str, Any], sam: Person, reader: Open
) -> None:
    assert what_is_wrong(reader(sam), pages(company)[half::2]) == []


def test_the_grid_is_one_tab_stop_with_arrow_keys_and_a_peek(
    company: dict[str, Any], sam: Person, reader: Open
) -> None:
    one = reader(sam)
    page = one.open("/matrix/?dept=Engineering")
    first = page.locator("[role=grid] [tabindex='0']")
    expect(first).to_have_count(1)

    first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#drawer-title")).to_be_focused()
    assert findings(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("#drawer")).not_to_be_visible()
    expect(first).to_be_focused()

    page.keyboard.press("ArrowDown")
    focused = page.evaluate("document.activeElement.closest('tr').querySelector('.who').textContent")
    assert "Grace Hopper" in focused
    assert one.complaints == []


def test_arrow_keys_move_on_while_the_peek_is_open(company: dict[str, Any], sam: Person, reader: Open) -> None:
    one = reader(sam)
    page = one.open("/matrix/?dept=Engineering")
    page.locator("a.g").first.click()
    expect(page.locator("#drawer-title")).to_have_text("Ada Lovelace in Snowflake")

    page.locator("a.g").first.focus()
    page.keyboard.press("ArrowDown")

    expect(page.locator("#drawer-title")).to_have_text("Grace Hopper in Snowflake")


def test_the_legend_filters_and_the_address_keeps_it(company: dict[str, Any], sam: Person, reader: Open) -> None:
    one = reader(sam)
    page = one.open("/matrix/")

    page.locator(".chip.kc-drift").click()

    page.wait_for_url("**/matrix/?type=drift")
    expect(page.locator(".mx .k-birthright")).to_have_count(0)
    page.reload()
    expect(page.locator(".mx .k-drift")).to_have_count(1)
    page.go_back()
    expect(page.locator(".mx .k-birthright").first).to_be_visible()


def test_a_grant_is_taken_away_from_the_peek_after_a_question(
    company: dict[str, Any], sam: Person, reader: Open
) -> None:
    one = reader(sam)
    page = one.open("/matrix/?q=ada")
    page.locator("a.g.k-temporary").click()
    page.get_by_role("button", name="Revoke Analyst").click()
    expect(page.locator("#confirm-title")).to_have_text("Take Analyst from Ada Lovelace?")
    page.get_by_role("button", name="Cancel").click()
    assert Grant.objects.get(pk=company["grant"].pk).ends_at > now()

    page.get_by_role("button", name="Revoke Analyst").click()
    page.get_by_role("button", name="Take away").click()

    expect(page.get_by_text("Analyst ends now.")).to_be_visible()
    expect(page.locator(".mx a.g.k-temporary")).to_have_count(0)
    assert Grant.objects.get(pk=company["grant"].pk).ends_at <= now()
    assert one.complaints == []


def test_an_orphan_is_linked_to_the_suggested_person(company: dict[str, Any], sam: Person, reader: Open) -> None:
    one = reader(sam)
    page = one.open("/orphans/")
    page.get_by_role("link", name="a.lovelace").click()

    page.get_by_role("button", name="Link to Ada Lovelace").click()

    expect(page.locator("#drawer-title")).to_have_text("a.lovelace belongs to Ada Lovelace")
    expect(page.get_by_role("link", name="a.lovelace")).to_have_count(0)
    assert one.complaints == []


def test_a_failed_order_is_tried_again_with_words(company: dict[str, Any], sam: Person, reader: Open) -> None:
    one = reader(sam)
    page = one.open("/operations/?show=failed")

    page.get_by_role("button", name="Retry Clerk for Ada Lovelace").click()

    expect(page.locator("#live")).to_have_text("Clerk for Ada Lovelace in NetSuite is tried again.")
    expect(page.locator("#toasts")).to_contain_text("is tried again")
    assert one.complaints == []


def test_the_same_is_done_without_script(company: dict[str, Any], sam: Person, reader: Open) -> None:
    one = reader(sam, java_script_enabled=False)
    page = one.open("/matrix/")
    page.locator("#mq").fill("ada")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".mx tbody:not(.unlinked) th .who")).to_have_count(1)

    page.locator("a.g.k-temporary").click()
    page.get_by_role("button", name="Revoke Analyst").click()

    assert Grant.objects.get(pk=company["grant"].pk).ends_at <= now()
    expect(page.get_by_role("heading", level=1)).to_have_text("Ada Lovelace in Snowflake")


def test_a_person_leaves_after_a_question(company: dict[str, Any], ada: Person, sam: Person, reader: Open) -> None:
    one = reader(sam)
    page = one.open(f"/people/{ada.ref}/")
    page.get_by_role("button", name="Person left").click()
    expect(page.locator("#confirm-title")).to_have_text("Has Ada Lovelace left?")

    page.get_by_role("button", name="End everything").click()

    expect(page.get_by_role("heading", name="What leaving takes away")).to_be_visible()
    expect(page.locator("#toasts")).to_contain_text("Every removal is ordered.")
    assert one.complaints == []


def test_evidence_is_asked_for_and_its_card_asks_again(company: dict[str, Any], audrey: Person, reader: Open) -> None:
    one = reader(audrey)
    page = one.open("/evidence/")
    page.locator("#preview").get_by_role("link").click()
    expect(page.get_by_role("heading", name="Population and sources")).to_be_visible()

    page.get_by_role("button", name="Build the bundle").click()

    expect(page.locator("#bundle progress")).to_be_visible()
    assert one.complaints == []


def test_the_matrix_prints_without_navigation(company: dict[str, Any], sam: Person, reader: Open) -> None:
    one = reader(sam)
    page = one.open("/matrix/")
    page.emulate_media(media="print")

    expect(page.locator("#side")).not_to_be_visible()
    expect(page.locator(".mx")).to_be_visible()
