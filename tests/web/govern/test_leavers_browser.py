"""The pages about leavers in a real browser: accessible, quiet, nothing sideways, and a decision by keyboard."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from playwright.sync_api import expect

from governance.core.actor import Actor, Door
from governance.core.clock import now
from governance.identity.models import Person, Status
from governance.lifecycle import actions as lifecycle
from governance.lifecycle import brake, planning
from governance.lifecycle.models import Hold
from tests import cast
from tests.web import stories
from tests.web.conftest import Open
from tests.web.page_check import what_is_wrong

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def locked(person: Person) -> Person:
    return Person.objects.select_for_update().get(pk=person.pk)


@pytest.fixture
def leaving(ada: Person, grace: Person, linus: Person, sam: Person) -> dict[str, Any]:
    """A leaver who owned something, somebody who will leave, and a held change."""
    role = cast.add_role(cast.add_application("Snowflake", owner=linus, icon="snowflake"))
    stories.give(linus, role)
    stories.give(ada, role)
    brake.set_limits("scim:okta", brake.Limits(at_least=1, share_percent=0), actor=cast.TESTING)
    okta = Actor.service("okta", door=Door.SCIM)
    with transaction.atomic():
        lifecycle.leave(locked(linus), actor=cast.TESTING)
        planning.plan(locked(ada), now() + timedelta(days=3), actor=cast.TESTING)
    for number in range(4):
        person = cast.hire(f"Person{number} {stories.HOSTILE}", user_name=f"p{number}@halden.example")
        with transaction.atomic():
            lifecycle.leave(locked(person), actor=okta)
    return {"left": linus, "leaves": ada, "hold": Hold.objects.get()}


def pages(leaving: dict[str, Any]) -> list[str]:
    return [
        "/leavers/",
        f"/leavers/{leaving['left'].ref}/",
        f"/leavers/{leaving['leaves'].ref}/",
        "/people-file/",
        "/holds/",
        "/holds/limits/?source=scim:okta",
        f"/holds/{leaving['hold'].ref}/",
    ]


@pytest.mark.timeout(300)
def test_every_page_is_accessible_quiet_and_narrow(leaving: dict[str, Any], sam: Person, reader: Open) -> None:
    assert what_is_wrong(reader(sam), pages(leaving)) == []


def test_a_hold_is_released_by_keyboard(leaving: dict[str, Any], sam: Person, reader: Open) -> None:
    one = reader(sam)
    page = one.open(f"/holds/{leaving['hold'].ref}/")
    page.get_by_label("Why").focus()
    page.keyboard.type("Its administrator confirmed it by telephone.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(page.get_by_text("Released, happened").first).to_be_visible()
    assert Person.objects.filter(status=Status.LEFT).count() == 5
    assert one.complaints == []
