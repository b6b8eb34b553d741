"""What stands around every page."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.test import Client
from django.urls import resolve

from governance.catalog.models import Application, Entitlement
from governance.identity.models import Person
from governance.web import shell
from tests import cast
from tests.web import stories
from tests.web.conftest import SignedIn


def links(client: Client) -> list[str]:
    context = client.get("/settings/").context
    return [shown.link.page for _, group in context["nav"]() for shown in group]


def test_an_employee_sees_only_their_own_work(ada: Person, signed_in: SignedIn) -> None:
    assert links(signed_in(ada)) == ["home", "catalogue", "mine", "notices"]


def test_approvals_show_up_for_whoever_is_asked(ada: Person, grace: Person, analyst: Entitlement,
                                                signed_in: SignedIn) -> None:  # fmt: skip
    role = cast.add_role(analyst.application, "Reader", stages=("manager",))
    stories.submit(ada, role)

    assert "approvals" in links(signed_in(grace))


def test_an_owner_sees_approvals_also_when_nothing_waits(linus: Person, snowflake: Application,
                                                         signed_in: SignedIn) -> None:  # fmt: skip
    assert "approvals" in links(signed_in(linus))


def test_every_link_of_the_navigation_leads_to_a_page_of_its_name() -> None:
    for _, group in shell.GROUPS:
        for link in group:
            assert resolve(link.href).func, link.href


def test_pages_are_kept_nowhere_and_differ_for_htmx(ada: Person, signed_in: SignedIn) -> None:
    answer = signed_in(ada).get("/access/")

    assert "no-store" in answer["Cache-Control"]
    assert "HX-Request" in answer["Vary"]
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "data:" not in policy


def test_the_theme_is_kept_and_written_by_the_server(ada: Person, signed_in: SignedIn) -> None:
    client = signed_in(ada)

    client.post("/settings/theme/", {"theme": "dark"})

    assert '<html lang="en" data-theme="dark">' in client.get("/settings/").content.decode()


def test_the_theme_button_goes_round(ada: Person, signed_in: SignedIn) -> None:
    client = signed_in(ada)

    seen = [client.post("/settings/theme/").cookies["theme"].value for _ in range(3)]

    assert seen == ["light", "dark", "auto"]


def test_the_theme_button_leads_back_only_to_our_own_pages(ada: Person, signed_in: SignedIn) -> None:
    client = signed_in(ada)

    assert client.post("/settings/theme/", headers={"Referer": "http://testserver/access/"}).url.endswith("/access/")
    assert client.post("/settings/theme/", headers={"Referer": "http://evil.example/"}).url == "/"


def test_single_keys_can_be_turned_off(ada: Person, signed_in: SignedIn) -> None:
    client = signed_in(ada)

    client.post("/settings/keys/")

    assert 'data-keys="off"' in client.get("/settings/").content.decode()
    client.post("/settings/keys/", {"keys": "on"})
    assert 'data-keys="on"' in client.get("/settings/").content.decode()


@pytest.mark.parametrize(
    ("cookie", "directory", "expected"),
    [
        ("Europe/Berlin", "", "14:30"),
        ("Europe%2FBerlin", "America/New_York", "14:30"),
        ("", "America/New_York", "08:30"),
        ("../etc/passwd", "", "12:30"),
        ("", "Mars/Olympus", "12:30"),
    ],
    ids=["browser", "browser before directory", "directory", "nonsense from browser", "nonsense from directory"],
)
def test_clock_times_are_in_the_zone_of_the_reader(
    cookie: str, directory: str, expected: str, ada: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    Person.objects.filter(pk=ada.pk).update(time_zone=directory)
    with time_machine.travel(datetime(2030, 6, 1, 12, 30, tzinfo=ZoneInfo("UTC")), tick=False):
        request = stories.submit(ada, analyst)
        client = signed_in(ada)
        client.cookies["zone"] = cookie

        page = client.get(f"/requests/R-{request.number}/").content.decode()

    assert f"today at {expected}</time>" in page
    assert "2030-06-01T12:30:00Z" in page
