"""Who could reach what, at the REST door."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from governance.catalog.models import Entitlement
from governance.core.clock import now
from governance.identity.models import Person
from tests import cast
from tests.api.conftest import As
from tests.web import stories

pytestmark = pytest.mark.django_db


@pytest.fixture
def patients(linus: Person) -> Entitlement:
    with time_machine.travel(now() - timedelta(days=20)):
        return cast.add_role(cast.add_application("Clinic", owner=linus), "Nurse", data_classes=["phi"])


def test_counts_and_pages_agree(audrey: Person, patients: Entitlement, as_: As) -> None:
    for number in range(5):
        stories.give(cast.hire(f"Person{number} Test"), patients)

    first = as_(audrey).get("reach/", data_class="phi", limit=2).json()
    found, page = [one["person"] for one in first["results"]], first
    while page["next"]:
        page = as_(audrey).get(page["next"].split("/api/v1/")[1]).json()
        found += [one["person"] for one in page["results"]]

    assert (first["reasons"], first["people"]) == (5, 5)
    assert [(one["role"]["entitlement"], one["people"]) for one in first["by_role"]] == [("nurse", 5)]
    assert found == [f"Person{number} Test" for number in range(5)]
    assert page["previous"] is not None


def test_a_date_and_what_was_known(audrey: Person, ada: Person, patients: Entitlement, as_: As) -> None:
    with time_machine.travel(now() - timedelta(days=9)):
        records = cast.add_role(patients.application, "Records", data_classes=["financial"])
        stories.give(ada, records, ends_in=timedelta(days=1))
    ago = [(now() - timedelta(days=days)).isoformat() for days in (8.5, 9.5, 3)]

    found = [
        as_(audrey).get("reach/", data_class="financial", as_of=as_of, known_on=known).json()["reasons"]
        for as_of, known in [(ago[0], ago[2]), (ago[0], ago[1]), (ago[1], ago[2]), (ago[2], ago[2])]
    ]

    assert found == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "data_class"),
        ({"data_class": "gossip"}, "data_class"),
        ({"entitlement": "nurse"}, "entitlement"),
        ({"application": "nothing"}, "application"),
        ({"application": "clinic", "entitlement": "king"}, "entitlement"),
        ({"person": "ada"}, "person"),
        ({"data_class": "phi", "cursor": "sideways.4"}, "cursor"),
        ({"data_class": "phi", "as_of": "3026-01-01"}, "as_of"),
        ({"data_class": "phi", "limit": "0"}, "limit"),
    ],
)
def test_what_cannot_be_answered_is_refused_by_name(
    query: dict[str, str], field: str, audrey: Person, patients: Entitlement, as_: As
) -> None:
    answer = as_(audrey).get("reach/", **query)

    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == [field]


def test_an_owner_is_answered_about_their_own_only(ada: Person, linus: Person, patients: Entitlement, as_: As) -> None:
    vault = cast.add_role(cast.add_application("Vault"), "Reader", data_classes=["phi"])
    stories.give(ada, vault)
    stories.give(ada, patients)

    found = as_(linus).get("reach/", person=str(ada.ref)).json()

    assert [one["role"]["entitlement"] for one in found["results"]] == ["nurse"]
    assert as_(linus).get("reach/", application="vault").status_code == 422


@pytest.mark.parametrize("who", ["ada", "mallory"])
def test_it_is_not_for_employees(who: str, request: pytest.FixtureRequest, as_: As) -> None:
    assert as_(request.getfixturevalue(who)).get("reach/", data_class="phi").status_code == 403
