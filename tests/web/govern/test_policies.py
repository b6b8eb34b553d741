"""Policies: what is in force, what was, and writing the next version."""

from __future__ import annotations

from datetime import timedelta

import pytest

from governance.catalog.models import AccessPolicy, AccessPolicyVersion, Entitlement
from governance.identity.models import Person
from tests.web import stories
from tests.web.conftest import SignedIn

POLICY = {
    "name": "Sensitive",
    "stage_1": "manager",
    "stage_2": "owner",
    "default_duration": "4",
    "max_duration": "8",
    "purposes": "Fix an incident\nAnswer an audit",
    "auto_approve_up_to": "0",
    "lapses_after": "48",
}


def test_a_new_policy_says_what_was_written(sam: Person, signed_in: SignedIn) -> None:
    answer = signed_in(sam).post("/new-policy/", POLICY)

    assert answer.status_code == 302
    version = AccessPolicyVersion.objects.get(policy__slug="sensitive")
    assert (version.stage_kinds, version.max_duration) == (["manager", "owner"], timedelta(hours=8))
    assert version.purposes == ["Fix an incident", "Answer an audit"]


def test_a_change_is_a_new_version_beside_the_old_one(sam: Person, signed_in: SignedIn) -> None:
    client = signed_in(sam)
    client.post("/new-policy/", POLICY)

    client.post("/policies/sensitive/", POLICY | {"max_duration": "4"})

    policy = AccessPolicy.objects.get(slug="sensitive")
    assert list(policy.versions.order_by("number").values_list("number", flat=True)) == [1, 2]
    page = client.get("/policies/sensitive/").content.decode()
    assert "8 hours at most" in page
    assert "4 hours at most" in page
    assert "by Sam Okoro" in page


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"default_duration": "9"}, "Must lie within the longest."),
        ({"max_duration": "many"}, "Enter a number."),
        ({"may_request": "department is Finance"}, ""),
        ({"auto_approve": "((("}, ""),
        ({"stage_1": "the boss"}, "Select a valid choice"),
        ({"purposes": ""}, "This field is required."),
        ({"name": ""}, "This field is required."),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_policy_is_refused_at_its_field(
    change: dict[str, str], said: str, sam: Person, signed_in: SignedIn
) -> None:
    answer = signed_in(sam).post("/new-policy/", POLICY | change)

    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert 'aria-invalid="true"' in answer.content.decode()
    assert not AccessPolicy.objects.exists()


@pytest.mark.parametrize("path", ["/new-policy/", "/policies/standard/"])
@pytest.mark.parametrize("who", ["ada", "linus", "audrey"])
def test_only_administrators_write_policies(
    who: str, path: str, request: pytest.FixtureRequest, analyst: Entitlement, signed_in: SignedIn
) -> None:
    before = AccessPolicyVersion.objects.count()

    answer = signed_in(request.getfixturevalue(who)).post(path, POLICY)

    assert answer.status_code == 403
    assert AccessPolicyVersion.objects.count() == before


def test_an_auditor_reads_every_version_without_a_form(
    audrey: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    client = signed_in(audrey)

    for path in ("/policies/", "/policies/standard/"):
        page = client.get(path).content.decode()
        assert "Application owner" in page
        assert "Write the next version" not in page


def test_what_is_not_there_is_not_found(sam: Person, signed_in: SignedIn) -> None:
    assert signed_in(sam).get("/policies/nothing/").status_code == 404


def test_hostile_words_stay_text_among_policies(sam: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    client = signed_in(sam)
    client.post("/new-policy/", POLICY | {"name": f"Policy {stories.HOSTILE}", "purposes": stories.HOSTILE})
    slug = AccessPolicy.objects.exclude(slug="standard").get().slug

    for path in ("/policies/", f"/policies/{slug}/"):
        page = client.get(path).content.decode()
        assert "<img" not in page, path
        assert "&amp;lt;" not in page, path
