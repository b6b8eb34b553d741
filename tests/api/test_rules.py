"""Birthright rules at the REST door."""

from __future__ import annotations

from typing import Any

import pytest

from governance.access import birthright, rule_parking, rule_runs, suggestions
from governance.access.models import Grant
from governance.catalog.models import BirthrightRule, Entitlement
from governance.core.clock import now
from governance.identity.models import Person
from tests import cast
from tests.api.conftest import As
from tests.web import stories

pytestmark = pytest.mark.django_db

ENGINEERS = 'department eq "Engineering"'
ANALYST = {"application": "snowflake", "slug": "analyst"}


def terms(**said: Any) -> dict[str, Any]:
    return {"name": "Engineers", "condition": ENGINEERS, "entitlements": [ANALYST], **said}


def test_a_rule_is_written_changed_applied_and_retired(
    ada: Person, sam: Person, audrey: Person, analyst: Entitlement, as_: As
) -> None:
    script = as_(sam)

    made = script.post("rules/", terms(priority=20, grace_days=3, except_people=[str(ada.ref)]))
    assert made.status_code == 201, made.content
    rule_runs.work()
    said = as_(audrey).get("rules/engineers/").json()
    (version,) = said["versions"]
    assert (version["priority"], version["grace_days"], version["except_people"]) == (20, 3, [str(ada.ref)])
    assert (said["runs"][0]["started"], said["runs"][0]["done"]) == (1, 1)

    assert script.post("rules/engineers/versions/", terms()).status_code == 201
    rule_runs.work()
    assert Grant.objects.filter(ends_at__gt=now()).count() == 2
    assert [one["number"] for one in script.get("rules/").json()["results"][0]["versions"]] == [2, 1]

    assert script.post("rules/engineers/retire/", {}).json()["retired_at"] is not None
    rule_runs.work()
    assert not Grant.objects.filter(ends_at__gt=now()).exists()
    assert script.post("rules/engineers/versions/", terms()).status_code == 409


def test_a_preview_saves_nothing_and_its_digest_guards_the_save(
    ada: Person, sam: Person, analyst: Entitlement, as_: As
) -> None:
    script = as_(sam)

    said = script.post("rule-previews/", terms()).json()
    assert (said["applies_to"], said["adds"]["people"], said["takes"]["people"]) == (2, 2, 0)
    assert said["adds"]["named"][0] == {
        "ref": str(ada.ref),
        "display_name": "Ada Lovelace",
        "entitlements": ["snowflake/analyst"],
    }
    assert not BirthrightRule.objects.exists()

    cast.hire("Alan Kay")
    refused = script.post("rules/", terms(digest=said["digest"]))
    assert refused.status_code == 409
    assert "changed since the preview" in refused.json()["detail"]

    again = script.post("rule-previews/", terms()).json()
    assert script.post("rules/", terms(digest=again["digest"])).status_code == 201


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"condition": "department eq"}, "condition"),
        ({"entitlements": [{"application": "snowflake", "slug": "nothing"}]}, "entitlements"),
        ({"except_people": ["3f8b6a4e-1111-4222-8333-444455556666"]}, "except_people"),
        ({"priority": 0}, "priority"),
        ({"starts_at": "2020-01-01T00:00:00Z"}, "starts_at"),
        ({"colour": "red"}, "colour"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_named(change: dict[str, Any], field: str, sam: Person, analyst: Entitlement, as_: As) -> None:
    answer = as_(sam).post("rules/", terms(**change))

    assert answer.status_code in (400, 422), answer.content
    assert field in answer.content.decode()
    assert not BirthrightRule.objects.exists()


def test_suggestions_come_with_their_condition_and_shares(sam: Person, analyst: Entitlement, as_: As) -> None:
    crew = [cast.hire(f"Crew{number} Member", department="Finance") for number in range(6)]
    for one in crew[:5]:
        stories.give(one, analyst)
    suggestions.look()

    (said,) = [one for one in as_(sam).get("rule-suggestions/").json()["results"] if one["value"] == "Finance"]

    assert (said["people"], said["holders"], said["missing"], said["percent"]) == (6, 5, 1, 83)
    assert said["condition"] == 'department eq "Finance"'


def test_a_planned_version_is_called_off_by_a_script(ada: Person, sam: Person, analyst: Entitlement, as_: As) -> None:
    script = as_(sam)
    script.post("rules/", terms(starts_at="2099-05-01T00:00:00Z"))

    said = script.post("rules/engineers/versions/1/call-off/", {}).json()

    assert said["versions"][0]["called_off_at"] is not None
    assert said["runs"] == []
    assert script.post("rules/engineers/versions/1/call-off/", {}).status_code == 409


def test_a_rule_that_could_not_be_applied_is_tried_again_by_a_script(
    ada: Person, sam: Person, analyst: Entitlement, as_: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = as_(sam)
    script.post("rules/", terms())
    with monkeypatch.context() as broken:
        broken.setattr(rule_parking, "FAILURES_TO_PARK", 1)
        broken.setattr(birthright, "apply", lambda *_, **__: 1 // 0)
        rule_runs.work()
    run = script.get("rules/engineers/").json()["runs"][0]
    assert (run["failures"], run["parked_at"] is not None) == (1, True)
    assert run["cause"].startswith("ZeroDivisionError")

    (run,) = script.post("rules/engineers/try-again/", {}).json()["runs"]
    rule_runs.work()

    assert (run["failures"], run["parked_at"], run["cause"]) == (0, None, "")
    assert Grant.objects.count() == 2
    assert script.post("rules/engineers/try-again/", {}).status_code == 409
