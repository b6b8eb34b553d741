"""Definitions at the REST door: made, changed by version, used for bundles, retired."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from governance.catalog.models import Entitlement
from governance.core.clock import now
from governance.engagements import opening
from governance.evidence.models import EvidenceBundle
from governance.identity.models import Person
from tests import cast
from tests.api.conftest import As, Script

SMALL: dict[str, Any] = {
    "name": "Small",
    "framework": "soc2",
    "reports": [{"report": "R01", "columns": ["cause"], "filters": {"cause": ["manual"]}}],
}
PERIOD = {"framework": "soc2", "first_day": "2026-01-01", "last_day": "2026-01-31"}


@pytest.fixture
def script(audrey: Person, as_: As) -> Script:
    return as_(audrey)


def test_a_definition_is_made_changed_listed_and_retired(script: Script) -> None:
    made = script.post("evidence/definitions/", SMALL)
    ref = made.json()["ref"]
    changed = script.put(
        f"evidence/definitions/{ref}/", {"after": 1, "name": "Smaller", "reports": SMALL["reports"], "reason": "Name"}
    )
    late = script.put(f"evidence/definitions/{ref}/", {"after": 1, "name": "Mine", "reports": SMALL["reports"]})

    assert made.status_code == 201
    assert made.json()["reports"][0]["columns"] == ["cause"]
    assert (changed.status_code, changed.json()["version"], changed.json()["name"]) == (200, 2, "Smaller")
    assert late.status_code == 409
    assert [one["version"] for one in script.get(f"evidence/definitions/{ref}/").json()] == [2, 1]
    assert [one["name"] for one in script.get("evidence/definitions/").json()] == ["Smaller"]
    assert script.get("evidence/definitions/", framework="hipaa").json() == []
    assert script.post(f"evidence/definitions/{ref}/retire/").status_code == 204
    assert script.post(f"evidence/definitions/{ref}/retire/").status_code == 409
    assert script.get("evidence/definitions/").json() == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"reports": [{"report": "R77"}]}, "reports"),
        ({"reports": "R01"}, "reports"),
        ({"framework": "vibes"}, "framework"),
        ({"name": "x" * 100}, "name"),
        ({"applications": ["nowhere"]}, "applications"),
        ({"colour": "red"}, "colour"),
    ],
    ids=lambda value: "",
)
def test_what_is_wrong_is_named(script: Script, change: dict[str, Any], field: str) -> None:
    answer = script.post("evidence/definitions/", SMALL | change)

    assert answer.status_code == 422, answer.content
    assert {error["field"].partition(".")[0] for error in answer.json()["errors"]} == {field}


def test_a_bundle_and_a_preview_are_asked_by_it(script: Script, analyst: Entitlement) -> None:
    ref = script.post("evidence/definitions/", SMALL).json()["ref"]

    shown = script.get("evidence/preview/", **PERIOD, definition=ref)
    made = script.post("evidence/bundles/", {**PERIOD, "definition": ref, "applications": ["snowflake"]})

    assert [(one["id"], one["of"]) for one in shown.json()["reports"]] == [("R01", 0)]
    assert "R03" in shown.json()["left_out"]
    assert made.status_code == 202
    assert made.json()["definition"]["version"] == 1
    assert made.json()["applications"] == ["snowflake"]
    assert EvidenceBundle.objects.get().definition is not None
    assert script.get("evidence/bundles/").json()["results"][0]["definition"]["name"] == "Small"


@pytest.mark.parametrize(
    "change",
    [{"definition": "3f8b6a4e-1111-4222-8333-444455556666"}, {"definition_version": 7}, {"framework": "hipaa"}],
    ids=["none such", "no such version", "of another framework"],
)
def test_a_definition_that_does_not_fit_is_named(script: Script, change: dict[str, Any]) -> None:
    ref = script.post("evidence/definitions/", SMALL).json()["ref"]

    answer = script.post("evidence/bundles/", {**PERIOD, "definition": ref, **change})

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["definition"]


def test_whoever_runs_an_audit_chooses_what_its_bundles_hold_and_guests_do_not(
    script: Script, sam: Person, as_: As, db: None
) -> None:
    ref = script.post("evidence/definitions/", SMALL).json()["ref"]
    day = now().date()
    audit = opening.open_engagement(
        "Audit", "soc2", first=day, last=day, zone="UTC", ends_on=day + timedelta(days=9), actor=cast.acting(sam)
    )
    gil = cast.be_guest("Gil Outside")
    cast.let_in(audit, gil)
    here = f"engagements/{audit.ref}/bundles/"

    made = as_(sam).post(here, {"definition": ref})
    refused = as_(gil).post(here, {"definition": ref})

    assert (made.status_code, made.json()["definition"]["name"]) == (202, "Small")
    assert refused.status_code == 403
    assert as_(gil).post(here, {}).json()["definition"] is None


def test_a_guest_defines_nothing(as_: As, db: None) -> None:
    assert as_(cast.be_guest("Gil Outside")).post("evidence/definitions/", SMALL).status_code == 403
