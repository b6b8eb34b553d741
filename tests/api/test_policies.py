"""Policies at the REST door: reading, looking at a draft, proposing, and deciding as a second person."""

from __future__ import annotations

import pytest

from governance.catalog.models import AccessPolicyVersion, Application, Entitlement, PolicyProposal
from governance.catalog.stages import Approvers, Stage
from governance.identity.models import Person
from tests.api.conftest import As
from tests.cast import add_role, hire, make_security_admin

pytestmark = pytest.mark.django_db

SAFE = Stage(Approvers("owner"), fallback=Approvers("security"))
WHY = "Incidents take longer than four hours."


@pytest.fixture
def tess(db: None) -> Person:
    return make_security_admin(hire("Tess Second"))


@pytest.fixture
def role(snowflake: Application) -> Entitlement:
    return add_role(snowflake, "Reader", stages=(SAFE,))


def test_a_change_is_proposed_by_one_script_and_approved_by_another(
    sam: Person, tess: Person, role: Entitlement, as_: As
) -> None:
    slug = role.policy.slug
    said = {"policy": slug, "base_version": 1, "why": WHY, "terms": {"max_duration_seconds": 86400}}

    made = as_(sam).post("policy-proposals/", said)

    assert made.status_code == 201, made.content
    found = made.json()
    assert (found["state"], found["base_version"], found["version"]) == ("pending", 1, None)
    assert found["changes"] == [
        {"field": "max_duration", "label": "How long, at most", "before": "30 days", "after": "1 day"}
    ]
    assert as_(sam).post(f"policy-proposals/{found['id']}/approve/", {}).status_code == 403
    done = as_(tess).post(f"policy-proposals/{found['id']}/approve/", {"answer": "Agreed."})
    assert (done.status_code, done.json()["version"]) == (200, 2)
    policy = as_(tess).get(f"policies/{slug}/").json()
    assert [one["number"] for one in policy["versions"]] == [2, 1]
    assert policy["in_force"]["terms"]["max_duration_seconds"] == 86400
    assert policy["roles"] == [{"application": "snowflake", "slug": "reader", "name": "Reader"}]
    again = as_(tess).post(f"policy-proposals/{found['id']}/approve/", {})
    assert again.status_code == 409


def test_what_is_read_can_be_sent_back(sam: Person, tess: Person, role: Entitlement, as_: As) -> None:
    slug = role.policy.slug
    terms = as_(sam).get(f"policies/{slug}/").json()["in_force"]["terms"]

    made = as_(sam).post("policy-proposals/", {"policy": slug, "why": WHY, "terms": terms})

    assert (made.status_code, made.json()["changes"]) == (201, [])


def test_a_draft_is_looked_at_and_refused_by_name(sam: Person, tess: Person, role: Entitlement, as_: As) -> None:
    slug, terms = role.policy.slug, {"stages": [{"kind": "manager"}]}

    seen = as_(sam).post(f"policies/{slug}/preview/", {"terms": terms}).json()
    refused = as_(sam).post("policy-proposals/", {"policy": slug, "why": WHY, "terms": terms})

    assert seen["lacking_count"] == 3
    assert {one["person"]["display_name"] for one in seen["lacking"]} == {"Linus Berg", "Sam Okoro", "Tess Second"}
    assert refused.status_code == 422
    assert "when Linus Berg asks for Reader in Snowflake" in refused.content.decode()
    assert not PolicyProposal.objects.exists()


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"max_duration_seconds": 0}, "max_duration"),
        ({"may_request": "department eq"}, "may_request"),
        ({"stages": [{"kind": "group", "group": "none"}]}, "stages"),
        ({"colour": "red"}, "colour"),
        ({"max_duration_seconds": 1e30}, "max_duration_seconds"),
    ],
    ids=str,
)
def test_a_wrong_draft_is_refused_at_its_field(terms: dict[str, object], field: str, sam: Person, as_: As) -> None:
    answer = as_(sam).post("policy-proposals/", {"name": "Lab", "why": WHY, "terms": terms})

    assert answer.status_code == 422, answer.content
    assert field in answer.content.decode()
    assert not PolicyProposal.objects.exists()


def test_effect_and_replay_of_a_proposal_are_read(sam: Person, tess: Person, role: Entitlement, as_: As) -> None:
    script = as_(sam)
    said = {"policy": role.policy.slug, "why": WHY, "terms": {"may_request": 'department eq "Data"'}}
    made = script.post("policy-proposals/", said).json()

    effect = script.get(f"policy-proposals/{made['id']}/effect/").json()
    again = script.get(f"policy-proposals/{made['id']}/replay/").json()

    drafted = script.post(f"policies/{role.policy.slug}/replay/", {"terms": said["terms"]}).json()
    assert drafted["id"] == again["id"], "the same draft is not decided again at once"
    assert drafted == script.get(f"policy-replays/{again['id']}/").json()
    anew = script.post(f"policy-proposals/{made['id']}/replay/")
    assert (anew.status_code, anew.json()["state"]) == (200, "done")
    assert anew.json()["id"] != again["id"]
    assert script.get(f"policy-proposals/{made['id']}/replay/").json() == anew.json()
    assert script.get("policy-replays/999/").status_code == 404
    assert {one["display_name"] for one in effect["no_longer"]["people"]} == {"Sam Okoro"} | {
        one["display_name"] for one in effect["no_longer"]["people"]
    }
    assert (again["total"], again["result"]["counts"]) == (0, {})
    assert [one["id"] for one in script.get("policy-proposals/", state="pending").json()["results"]] == [made["id"]]
    assert script.get("policy-proposals/", policy="other").json()["results"] == []
    assert script.get("policy-proposals/", state="lost").status_code == 422


def test_who_proposed_takes_it_back(sam: Person, tess: Person, role: Entitlement, as_: As) -> None:
    made = as_(sam).post("policy-proposals/", {"policy": role.policy.slug, "why": WHY, "terms": {}}).json()

    assert as_(tess).post(f"policy-proposals/{made['id']}/withdraw/", {}).status_code == 403
    assert as_(sam).post(f"policy-proposals/{made['id']}/withdraw/", {}).json()["state"] == "withdrawn"
    assert AccessPolicyVersion.objects.count() == 1
