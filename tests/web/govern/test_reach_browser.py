"""Who could reach what, and why, in a real browser: accessible, narrow, by mouse and keyboard, without script."""

from __future__ import annotations

from datetime import timedelta

import pytest

from governance.access import grants
from governance.access.models import Grant
from governance.catalog.models import Entitlement
from governance.identity.models import Person
from governance.ledger.notes import Signer
from governance.ledger.sequencer import seal_everything
from tests import cast
from tests.web import stories
from tests.web.conftest import Open
from tests.web.page_check import what_is_wrong

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


@pytest.fixture
def grant(ada: Person, grace: Person, linus: Person, sam: Person) -> Grant:
    """Patient data that Ada reaches by two reasons, one of them shortened, and Grace by a request."""
    role: Entitlement = cast.add_role(
        cast.add_application("Clinic", owner=linus, risk=4), "Nurse", data_classes=["phi"]
    )
    first = stories.give(ada, role, ends_in=timedelta(hours=4))
    stories.give(ada, role, ends_in=None)
    stories.approve(stories.submit(grace, role, reason=stories.HOSTILE), linus)
    grants.revoke(first, actor=cast.acting(sam))
    seal_everything(signer=Signer.generate("example.com/reach"))
    return first


def pages(grant: Grant) -> list[str]:
    return [
        "/reach/",
        "/reach/?data=phi",
        "/reach/?app=clinic&role=nurse&at=2026-01-31T12:00&known=2026-02-01T12:00",
        f"/reach/?person={grant.person.ref}&known=nonsense",
        f"/grants/{grant.pk}/",
        f"/people/{grant.person.ref}/?known=2026-02-01T12:00",
    ]


@pytest.mark.timeout(180)
def test_the_pages_are_accessible_quiet_and_narrow(grant: Grant, sam: Person, reader: Open) -> None:
    assert what_is_wrong(reader(sam), pages(grant)) == []


def test_a_question_is_asked_by_choosing_and_the_address_keeps_it(grant: Grant, sam: Person, reader: Open) -> None:
    page = reader(sam).open("/reach/")

    page.get_by_label("Class of data").select_option("phi")
    page.wait_for_url("**/reach/?data=phi")
    page.get_by_label("Application", exact=True).select_option("clinic")
    page.get_by_label("Role", exact=True).wait_for()

    assert "app=clinic" in page.url
    assert page.get_by_role("heading", name="2 people can reach Clinic").is_visible()


def test_a_row_opens_its_why_beside_the_list(grant: Grant, sam: Person, reader: Open) -> None:
    one = reader(sam)
    page = one.open("/reach/?data=phi")

    page.get_by_role("link", name="Grace Hopper").click()
    drawer = page.locator("#drawer")
    drawer.get_by_text("Approved by Linus Berg, as application owner").wait_for()

    assert drawer.get_by_role("heading", name="Nurse in Clinic").is_visible()
    assert one.complaints == []


def test_it_works_without_script(grant: Grant, sam: Person, reader: Open) -> None:
    page = reader(sam, java_script_enabled=False).open("/reach/?data=phi")

    page.get_by_role("link", name="Grace Hopper").click()

    assert page.url.endswith(f"/grants/{Grant.objects.get(person__display_name='Grace Hopper').pk}/")
    assert page.get_by_text("Approved by Linus Berg").is_visible()
