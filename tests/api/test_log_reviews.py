"""Reviews of the log by script: what is due, what there is to look at, and a signature, once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.identity.models import Person
from governance.ledger.models import Pending
from governance.log_reviews import actions, queries
from governance.log_reviews.models import LogReview
from tests.api.conftest import As
from tests.cast import TESTING, acting
from tests.evidence.issued import MARCH

WEEK = timedelta(days=7)


@pytest.fixture
def clock(db: None, sam: Person) -> Iterator[time_machine.Traveller]:
    with time_machine.travel(MARCH, tick=False) as traveller:
        actions.open_due(actor=TESTING)
        yield traveller


def states(script: Any, **query: str) -> list[str]:
    return [one["state"] for one in script.get("log-reviews/", **query).json()["results"]]


def test_what_is_due_is_listed_and_signed_once(
    clock: time_machine.Traveller, sam: Person, audrey: Person, as_: As
) -> None:
    script = as_(audrey)
    running = states(script)
    early = script.post(f"log-reviews/{LogReview.objects.get().pk}/sign/", findings="Nothing.")
    clock.shift(WEEK + timedelta(days=5))
    actions.open_due(actor=TESTING)
    (due,) = script.get("log-reviews/", state="due").json()["results"]
    here = f"log-reviews/{due['id']}/"

    shown = script.get(here).json()
    signed = script.post(f"{here}sign/", findings="Somebody forgot a password.", follow_up="None.")
    again = as_(sam).post(f"{here}sign/", findings="Again.")

    assert (running, early.status_code) == (["running"], 409)
    assert (due["state"], due["is_late"], due["signed_by"]) == ("overdue", True, None)
    assert (shown["counts"]["login.failed"], shown["findings"]) == (0, "")
    assert (signed.status_code, signed.json()["state"], signed.json()["is_late"]) == (200, "signed", True)
    assert signed.json()["signed_by"]["ref"] == str(audrey.ref)
    assert again.status_code == 409
    assert (states(script), states(script, state="signed")) == (["running", "signed"], ["signed"])
    assert states(script, state="overdue") == []
    assert Pending.objects.filter(body__event="log_review.signed").count() == 1


def test_how_often_is_decided_by_administrators(clock: time_machine.Traveller, sam: Person, as_: As) -> None:
    script = as_(sam)

    assert script.get("log-reviews/cadence/").json() == {"days": 7}
    assert script.post("log-reviews/cadence/", days=1).json() == {"days": 1}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("sign/", {"findings": " "}, "findings"),
        ("sign/", {"findings": "x", "follow_up": "y" * 4001}, "follow_up"),
        ("sign/", {"findings": "x", "colour": "red"}, "colour"),
        ("../cadence/", {"days": 93}, "days"),
    ],
)
def test_what_is_wrong_is_named(
    path: str, body: dict[str, Any], field: str, clock: time_machine.Traveller, sam: Person, as_: As
) -> None:
    here = "log-reviews/cadence/" if path == "../cadence/" else f"log-reviews/{LogReview.objects.get().pk}/{path}"
    answer = as_(sam).post(here, body)

    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == [field]


def test_a_state_nobody_knows_is_refused(clock: time_machine.Traveller, sam: Person, as_: As) -> None:
    assert as_(sam).get("log-reviews/", state="late").status_code == 422


def test_a_list_costs_the_same_however_long_it_is(clock: time_machine.Traveller, sam: Person, as_: As) -> None:
    script = as_(sam)
    costs = []
    for _ in range(2):
        clock.shift(WEEK * 3)
        actions.open_due(actor=TESTING)
        for review in queries.waiting():
            actions.sign(review, "Nothing.", actor=acting(sam))
        script.get("me/")
        with CaptureQueriesContext(connection) as seen:
            script.get("log-reviews/")
        costs.append(len(seen))

    assert costs[0] == costs[1]
