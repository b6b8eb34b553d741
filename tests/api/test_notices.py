"""Notices, preferences and the expiry report at the REST door."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from governance.catalog.models import Entitlement
from governance.identity.models import Person
from governance.notices.models import Notice
from tests.api.conftest import As
from tests.notices.conftest import HOUR, NOON, noon
from tests.notices.test_reading import give

__all__ = ["noon"]
pytestmark = pytest.mark.django_db


def note(person: Person, number: int) -> Notice:
    facts = {"number": number, "person": "Ada", "role": "Analyst", "application": "Snowflake"}
    return Notice.objects.create(
        person=person, kind="approval.wanted", cause=f"t:{number}", facts=facts, at=NOON, created_at=NOON
    )


def test_a_script_reads_what_its_person_was_told(ada: Person, linus: Person, as_: As) -> None:
    first, second = note(linus, 1), note(linus, 2)
    script = as_(linus)

    assert script.post(f"notices/{first.pk}/read/").status_code == 204
    (left,) = script.get("notices/?show=unread").json()["results"]

    assert left["id"] == second.pk
    assert left["title"] == "Ada asks for Analyst in Snowflake"
    assert left["path"] == "/approvals/?item=R-2"
    assert as_(ada).get("notices/").json()["results"] == []
    assert as_(ada).post(f"notices/{second.pk}/read/").status_code == 404
    assert script.post("notices/read/").json() == {"read": 1}


def test_a_script_changes_what_its_person_wants(ada: Person, as_: As) -> None:
    script = as_(ada)

    answer = script.patch("notices/preferences/", {"paces": {"asked": "daily"}, "daily_hour": 17})

    assert answer.status_code == 200
    said = script.get("notices/preferences/").json()
    assert (said["paces"]["asked"], said["paces"]["requests"], said["daily_hour"]) == ("daily", "at_once", 17)
    refused = script.patch("notices/preferences/", {"paces": {"asked": "weekly"}})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "asked"


def test_the_report_counts_and_names(
    noon: time_machine.Traveller, ada: Person, linus: Person, mallory: Person, analyst: Entitlement, as_: As
) -> None:
    for _ in range(3):
        give(ada, analyst, "manual", HOUR)
    noon.shift(2 * HOUR)
    query = "from=2026-03-03T00:00:00Z"

    found = as_(linus).get(f"expiries/?{query}").json()
    first = as_(linus).get(f"expiries/late/?{query}&limit=2").json()
    second = as_(linus).get(f"expiries/late/?{query}&limit=2&after={first['next']}").json()

    assert (found["total"]["due"], found["total"]["ordered"]) == (3, 0)
    assert [one["slug"] for one in found["by_application"]] == ["snowflake"]
    assert [one["missing"] for one in first["results"] + second["results"]] == ["ordered"] * 3
    assert second["next"] is None
    assert as_(mallory).get(f"expiries/?{query}").status_code == 403
    assert as_(linus).get(f"expiries/?{query}&application=github").status_code == 404


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "from"),
        ("from=2020-01-01", "from"),
        ("from=yesterday", "from"),
        ("from=2026-03-03&longer_than=x", "longer_than"),
        ("from=2026-03-03&after=x", "after"),
    ],
)
def test_what_cannot_be_answered_is_refused_by_name(
    query: str, field: str, noon: time_machine.Traveller, sam: Person, as_: As
) -> None:
    noon.shift(timedelta(days=1))

    answer = as_(sam).get(f"expiries/late/?{query}")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


def test_a_script_of_an_administrator_keeps_webhooks(sam: Person, as_: As) -> None:
    script = as_(sam)

    made = script.post("webhooks/", {"name": "Chat", "url": "https://chat.example/x", "kinds": ["request.ready"]})

    assert made.status_code == 201
    assert made.json()["secret"].startswith("whsec_")
    path = f"webhooks/{made.json()['id']}/"
    assert "secret" not in script.get(path).json()
    assert script.patch(path, {"is_paused": True}).json()["paused_at"]
    assert script.get(path).json()["kinds"] == ["request.ready"]
    assert script.post(f"{path}test/").status_code == 202
    (sent,) = script.get(f"{path}messages/").json()["results"]
    assert (sent["kind"], sent["state"]) == ("webhook.tested", "waiting")
    assert script.post(f"{path}secret/").json()["secret"] != made.json()["secret"]
    assert script.post("webhooks/", {"name": "Chat", "url": "ftp://x"}).status_code == 422
    assert script.delete(path).status_code == 204
    assert script.get(path).status_code == 404
