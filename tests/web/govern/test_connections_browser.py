"""What only a browser shows of connections: the whole way from a form to a request, accessibility, no script."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import Error, Page, expect

from governance.core.clock import now
from governance.identity.connections import actions
from governance.identity.models import (
    Connection,
    ConnectionConflict,
    ConnectionExchange,
    ConnectionHour,
    Person,
    ServiceToken,
)
from scim_bridge.exchanges import RECORDER
from tests import cast
from tests.web import stories
from tests.web.conftest import Open
from tests.web.page_check import what_is_wrong, what_is_wrong_with

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

AGENT = "Okta SCIM Client 1.0.0"


@pytest.fixture
def okta(ada: Person) -> Connection:
    """A connection with a bit of everything: keys, a day of requests, exchanges, a conflict."""
    okta = actions.open_connection("okta", actions.Terms(dialect="okta", note=stories.HOSTILE), actor=cast.TESTING)
    entra = actions.open_connection("entra", actions.Terms(dialect="entra"), actor=cast.TESTING)
    actions.give_token(okta.ref, days=10, actor=cast.TESTING)
    actions.give_client(okta.ref, actor=cast.TESTING)
    Person.objects.filter(pk=ada.pk).update(source=entra.source)
    at = now()
    ConnectionConflict.objects.create(
        connection=okta, holder=entra, person=ada, name=ada.user_name, first_seen_at=at, last_seen_at=at
    )
    hour = at.replace(minute=0, second=0, microsecond=0)
    for ago in range(20):
        ConnectionHour.objects.create(
            connection=okta, hour=hour - timedelta(hours=ago), requests=90 + 7 * ago, errors=ago % 3
        )
    for status in (200, 400):
        ConnectionExchange.objects.create(
            connection=okta, at=at, method="PATCH", path=f"/Users/{ada.scim_id}", status=status, milliseconds=4.2,
            understood=["Replace title."], problem="The path names nothing." if status == 400 else "",
            section="RFC 7644 §3.5.2" if status == 400 else "", request_body={"Operations": ["…"]},
        )  # fmt: skip
    return okta


def pages(okta: Connection) -> list[str]:
    """Return the addresses of all pages of a connection."""
    rejected = okta.exchanges.get(status=400)
    tabs = ("", "exchanges/", f"exchanges/{rejected.pk}/", "exchanges/?show=rejected", "keys/", "steps/", "settings/")
    return ["/connections/", "/new-connection/", *(f"/connections/{okta.ref}/{tab}" for tab in tabs)]


def connect(page: Page, name: str = "Okta workforce") -> str:
    """Fill in the form for a new connection and return the token it shows."""
    page.get_by_label("Name").fill(name)
    page.get_by_role("radio", name="Okta").check()
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{name} is ready to connect")
    return page.get_by_label("Token", exact=True).input_value()


def values(page: Page) -> str:
    """Return all that a page holds, what stands in its fields included."""
    fields: str = page.evaluate("[...document.querySelectorAll('input')].map((field) => field.value).join()")
    return page.url + page.content() + fields


def ask(address: str, token: str, path: str = "Users?startIndex=1&count=2") -> httpx.Response:
    """Send what a provider sends, over HTTP, and write down what was said as the door does a second later."""
    headers = {"Authorization": f"Bearer {token}", "User-Agent": AGENT}
    answer = httpx.get(f"{address}/scim/v2/{path}", headers=headers, timeout=20)
    RECORDER.flush()
    return answer


@pytest.mark.timeout(240)
def test_a_directory_is_connected_watched_rotated_and_revoked(sam: Person, reader: Open) -> None:
    one = reader(sam, permissions=["clipboard-read", "clipboard-write"])
    page = one.open("/connections/")
    page.locator("main").get_by_role("link", name="Connect a directory").first.click()

    token = connect(page)
    page.get_by_role("button", name="Copy Token").click()
    expect(page.locator("#live")).to_have_text("Token copied.")
    assert page.evaluate("navigator.clipboard.readText()") == token
    expect(page.locator("#first")).to_contain_text("Waiting for the first request")

    assert ask(one.address, token).status_code == 200
    expect(page.locator("#first")).to_contain_text(f"by {AGENT}")
    expect(page.locator("#first")).not_to_have_attribute("hx-get", "")

    page.get_by_role("link", name="See the first request").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("GET /Users")
    expect(page.locator("main")).to_contain_text("List the users from number 1 on")

    assert ask(one.address, token, "Users?filter=nonsense").status_code == 400
    page.get_by_role("link", name="Exchanges").click()
    page.get_by_role("link", name="Rejected").click()
    page.wait_for_url("**/exchanges/?show=rejected")
    page.locator("th a.rowlink").click()
    expect(page.locator("main")).to_contain_text("Why it was rejected")
    expect(page.get_by_role("link", name="RFC 7644 §3.4.2.2")).to_be_visible()

    page.goto(f"/connections/{Connection.objects.get().ref}/keys/")
    page.get_by_role("button", name="Rotate tokens").click()
    second = page.get_by_label("Token", exact=True).input_value()
    assert second != token
    assert [ask(one.address, each).status_code for each in (token, second)] == [200, 200]

    page.get_by_role("link", name="I have it, go on").click()
    page.get_by_role("button", name="Revoke").last.click()
    expect(page.locator("#confirm-title")).to_contain_text("Revoke the token")
    page.locator("#confirm-ok").click()
    expect(page.locator("#toasts")).to_contain_text("The token opens nothing any more.")
    assert [ask(one.address, each).status_code for each in (token, second)] == [401, 200]

    page.get_by_role("link", name="Settings", exact=True).last.click()
    page.get_by_label("Its name").fill("Okta workforce")
    page.get_by_role("button", name="Revoke Okta workforce").click()
    expect(page.locator("main")).to_contain_text("Revoked")
    assert ask(one.address, second).status_code == 401
    assert one.complaints == []


def test_neither_back_nor_reload_shows_a_token_again(sam: Person, reader: Open) -> None:
    one = reader(sam)
    page = one.open("/new-connection/")
    token = connect(page)

    page.reload()
    expect(page.locator("main")).to_contain_text("There is a connection Okta workforce already")
    assert token not in values(page)

    page.goto("/connections/")
    with pytest.raises(Error, match="ERR_CACHE_MISS"):  # the browser kept nothing and would have to send it again
        page.go_back()
    expect(page.locator("body")).not_to_contain_text(token)
    assert ServiceToken.objects.count() == 1


def test_a_directory_is_connected_without_script(sam: Person, reader: Open) -> None:
    one = reader(sam, java_script_enabled=False)
    page = one.open("/new-connection/")

    token = connect(page)

    expect(page.get_by_role("button", name="Copy Token")).not_to_be_visible()
    assert ask(one.address, token).status_code == 200
    page.get_by_role("link", name="Look again").click()
    expect(page.locator("#first")).to_contain_text(f"by {AGENT}")
    assert one.complaints == []


def test_a_conflict_is_handed_over_after_a_question(okta: Connection, ada: Person, sam: Person, reader: Open) -> None:
    one = reader(sam)
    page = one.open("/connections/")
    page.get_by_role("button", name=re.compile("^Hand over to okta")).click()
    expect(page.locator("#confirm-title")).to_have_text("Hand Ada Lovelace over to okta?")

    page.get_by_role("button", name="Hand over", exact=True).click()

    expect(page.locator("#toasts")).to_contain_text("Ada Lovelace belongs to okta from now on.")
    ada.refresh_from_db()
    assert ada.source == "scim:okta"
    assert one.complaints == []


def test_the_chart_can_be_read_as_a_table(okta: Connection, sam: Person, reader: Open) -> None:
    one = reader(sam)
    page = one.open(f"/connections/{okta.ref}/")

    page.get_by_text("The same as a table").click()

    expect(page.get_by_role("table", name="Requests and errors by hour").get_by_role("row")).to_have_count(25)


@pytest.mark.timeout(300)
def test_every_page_is_accessible_quiet_and_narrow(okta: Connection, sam: Person, reader: Open) -> None:
    one = reader(sam)
    problems = what_is_wrong(one, pages(okta))
    connect(one.open("/new-connection/"))

    assert problems + what_is_wrong_with(one.page) + one.complaints == []


def test_a_hostile_note_is_text(okta: Connection, sam: Person, reader: Open) -> None:
    page: Any = reader(sam).open(f"/connections/{okta.ref}/")

    expect(page.locator("main")).to_contain_text(stories.HOSTILE)
    expect(page.locator("main img")).to_have_count(0)
