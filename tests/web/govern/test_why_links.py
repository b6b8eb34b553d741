"""Every access, wherever it is shown, opens to its chain, and whoever is shown the link may follow it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from django.test import Client

from governance.access.models import Grant
from governance.catalog.models import Entitlement
from governance.core.clock import now
from governance.identity.models import Person
from governance.lifecycle import actions as lifecycle
from tests import cast
from tests.cast import TESTING
from tests.web import stories
from tests.web.conftest import SignedIn

_WHY = re.compile(r'href="(/grants/(\d+)/)"')


def chains(client: Client, address: str) -> set[int]:
    """Return the grants whose chain a page leads to; each of them opens."""
    page = client.get(address)
    assert page.status_code == 200, address
    found = {path: int(number) for path, number in _WHY.findall(page.content.decode())}
    for path in found:
        assert client.get(path).status_code == 200, (address, path)
    return set(found.values())


@pytest.mark.parametrize("who", ["sam", "audrey", "linus"], ids=["administrator", "auditor", "owner"])
@pytest.mark.parametrize(
    "address",
    [
        "/matrix/{person}/snowflake/",
        "/people/{person}/",
        "/applications/snowflake/",
        "/reach/?app=snowflake",
    ],
)
def test_where_those_who_govern_see_access(
    address: str, who: str, ada: Person, analyst: Entitlement, request: pytest.FixtureRequest, signed_in: SignedIn
) -> None:
    grant = stories.give(ada, analyst)

    assert grant.pk in chains(signed_in(request.getfixturevalue(who)), address.format(person=ada.ref))


def test_where_somebody_sees_their_own(ada: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    grant = stories.give(ada, analyst)

    assert grant.pk in chains(signed_in(ada), "/me/access/")


def test_beside_the_buttons_for_whoever_is_asked_and_no_longer_than_that(
    ada: Person, linus: Person, mallory: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    """Linus is asked; Mallory has nothing to do with it."""
    grant = stories.give(ada, analyst)
    admin = cast.add_role(analyst.application, "Admin")
    asked = stories.submit(ada, admin)
    client = signed_in(linus)

    assert grant.pk in chains(client, f"/approvals/?item=R-{asked.number}")
    assert signed_in(mallory).get(f"/grants/{grant.pk}/").status_code == 403


def test_where_ends_are_late(ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    grant = stories.give(ada, analyst, ends_in=timedelta(hours=1))

    with time_machine.travel(now() + timedelta(hours=3)):
        assert grant.pk in chains(signed_in(sam), "/expiries/")


def test_on_the_page_of_a_leaver(ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    grant = stories.give(ada, analyst)
    lifecycle.leave(ada, actor=TESTING)

    assert Grant.objects.get(pk=grant.pk).take_operation_id is not None
    assert grant.pk in chains(signed_in(sam), f"/leavers/{ada.ref}/")
