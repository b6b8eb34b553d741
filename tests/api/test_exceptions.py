"""Exceptions by script: the list, an answer, an accepted risk, readings; and what is refused by name."""

from __future__ import annotations

from datetime import timedelta

import pytest

from governance.catalog.models import Application
from governance.core.clock import now
from governance.exceptions.days import day_of, quarter_of
from governance.exceptions.models import ControlException, Reading, ReportReading
from governance.identity.models import Person
from tests.api.conftest import As


@pytest.fixture
def found(snowflake: Application) -> ControlException:
    """An exception in an application of Linus, that a reading of one report found."""
    at = now() - timedelta(hours=1)
    first, _ = quarter_of(day_of(at))
    reading = Reading.objects.create(
        first_day=first, last_day=day_of(at), zone="UTC", known_at=at, ledger_size=0, reports=["R05"], begun_at=at,
        correlation_id="0" * 32,
    )  # fmt: skip
    why = "It took longer than 10 minutes."
    ReportReading.objects.create(reading=reading, report="R05", outcome="unreadable", why=why, read_at=at)
    return ControlException.objects.create(
        report="R05", row_id="person:one:0001", codes="still_open", application=snowflake, period_first=first,
        first_seen_at=at, open_since=at, turn="opened", turned_by=reading,
    )  # fmt: skip


def test_an_owner_answers_and_security_accepts(
    found: ControlException, linus: Person, sam: Person, mallory: Person, as_: As
) -> None:
    path, tomorrow = f"control-exceptions/{found.ref}/", day_of(now()) + timedelta(days=1)
    body = {"owner_ref": str(linus.ref), "explanation": "The import was late.", "fix_by": tomorrow.isoformat()}

    answered = as_(linus).put(f"{path}answer/", body={**body, "after": 0})
    late = as_(sam).put(f"{path}answer/", body={**body, "explanation": "Other.", "after": 0})
    refused = as_(linus).post(f"{path}accept/", body={"until": tomorrow.isoformat(), "why": "For now."})
    accepted = as_(sam).post(f"{path}accept/", body={"until": tomorrow.isoformat(), "why": "For now."})

    said = answered.json()
    assert (answered.status_code, said["state"], said["owner_ref"]) == (200, "explained", str(linus.ref))
    assert said["meanings"] == ["At least one access has neither a confirmed nor an attested removal."]
    assert (late.status_code, refused.status_code) == (409, 403)
    assert (accepted.status_code, accepted.json()["state"]) == (200, "accepted")
    assert [one["ref"] for one in as_(linus).get("control-exceptions/").json()["results"]] == [str(found.ref)]
    assert as_(mallory).get("control-exceptions/").json()["results"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"owner_ref": "3f8b6a4e-1111-4222-8333-444455556666"}, "owner_ref"),
        ({"fix_by": "2020-01-01"}, "fix_by"),
        ({"fix_by": "soon"}, "fix_by"),
        ({"fixed": True}, "fixed"),
    ],
    ids=["nobody", "in the past", "no day", "nobody says that it is fixed"],
)
def test_an_answer_is_refused_by_name(
    found: ControlException, sam: Person, as_: As, body: dict[str, object], field: str
) -> None:
    whole = {"owner_ref": None, "explanation": "x", "fix_by": None, **body}

    answer = as_(sam).put(f"control-exceptions/{found.ref}/answer/", body=whole)

    assert answer.status_code in (400, 422)
    assert field in str(answer.json())


def test_a_reading_says_what_could_not_be_read_without_a_number(
    found: ControlException, audrey: Person, sam: Person, as_: As
) -> None:
    (read,) = as_(audrey).get("control-readings/").json()["results"]
    asked = as_(sam).post("control-readings/")
    again = as_(sam).post("control-readings/")

    assert (read["found"][0]["outcome"], read["found"][0]["exceptions"]) == ("unreadable", None)
    assert (asked.status_code, again.status_code) == (202, 409)
    assert as_(audrey).get(f"control-readings/{asked.json()['ref']}/").json()["found"] == []
