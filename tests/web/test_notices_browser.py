"""What only a browser shows of notices, mail, webhooks and expiries: accessible, narrow, swapped, without script."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from governance.catalog.models import Entitlement
from governance.core.clock import now
from governance.identity.models import Person
from governance.notices import webhooks
from governance.notices.kinds import KINDS
from governance.notices.models import Mail, Notice, WebhookMessage
from tests.cast import TESTING
from tests.notices.conftest import HOSTILE
from tests.notices.test_reading import give
from tests.web.conftest import Open
from tests.web.page_check import what_is_wrong

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def world(ada: Person, sam: Person, analyst: Entitlement) -> list[str]:
    """Return the addresses of the pages, with something of everything on them."""
    at = now()
    facts = {"number": 7, "grant": 1, "person": HOSTILE, "person_ref": str(ada.ref), "actor": "Ada " * 40,
             "application": "Snowflake", "application_slug": "snowflake", "role": "Analyst", "until": at.isoformat(),
             "policy": "standard", "proposal": 1, "source": "scim:okta"}  # fmt: skip
    for kind in KINDS:
        Notice.objects.create(person=sam, kind=kind, cause="tests", facts=facts, at=at, created_at=at)
    mails = [
        Mail.objects.create(
            person=ada,
            state=state,
            created_at=at,
            next_attempt_at=at,
            settled_at=None if state == "waiting" else at,
            subject="Ada Lovelace asks for Analyst in Snowflake",
            last_error="550 no such user" if state == "failed" else "",
        )
        for state in ("waiting", "sent", "failed")
    ]
    Notice.objects.filter(kind="break_glass.used").update(mail=mails[2])
    hook, _ = webhooks.add("Chat", "https://chat.example/hook", ["request.ready"], actor=TESTING)
    webhooks.send_test(hook, actor=TESTING)
    WebhookMessage.objects.update(state="failed", settled_at=at, status=500, last_error="It answered 500.")
    give(ada, analyst, "manual", timedelta(milliseconds=1))
    return [
        "/notices/",
        "/notices/?show=unread",
        "/settings/notices/",
        "/mail/",
        f"/mail/{mails[2].ref}/",
        "/webhooks/",
        "/new-webhook/",
        f"/webhooks/{hook.pk}/",
        "/expiries/",
        "/expiries/?from=yesterday",
    ]


@pytest.mark.timeout(300)
def test_every_page_is_accessible_quiet_and_narrow(world: list[str], sam: Person, reader: Open) -> None:
    assert what_is_wrong(reader(sam), world) == []


def test_marking_as_read_changes_the_list_and_the_number_beside_the_bell(
    world: list[str], sam: Person, reader: Open
) -> None:
    one = reader(sam)
    page = one.open("/notices/")
    number = len(KINDS)
    expect(page.locator("#count-notices")).to_contain_text(str(number))

    page.get_by_role("button", name="Mark as read").first.click()
    expect(page.locator("#count-notices")).to_contain_text(str(number - 1))
    expect(page.locator("#live")).to_contain_text(f"{number - 1} not read")
    page.get_by_role("button", name="Mark all as read").click()
    expect(page.get_by_role("button", name="Mark all as read")).to_have_count(0)

    assert one.complaints == []


def test_notices_and_wishes_work_without_script(world: list[str], sam: Person, reader: Open) -> None:
    one = reader(sam, java_script_enabled=False)
    page = one.open("/notices/")
    page.get_by_role("button", name="Mark all as read").click()
    expect(page.get_by_role("button", name="Mark all as read")).to_have_count(0)

    page = one.open("/settings/notices/")
    page.get_by_label("What waits for you").select_option("daily")
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_label("What waits for you")).to_have_value("daily")
