"""The pages of controls: what can be shown, what cannot, how fresh the sources are, and nothing that is counted."""

from __future__ import annotations

import pytest
from pytest_django import DjangoAssertNumQueries

from governance.catalog.models import Entitlement
from governance.identity.models import Person
from tests.web.conftest import Open, SignedIn
from tests.web.govern import world
from tests.web.page_check import what_is_wrong

LEAVING = "/evidence/controls/hipaa/164.308(a)(3)(ii)(C)/"


def test_a_control_says_what_can_be_shown_what_cannot_and_how_fresh_it_is(
    audrey: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    client = signed_in(audrey)
    before = client.get(LEAVING).content.decode()
    assert "Never read completely" in before
    world.reading(analyst.application)

    after = client.get(LEAVING).content.decode()

    assert "Leavers" in after
    assert "Read completely" in after
    reviews = client.get("/evidence/controls/soc2/CC1.5/").content.decode()
    assert "Periodic reviews of access are not part of this version" in reviews


def test_what_is_no_control_is_not_found(audrey: Person, signed_in: SignedIn) -> None:
    client = signed_in(audrey)

    for path in ("nothing/", "soc2/CC99.9/", "nothing/CC6.1/"):
        assert client.get(f"/evidence/controls/{path}").status_code == 404


def test_the_pages_stay_within_twelve_statements(
    audrey: Person, analyst: Entitlement, signed_in: SignedIn, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = signed_in(audrey)
    for path in ("/evidence/controls/soc2/", LEAVING):
        with django_assert_max_num_queries(12):
            assert client.get(path).status_code == 200


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(120)
def test_the_pages_are_accessible_quiet_and_narrow(audrey: Person, analyst: Entitlement, reader: Open) -> None:
    assert what_is_wrong(reader(audrey), ["/evidence/controls/hipaa/", LEAVING]) == []
