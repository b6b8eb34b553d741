"""Applications, owners, roles and rules about duties, changed by scripts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from governance.catalog.models import Application, Entitlement, SodException, SodRule
from governance.core.clock import now
from governance.identity.models import Person
from tests import cast
from tests.api.conftest import As

pytestmark = pytest.mark.django_db


def test_an_owner_changes_what_their_application_says(linus: Person, snowflake: Application, as_: As) -> None:
    answer = as_(linus).patch("applications/snowflake/", {"data_classes": ["phi"], "risk": 4})

    assert (answer.status_code, answer.json()["data_classes"], answer.json()["risk"]) == (200, ["phi"], 4)
    snowflake.refresh_from_db()
    assert (snowflake.name, snowflake.data_classes) == ("Snowflake", ["phi"])


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"risk": 9}, "risk"),
        ({"data_classes": ["secret"]}, "data_classes"),
        ({"name": ""}, "name"),
        ({"slug": "x"}, "slug"),
    ],
)
def test_what_is_wrong_is_named(
    said: dict[str, object], field: str, linus: Person, snowflake: Application, as_: As
) -> None:
    answer = as_(linus).patch("applications/snowflake/", said)

    assert answer.status_code == 422
    assert field in answer.content.decode()


def test_owners_are_named_by_security_and_nobody_is_left_without_an_approver(
    sam: Person, linus: Person, ada: Person, analyst: Entitlement, as_: As
) -> None:
    script = as_(sam)

    put = script.put("applications/snowflake/owners/", {"owners": [str(linus.ref), str(ada.ref)]})
    gone = script.put("applications/snowflake/owners/", {"owners": []})

    assert {one["ref"] for one in put.json()["owners"]} == {str(linus.ref), str(ada.ref)}
    assert gone.status_code in (409, 422)
    assert as_(linus).put("applications/snowflake/owners/", {"owners": [str(ada.ref)]}).status_code == 403
    unknown = script.put("applications/snowflake/owners/", {"owners": ["3f8b6a4e-1111-4222-8333-444455556666"]})
    assert unknown.status_code == 422


ROLE = {"application": "snowflake", "name": "Loader", "sentence": "Load tables.", "target_ref": "loader", "risk": 2}


def test_an_owner_adds_a_role_and_changes_it(linus: Person, mallory: Person, snowflake: Application, as_: As) -> None:
    script = as_(linus)

    made = script.post("entitlements/", ROLE)
    changed = script.patch("entitlements/snowflake/loader/", {"risk": 3, "is_requestable": False})

    assert (made.status_code, made.json()["kind"], made.json()["is_requestable"]) == (201, "group", True)
    assert (changed.status_code, changed.json()["risk"], changed.json()["sentence"]) == (200, 3, "Load tables.")
    assert Entitlement.objects.get(slug="loader").is_requestable is False
    assert script.post("entitlements/", ROLE).status_code == 409
    assert script.patch("entitlements/snowflake/loader/", {"kind": "licence"}).status_code == 422
    assert as_(mallory).post("entitlements/", ROLE).status_code == 403
    wrong = script.patch("entitlements/snowflake/loader/", {"policy": "nothing"})
    assert "There is no policy called nothing." in wrong.content.decode()


@pytest.fixture
def pair(snowflake: Application, analyst: Entitlement) -> tuple[Entitlement, Entitlement]:
    return analyst, cast.add_role(snowflake, "Admin")


def rule_said(owner: Person) -> dict[str, object]:
    return {
        "name": "Query and administer",
        "why": "Whoever administers could hide what they queried.",
        "first": [{"application": "snowflake", "slug": "analyst"}],
        "second": [{"application": "snowflake", "slug": "admin"}],
        "owner": str(owner.ref),
    }


def test_a_rule_about_duties_is_written_changed_and_retired(
    sam: Person, audrey: Person, linus: Person, pair: tuple[Entitlement, Entitlement], as_: As
) -> None:
    script = as_(sam)

    made = script.post("duties/", rule_said(sam))
    slug = made.json()["slug"]
    again = script.put(f"duties/{slug}/", {**rule_said(sam), "effect": "warn"})

    assert (made.status_code, made.json()["version"]["number"]) == (201, 1)
    assert (again.json()["version"]["number"], again.json()["version"]["effect"]) == (2, "warn")
    assert as_(audrey).get(f"duties/{slug}/").json()["version"]["first"] == [
        {"application": "snowflake", "slug": "analyst"}
    ]
    assert as_(audrey).post("duties/", rule_said(sam)).status_code == 403
    assert as_(linus).get("duties/").status_code == 403
    assert script.delete(f"duties/{slug}/").status_code == 204
    assert SodRule.objects.get().retired_at is not None
    missing = script.post("duties/", {**rule_said(sam), "first": [{"application": "snowflake", "slug": "none"}]})
    assert "There is no none in snowflake." in missing.content.decode()


def test_an_exception_is_granted_for_a_time_and_ended_before(
    sam: Person, ada: Person, linus: Person, pair: tuple[Entitlement, Entitlement], as_: As
) -> None:
    script = as_(sam)
    slug = script.post("duties/", rule_said(sam)).json()["slug"]
    said = {
        "person": str(ada.ref),
        "owner": str(linus.ref),
        "reason": "She covers for the administrator this week.",
        "ends_at": (now() + timedelta(days=7)).isoformat(),
    }

    made = script.post(f"duties/{slug}/exceptions/", said)
    ended = script.post(f"duty-exceptions/{made.json()['id']}/end/")

    assert (made.status_code, ended.status_code) == (201, 200)
    assert ended.json()["ended_at"] is not None
    assert SodException.objects.count() == 1
    assert script.post(f"duties/{slug}/exceptions/", {**said, "person": str(sam.ref)}).status_code in (409, 422)
    assert script.post(f"duty-exceptions/{made.json()['id']}/end/").status_code == 409


def test_whoever_answers_for_an_application_is_an_owner_without_having_the_role(
    linus: Person, mallory: Person, analyst: Entitlement, as_: As
) -> None:
    said = {
        "name": "For analysts",
        "sentence": "All an analyst needs.",
        "roles": [{"application": "snowflake", "entitlement": "analyst"}],
    }

    assert not linus.role_assignments.exists()
    assert as_(linus).post("packages/", said).status_code == 201
    assert as_(mallory).post("packages/", said).status_code == 403


def test_owners_say_how_long_a_session_outlives_its_access(linus: Person, snowflake: Application, as_: As) -> None:
    script = as_(linus)

    assert script.patch("applications/snowflake/", {"session_hours": 8}).json()["session_hours"] == 8
    assert script.patch("applications/snowflake/", {"risk": 4}).json()["session_hours"] == 8
    assert script.patch("applications/snowflake/", {"session_hours": 0}).status_code == 422
    assert script.patch("applications/snowflake/", {"session_hours": None}).json()["session_hours"] is None
