"""What only a browser shows: accessibility, both themes, narrow screens, focus, keys, life without script."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from governance.access import break_glass
from governance.access.models import AccessRequest, RequestState
from governance.catalog.models import Entitlement
from governance.catalog.packages import save_package
from governance.identity.models import Person
from tests import cast
from tests.web import stories
from tests.web.conftest import Open, Reader
from tests.web.page_check import PHONE, what_is_wrong, what_is_wrong_with

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def company(ada: Person, grace: Person, linus: Person, sam: Person, mallory: Person) -> dict[str, Any]:
    """A little of everything: access that ends and does not, past and waiting requests, a long name."""
    snowflake = cast.add_application("Snowflake", owner=linus, icon="snowflake", description="Data warehouse",
                                     category="Data", risk=4)  # fmt: skip
    netsuite = cast.add_application("NetSuite", owner=linus, description="General ledger and payables",
                                    category="Finance", risk=3)  # fmt: skip
    analyst = cast.add_role(snowflake, "Analyst")
    powerful = cast.add_role(snowflake, "Administrator", risk=4, is_privileged=True, stages=("owner", "security"),
                             terms={"max_duration": timedelta(hours=8), "requires_ticket": True,
                                    "break_glass_up_to": timedelta(hours=1)})  # fmt: skip
    payables = cast.add_role(netsuite, "Payables lead", risk=3, stages=("manager", "owner"))
    reader = cast.add_role(netsuite, "Reader with a name that is rather long for a narrow column", risk=1)
    stories.give(ada, analyst, ends_in=timedelta(minutes=20))
    stories.give(ada, reader, ends_in=None)
    stories.decline(stories.submit(ada, payables), grace)
    done = stories.approve(stories.submit(mallory, analyst), linus)
    waiting = stories.submit(ada, payables)
    stories.submit(mallory, powerful, timedelta(hours=1), ticket="HAL-1", reason=stories.HOSTILE)
    stories.submit(mallory, reader)
    why, an_hour = f"Nothing works. {stories.HOSTILE}", timedelta(hours=1)
    break_glass.break_glass(mallory, powerful, duration=an_hour, reason=why, actor=cast.acting(mallory))
    save_package("Data start", "For the first day.", [analyst, reader], actor=cast.TESTING)
    return {"analyst": analyst, "powerful": powerful, "waiting": waiting, "done": done}


@pytest.fixture
def snowflake_request(company: dict[str, Any], grace: Person, linus: Person) -> AccessRequest:
    """A request that waits for security."""
    return stories.approve(stories.submit(grace, company["powerful"], timedelta(hours=1), ticket="HAL-2"), linus)


PAGES = [
    ("ada", "/"),
    ("ada", "/access/"),
    ("ada", "/access/?q=nothing+like+it"),
    ("ada", "/access/snowflake/request/"),
    ("ada", "/access/several/?role=snowflake/administrator&q=net"),
    ("ada", "/access/several/?package=data-start&like=mallory@halden.example"),
    ("ada", "/access/snowflake/break-glass/"),
    ("ada", "/requests/"),
    ("ada", "/me/access/"),
    ("ada", "/settings/"),
    ("ada", "/search/?q=snow"),
    ("ada", "/nowhere/"),
    ("ada", "/kit/"),
    ("grace", "/approvals/"),
    ("linus", "/"),
    ("linus", "/approvals/"),
    ("linus", "/break-glass/"),
    ("linus", "/packages/data-start/"),
    ("linus", "/new-package/"),
    ("sam", "/"),
    ("sam", "/kit/"),
    ("sam", "/packages/"),
    ("sam", "/ticket-systems/"),
    ("sam", "/new-ticket-system/"),
    ("", "/sign-in/"),
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("who", list(dict.fromkeys(who for who, _ in PAGES)))
def test_every_page_is_accessible_quiet_and_narrow(who: str, company: dict[str, Any], reader: Open,
                                                   request: Any) -> None:  # fmt: skip
    one = reader(request.getfixturevalue(who) if who else None)

    assert what_is_wrong(one, [path for owner, path in PAGES if owner == who], expected=("404", "403")) == []


@pytest.mark.timeout(300)
def test_a_request_and_its_drawers_are_accessible(company: dict[str, Any], ada: Person, reader: Open) -> None:
    one = reader(ada)
    problems = what_is_wrong(one, [f"/requests/R-{company['waiting'].number}/"])
    page = one.open("/access/")
    page.get_by_role("link", name="Snowflake", exact=True).click()
    expect(page.locator("#drawer")).to_be_visible()
    problems += what_is_wrong_with(page)
    page.get_by_label("Administrator").check()
    page.get_by_role("button", name="Send request").click()
    expect(page.locator("#id_reason")).to_have_attribute("aria-invalid", "true")
    problems += what_is_wrong_with(page)
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette-list [role=option]").first).to_be_visible()
    problems += what_is_wrong_with(page)

    assert problems + one.complaints == []


def test_a_request_is_sent_by_keyboard_alone(company: dict[str, Any], ada: Person, reader: Open) -> None:
    one = reader(ada)
    page = one.open("/access/")

    page.keyboard.press("/")
    page.keyboard.type("snow")
    expect(page.locator("#card-netsuite")).to_have_count(0)
    expect(page.locator("#cq")).to_be_focused()
    assert page.url.endswith("?q=snow")
    page.locator("#ask-for-snowflake").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#drawer-title")).to_be_focused()
    page.get_by_label("Administrator").focus()
    page.keyboard.press("Space")
    expect(page.get_by_text("Longest for Administrator: 8 hours.")).to_be_visible()
    page.locator("#id_purpose").focus()
    page.keyboard.type("Fix")
    page.locator("#id_reason").focus()
    page.keyboard.type("The nightly load failed and I look into it.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#id_ticket")).to_be_focused()
    page.keyboard.type("HAL-2291")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("heading", name="Request sent")).to_be_focused()
    expect(page.locator("#live")).to_contain_text("is sent.")
    page.keyboard.press("Escape")
    expect(page.locator("#ask-for-snowflake")).to_be_focused()

    assert AccessRequest.objects.filter(person=ada, entitlement=company["powerful"]).exists()
    assert one.complaints == []


def test_the_end_follows_the_chosen_length_in_the_readers_zone(company: dict[str, Any], ada: Person,
                                                               reader: Open) -> None:  # fmt: skip
    page = reader(ada).open("/access/netsuite/request/?role=reader-with-a-name-that-is-rather-long-for-a-narrow-column")
    page.goto("/access/snowflake/request/?role=administrator")
    before = page.locator("[data-ends]").inner_text()

    page.get_by_text("8 hours", exact=True).click()

    expect(page.locator("[data-ends]")).not_to_have_text(before)
    expect(page.locator("[data-ends]")).to_contain_text("your time")


def test_approvals_are_decided_by_keys(company: dict[str, Any], linus: Person, reader: Open) -> None:
    one = reader(linus)
    page = one.open("/approvals/")
    first = page.locator("#detail").get_attribute("data-current")

    page.keyboard.press("j")
    expect(page.locator("#detail")).not_to_have_attribute("data-current", first or "")
    expect(page.locator("#d-title")).to_be_focused()
    page.keyboard.press("Shift+J")
    expect(page.locator("#detail")).to_have_attribute("data-current", first or "")
    page.keyboard.press("d")
    expect(page.locator("#answer")).to_be_focused()
    page.keyboard.type("Use the report in Looker.")
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    expect(page.locator("#live")).to_contain_text("Declined:")
    expect(page.locator("#d-title")).to_be_focused()
    page.keyboard.press("a")
    expect(page.locator("#live")).to_contain_text("Approved:")
    expect(page.locator("#count-approvals")).to_have_text("")

    assert AccessRequest.objects.get(number=first).state == RequestState.DENIED
    assert one.complaints == []


def test_the_list_is_narrowed_by_mouse_and_o_opens_the_other_answers(
    company: dict[str, Any], linus: Person, reader: Open
) -> None:
    one = reader(linus)
    page = one.open("/approvals/")

    page.get_by_label("Application", exact=True).select_option("snowflake")
    expect(page.locator("#progress")).to_contain_text(" of ")
    expect(page.locator("#several-at-once")).to_have_attribute("href", "/approvals/several/?app=snowflake")
    number = page.locator("#detail").get_attribute("data-current")
    page.locator("h1").first.click()
    page.keyboard.press("o")

    page.wait_for_url(f"**/requests/R-{number}/other/?app=snowflake")
    assert one.complaints == []


def test_a_held_key_decides_only_once(company: dict[str, Any], linus: Person, reader: Open) -> None:
    page = reader(linus).open("/approvals/")
    before = page.locator(".queue .q").count()

    page.keyboard.down("a")
    page.keyboard.down("a")
    page.keyboard.down("a")
    page.keyboard.up("a")

    expect(page.locator(".queue .q")).to_have_count(before - 1)


def test_single_keys_do_nothing_once_they_are_off(company: dict[str, Any], linus: Person, reader: Open) -> None:
    page = reader(linus).open("/settings/")
    page.get_by_role("button", name="Turn off").click()
    page.goto("/approvals/")
    before = page.locator(".queue .q").count()

    page.keyboard.press("a")
    page.wait_for_timeout(500)

    assert page.locator(".queue .q").count() == before


def test_when_two_decide_the_second_learns_who_was_faster(
    company: dict[str, Any], linus: Person, sam: Person, reader: Open
) -> None:
    page = reader(linus).open("/approvals/")
    number = int(page.locator("#detail").get_attribute("data-current") or 0)
    request = AccessRequest.objects.get(number=number)
    other = cast.hire("Olga Owner")
    request.entitlement.application.ownerships.create(person=other, since=other.joined_at)
    stories.decline(request, other, "Not needed any more.")

    page.get_by_role("button", name="Approve").click()

    expect(page.locator("#toasts")).to_contain_text("Olga Owner declined this")
    expect(page.locator("#toasts").get_by_role("link", name="Reload")).to_be_visible()


def test_giving_back_asks_first_and_escape_changes_nothing(company: dict[str, Any], ada: Person, reader: Open) -> None:
    page = reader(ada).open("/me/access/")
    button = page.get_by_role("button", name="Give back Analyst in Snowflake")

    button.click()
    expect(page.locator("#confirm")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(button).to_be_focused()
    button.click()
    page.locator("#confirm-ok").click()

    expect(page.locator("#live")).to_contain_text("Given back: Analyst in Snowflake.")
    expect(page.get_by_role("heading", name="In the past")).to_be_visible()


def test_being_signed_out_in_the_middle_of_a_drawer_keeps_what_was_written(
    company: dict[str, Any], ada: Person, reader: Open
) -> None:
    ada.set_password("correct horse battery staple")
    ada.save()
    one = reader(ada)
    page = one.open("/access/")
    page.locator("#ask-for-netsuite").click()
    page.get_by_label("Payables lead").check()
    page.locator("#ask-for-snowflake").evaluate("node => node.closest('body').dataset.page")
    page.goto("/access/")
    page.locator("#ask-for-snowflake").click()
    page.get_by_label("Administrator").check()
    page.locator("#id_reason").fill("A long sentence that should not be lost.")
    one.context.clear_cookies(name="sessionid")

    page.get_by_role("button", name="Send request").click()

    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_label("E-mail").fill(ada.email)
    page.get_by_label("Password").fill("correct horse battery staple")
    page.get_by_role("button", name="Sign in").click()
    page.locator("#ask-for-snowflake").click()
    expect(page.locator("#id_reason")).to_have_value("A long sentence that should not be lost.")


def test_back_and_forward_show_what_the_address_says(company: dict[str, Any], ada: Person, reader: Open) -> None:
    one = reader(ada)
    page = one.open("/access/")
    page.get_by_text("Finance", exact=True).click()
    expect(page.locator("#card-snowflake")).to_have_count(0)
    assert "category=Finance" in page.url

    page.go_back()
    expect(page.locator("#card-snowflake")).to_be_visible()
    page.go_forward()
    expect(page.locator("#card-snowflake")).to_have_count(0)

    assert one.complaints == []


def test_a_number_on_the_home_page_is_a_link_no_larger_than_its_card(
    company: dict[str, Any], sam: Person, snowflake_request: AccessRequest, reader: Open
) -> None:
    page = reader(sam).open("/")

    page.get_by_role("link", name=snowflake_request.person.display_name).click()

    assert page.url.endswith(f"/approvals/?item=R-{snowflake_request.number}")


def test_the_theme_changes_at_once_and_stays(company: dict[str, Any], ada: Person, reader: Open) -> None:
    page = reader(ada).open("/access/")

    page.locator("#theme-next").click()

    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_a_request_updates_itself(company: dict[str, Any], ada: Person, grace: Person, reader: Open) -> None:
    page = reader(ada).open(f"/requests/R-{company['waiting'].number}/")
    expect(page.locator("#steps")).to_contain_text(f"{grace.display_name} decides")

    stories.approve(company["waiting"], grace)

    expect(page.locator("#steps")).to_contain_text(f"{grace.display_name} approved")


def test_everything_works_without_script(
    company: dict[str, Any], ada: Person, grace: Person, linus: Person, reader: Open
) -> None:
    asker = reader(ada, java_script_enabled=False).open("/access/?q=payables")
    asker.get_by_role("link", name="NetSuite", exact=True).click()
    expect(asker.get_by_text("You asked for it, R-")).to_be_visible()
    asker.goto("/me/access/")
    asker.get_by_role("button", name="Give back Analyst in Snowflake").click()
    expect(asker.get_by_text("Given back: Analyst in Snowflake.")).to_be_visible()
    asker.goto("/access/snowflake/request/?role=analyst")
    asker.get_by_label("Purpose").select_option("Fix an incident")
    asker.get_by_label("What will you do with it?").fill("The nightly load failed and I look into it.")
    asker.get_by_role("button", name="Send request").click()
    expect(asker.get_by_role("heading", name="Analyst in Snowflake")).to_be_visible()
    number = asker.url.rstrip("/").rsplit("-", 1)[1]

    decider = reader(linus, java_script_enabled=False).open(f"/approvals/?item=R-{number}")
    decider.get_by_role("button", name="Decline").click()
    expect(decider.get_by_text("Say in a sentence why you decline.")).to_be_visible()
    decider.get_by_role("button", name="Approve").click()

    expect(decider.get_by_text("Approved: Analyst in Snowflake for Ada Lovelace.")).to_be_visible()
    assert AccessRequest.objects.get(number=number).state == RequestState.APPROVED


def test_a_phone_without_script_can_reach_every_page(company: dict[str, Any], ada: Person, reader: Open) -> None:
    page = reader(ada, java_script_enabled=False, viewport=PHONE).open("/access/")

    page.get_by_role("link", name="My access").click()

    expect(page.get_by_role("heading", name="My access")).to_be_attached()


def test_the_session_asks_before_it_ends(company: dict[str, Any], ada: Person, reader: Open) -> None:
    one: Reader = reader(ada)
    one.page.clock.install()
    page = one.open("/access/")

    page.clock.fast_forward("09:58:30")

    expect(page.get_by_role("heading", name="Are you still there?")).to_be_visible()
    page.get_by_role("button", name="Stay signed in").click()
    expect(page.get_by_role("heading", name="Are you still there?")).to_be_hidden()


def test_a_hostile_name_stays_a_name(ada: Person, linus: Person, analyst: Entitlement, reader: Open) -> None:
    Person.objects.filter(pk=ada.pk).update(display_name=stories.HOSTILE, title=stories.HOSTILE)
    stories.submit(ada, analyst)
    one = reader(linus)

    for path in ("/", "/approvals/"):
        page = one.open(path)
        expect(page.get_by_text(stories.HOSTILE).first).to_be_attached()
        assert page.locator("img").count() == 0
    assert one.complaints == []
