"""What is kept of people, by script: erasures, holds that two release, years that two shorten; each refusal by name."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from governance.catalog.models import Application
from governance.identity.models import Person
from governance.ledger.models import Pending
from governance.ledger.notes import Signer
from governance.ledger.sequencer import seal_everything
from governance.lifecycle import actions as lifecycle
from tests import cast
from tests.api.conftest import As
from tests.cast import TESTING

SIGNER = Signer.generate("example.com/ledger")
NOBODY = "3f8b6a4e-1111-4222-8333-444455556666"


@pytest.fixture
def olga(db: None) -> Person:
    """Another security administrator."""
    return cast.make_security_admin(cast.hire("Olga Other"))


def left(name: str) -> Person:
    person = cast.hire(name)
    with transaction.atomic():
        lifecycle.leave(Person.objects.select_for_update().get(pk=person.pk), actor=TESTING, unlist=True)
    seal_everything(signer=SIGNER)
    person.refresh_from_db()
    return person


def events() -> list[str]:
    return [body["event"] for body in Pending.objects.order_by("id").values_list("body", flat=True)]


def test_somebody_is_erased_when_nothing_is_in_the_way(sam: Person, audrey: Person, ada: Person, as_: As) -> None:
    zoe, script = left("Zoe Quarter"), as_(sam)

    early = script.get(f"people/{ada.ref}/erasure/").json()
    refused = script.post("erasures/", person=str(ada.ref), ground="She asked for it.")
    free = script.get(f"people/{zoe.ref}/erasure/").json()
    erased = script.post("erasures/", person=str(zoe.ref), ground="She asked for it.")

    assert (early["hindrances"][0], early["years"]) == ("They have not left.", 7)
    assert (refused.status_code, "has not left" in refused.json()["detail"]) == (409, True)
    assert free["hindrances"] == []
    assert (erased.status_code, erased.json()["state"], erased.json()["name_aside"]) == (201, "erased", None)
    assert sum(erased.json()["places"].values()) > 0
    shown = as_(audrey).get(f"erasures/{erased.json()['id']}/")
    assert "Zoe" not in shown.content.decode()
    assert "subject.erased" in events()


def test_a_duty_restricts_until_a_day_and_it_can_be_called_off(sam: Person, audrey: Person, as_: As) -> None:
    zoe, script = left("Zoe Quarter"), as_(sam)

    made = script.post("erasures/", person=str(zoe.ref), ground="She asked for it.", duty="HIPAA").json()
    waiting = as_(audrey).get("erasures/", state="restricted").json()["results"]
    again = script.post("erasures/", person=str(zoe.ref), ground="Again.")
    cancelled = script.post(f"erasures/{made['id']}/cancel/").json()

    assert (made["state"], made["name_aside"]) == ("restricted", "Zoe Quarter")
    assert "Zoe" not in made["person"]["display_name"]
    assert [one["id"] for one in waiting] == [made["id"]]
    assert again.status_code == 409
    assert (cancelled["state"], cancelled["name_aside"]) == ("cancelled", None)
    assert cancelled["person"]["display_name"] == "Zoe Quarter"
    assert script.get("erasures/", state="restricted").json()["results"] == []
    assert script.post(f"erasures/{made['id']}/cancel/").status_code == 409


def test_a_hold_is_placed_by_one_and_released_by_two(
    sam: Person, olga: Person, ada: Person, snowflake: Application, as_: As
) -> None:
    mine, hers = as_(sam), as_(olga)
    said = {"name": "Case 12", "reason": "The court.", "people": [str(ada.ref)], "applications": ["snowflake"]}

    made = mine.post("legal-holds/", said).json()
    here = f"legal-holds/{made['ref']}/"
    early = hers.post(f"{here}release/")
    proposed = mine.post(f"{here}propose-release/", reason="It is over.").json()
    alone = mine.post(f"{here}release/")
    declined = hers.post(f"{here}decline-release/").json()
    mine.post(f"{here}propose-release/", reason="It is over now.")
    released = hers.post(f"{here}release/").json()

    assert (made["people"], made["applications"]) == ([str(ada.ref)], ["snowflake"])
    assert (early.status_code, alone.status_code, declined["release_proposed_by_ref"]) == (409, 409, "")
    assert proposed["release_proposed_by_ref"] == str(sam.ref)
    assert released["released_by_ref"] == str(olga.ref)
    assert [one["ref"] for one in mine.get("legal-holds/", state="released").json()["results"]] == [made["ref"]]
    assert mine.get("legal-holds/", state="running").json()["results"] == []
    assert [one for one in events() if one.startswith("legal_hold.")] == [
        "legal_hold.placed", "legal_hold.release_proposed", "legal_hold.release_declined",
        "legal_hold.release_proposed", "legal_hold.released",
    ]  # fmt: skip


def test_fewer_years_wait_for_a_second_person_and_more_do_not(
    sam: Person, olga: Person, audrey: Person, as_: As
) -> None:
    mine, hers = as_(sam), as_(olga)

    more = mine.post("retention/", years=9, why="Our contract.")
    fewer = mine.post("retention/", years=8, why="Another contract.")
    proposal = f"retention/proposals/{fewer.json()['proposal']['id']}/"
    alone = mine.post(f"{proposal}confirm/")
    second = hers.post("retention/", years=7, why="Less.")
    confirmed = hers.post(f"{proposal}confirm/")
    mine.post("retention/", years=6, why="Less still.")
    other = mine.get("retention/").json()["proposal"]["id"]
    declined = hers.post(f"retention/proposals/{other}/decline/")

    assert (more.status_code, more.json()["years"], more.json()["proposal"]) == (200, 9, None)
    assert (fewer.status_code, fewer.json()["years"], fewer.json()["proposal"]["years"]) == (202, 9, 8)
    assert (alone.status_code, second.status_code) == (409, 409)
    assert (confirmed.json()["years"], confirmed.json()["rule"]["why"]) == (8, "Another contract.")
    assert (declined.json()["years"], declined.json()["proposal"]) == (8, None)
    shown = as_(audrey).get("retention/proposals/").json()["results"]
    assert [(one["years"], one["was_confirmed"]) for one in shown] == [(6, False), (8, True)]
    assert hers.post(f"{proposal}decline/").status_code == 409


@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        ("erasures/", {"person": NOBODY, "ground": "x"}, {"person"}),
        ("erasures/", {"ground": " ", "why": "x"}, {"why"}),
        ("erasures/", {"ground": " "}, {"person", "ground"}),
        ("legal-holds/", {"name": "", "reason": "x"}, {"name"}),
        ("legal-holds/", {"name": "x", "reason": "x", "people": [NOBODY]}, {"people"}),
        ("legal-holds/", {"name": "x", "reason": "x", "applications": ["nothing"]}, {"applications"}),
        ("retention/", {"years": 3, "why": "x"}, {"years"}),
        ("retention/", {"years": "many", "why": ""}, {"years", "why"}),
    ],
)
def test_what_is_wrong_is_named(path: str, body: dict[str, Any], fields: set[str], sam: Person, as_: As) -> None:
    answer = as_(sam).post(path, body)

    assert answer.status_code == 422, answer.content
    assert {one["field"] for one in answer.json()["errors"]} == fields


def test_a_list_costs_the_same_however_long_it_is(sam: Person, audrey: Person, as_: As) -> None:
    script, host = as_(audrey), as_(sam)
    script.get("me/")

    def cost(path: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            assert script.get(path).status_code == 200
        return len(seen)

    costs = []
    for number in range(2):
        zoe = left(f"Zoe{number} Quarter")
        host.post("erasures/", person=str(zoe.ref), ground="She asked for it.", duty="HIPAA")
        host.post("legal-holds/", name="Case", reason="The court.")
        costs.append([cost("erasures/"), cost("legal-holds/"), cost("retention/proposals/")])

    assert len(script.get("erasures/").json()["results"]) == 2
    assert costs[0] == costs[1]
