"""What only a browser shows of birthright rules: the whole way to a rule, accessibility, no script."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from governance.access import rule_runs, suggestions
from governance.access.models import Grant
from governance.catalog.models import BirthrightRule, Entitlement
from governance.catalog.rules import RuleTerms
from governance.identity.models import Person
from tests import cast
from tests.web import stories
from tests.web.conftest import Open
from tests.web.page_check import what_is_wrong

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LOOK = "?name=Finance&condition=" + quote('department eq "Finance"') + "&entitlements={role}"


@pytest.fixture
def pages(ada: Person, sam: Person, mallory: Person, analyst: Entitlement) -> list[str]:
    """Rules that give, keep away, keep for a grace, are planned and retired; colleagues with something in common."""
    role = cast.add_role(analyst.application, "Reader")
    for number in range(6):
        one = cast.hire(f"Crew{number} Member", department="Finance")
        stories.give(one, analyst) if number else None
    terms = RuleTerms("Engineers", 'department eq "Engineering"', [role], grace=timedelta(days=7), except_people=[sam])
    rule_runs.change_rule(terms, actor=cast.TESTING)
    away = RuleTerms(stories.HOSTILE, "active eq true", [analyst], effect="keep_away", priority=5)
    rule_runs.change_rule(away, actor=cast.TESTING)
    rule_runs.work()
    cast.move(ada, department="Finance")
    rule_runs.change_rule(RuleTerms("Late", "active eq true", [role]), actor=cast.TESTING)
    suggestions.look()
    look = LOOK.format(role=analyst.pk)
    return [
        "/rules/", "/rules/engineers/", "/rules/engineers/change/", "/rules/engineers/retire/", "/new-rule/",
        f"/new-rule/{look}", f"/new-rule/affected/{look}&effect=give&priority=100&grace_days=0", "/rule-suggestions/",
    ]  # fmt: skip


@pytest.mark.timeout(300)
def test_every_page_is_accessible_quiet_and_narrow(pages: list[str], sam: Person, reader: Open) -> None:
    assert what_is_wrong(reader(sam), pages) == []


@pytest.mark.parametrize("has_script", [True, False], ids=["script", "no script"])
def test_a_rule_is_built_looked_at_and_saved(
    has_script: bool, ada: Person, mallory: Person, sam: Person, analyst: Entitlement, reader: Open
) -> None:
    page = reader(sam, java_script_enabled=has_script).open("/rules/")
    page.get_by_role("link", name="New rule").click()
    page.get_by_label("Name", exact=True).fill("Marketing baseline")
    page.get_by_label("Roles", exact=True).select_option([str(analyst.pk)])
    page.get_by_role("button", name="Marketing 1").click()
    expect(page.get_by_label("Whom it applies to")).to_have_value('department eq "Marketing"')

    page.get_by_role("button", name="Show whom it affects").click()
    expect(page.get_by_role("region", name="Whom it affects")).to_contain_text("1 person gets a role")
    expect(page.get_by_text("Mallory Grey")).to_be_visible()
    page.get_by_role("button", name="Save rule").click()

    expect(page.get_by_role("heading", name="Marketing baseline")).to_be_visible()
    rule_runs.work()
    assert BirthrightRule.objects.filter(slug="marketing-baseline").exists()
    assert list(Grant.objects.values_list("person__display_name", flat=True)) == ["Mallory Grey"]
