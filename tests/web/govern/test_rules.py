"""Birthright rules: what is in force, what was, and writing the next version."""

from __future__ import annotations

import pytest

from governance.access.models import Grant
from governance.catalog import rules
from governance.catalog.models import BirthrightRule, BirthrightRuleVersion, Entitlement
from governance.core.clock import now
from governance.identity.models import Person
from tests import cast
from tests.web.conftest import SignedIn


def test_a_rule_gives_to_everybody_it_selects_at_once(
    ada: Person, mallory: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    rule = {"name": "Engineers", "condition": 'department eq "Engineering"', "entitlements": [analyst.pk]}

    answer = signed_in(sam).post("/new-rule/", rule)

    assert answer.status_code == 302
    held = Grant.objects.filter(entitlement=analyst, ends_at__gt=now()).values_list("person__display_name", flat=True)
    assert sorted(held) == ["Ada Lovelace", "Grace Hopper"]


def test_the_next_version_takes_away_what_only_the_old_one_gave(
    ada: Person, mallory: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    client = signed_in(sam)
    rule = {"name": "Engineers", "condition": 'department eq "Engineering"', "entitlements": [analyst.pk]}
    client.post("/new-rule/", rule)

    client.post("/rules/engineers/", rule | {"condition": 'department eq "Marketing"'})

    held = Grant.objects.filter(entitlement=analyst, ends_at__gt=now()).values_list("person__display_name", flat=True)
    assert list(held) == ["Mallory Grey"]
    assert "selects 1 person now" in client.get("/rules/engineers/").content.decode()


@pytest.mark.parametrize("change", [{"condition": "department eq"}, {"condition": ""}, {"entitlements": []}],
                         ids=["cannot be read", "selects nobody said", "gives nothing"])  # fmt: skip
def test_a_wrong_rule_is_refused_at_its_field(
    change: dict[str, object], sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    rule = {"name": "Engineers", "condition": 'department eq "Engineering"', "entitlements": [analyst.pk]}

    answer = signed_in(sam).post("/new-rule/", rule | change)

    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.content.decode()
    assert not BirthrightRule.objects.exists()


@pytest.mark.parametrize("path", ["/new-rule/", "/rules/engineers/"])
@pytest.mark.parametrize("who", ["ada", "linus", "audrey"])
def test_only_administrators_write_rules(
    who: str, path: str, request: pytest.FixtureRequest, analyst: Entitlement, signed_in: SignedIn
) -> None:
    rules.save_birthright_rule("Engineers", 'department eq "Engineering"', [analyst], actor=cast.TESTING)

    answer = signed_in(request.getfixturevalue(who)).post(
        path, {"name": "Engineers", "condition": "active eq true", "entitlements": [analyst.pk]}
    )

    assert answer.status_code == 403
    assert BirthrightRuleVersion.objects.count() == 1


def test_a_rule_that_is_not_there_is_not_found(sam: Person, signed_in: SignedIn) -> None:
    assert signed_in(sam).get("/rules/nothing/").status_code == 404
