"""Applications from the shipped catalogue, and the rules about them."""

from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.db import connection

from governance.catalog import actions, policies, queries, rules, shipped
from governance.catalog.models import AccessPolicyVersion, DataClass
from governance.catalog.policy_terms import PolicyTerms
from governance.core.errors import Conflict, Invalid, NotFound
from governance.identity.models import Person
from governance.identity.queries import locked_person
from governance.ledger.models import Pending
from governance.lifecycle import actions as lifecycle
from tests.cast import TESTING

TERMS = PolicyTerms(stages=("owner",))


def test_the_shipped_catalogue_is_whole() -> None:
    found = shipped.applications()

    assert len(found) == 669
    assert len({one.id for one in found}) == 669
    assert all(one.name and one.category and one.sources for one in found)
    assert all(set(one.data_classes) <= set(DataClass.values) for one in found)
    assert all(urlsplit(one.base_url_template).scheme == "https" for one in found if one.base_url_template)


def test_the_catalogue_is_searched_by_what_people_type() -> None:
    assert shipped.search("git")[0].name.casefold().startswith("git")
    assert [one.id for one in shipped.search("  SNOWFLAKE ")] == ["snowflake"]
    assert shipped.search("no such application") == []
    with pytest.raises(NotFound):
        shipped.application("no-such-application")


@pytest.mark.django_db
def test_an_application_is_added_from_the_catalogue_with_a_role_to_ask_for(linus: Person) -> None:
    application = actions.add_from_catalogue("snowflake", owners=[linus], actor=TESTING)

    assert (application.slug, application.catalogue_id, application.data_classes) == ("snowflake", "snowflake", ["pii"])
    assert queries.applications_owned_by(linus.pk) == [application.pk]
    role = application.entitlements.get()
    assert queries.policy_in_force(role.policy_id, role.created_at).stage_kinds == ["owner"]
    with pytest.raises(Conflict, match="was added before"):
        actions.add_from_catalogue("snowflake", actor=TESTING)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"name": "!!!"}, "slug"),
        ({"risk": 7}, "risk"),
        ({"data_classes": ["secrets"]}, "data_classes"),
        ({"description": "x" * 301}, "description"),
    ],
)
def test_an_application_out_of_order_is_refused_by_field(change: dict[str, object], field: str) -> None:
    with pytest.raises(Invalid) as problem:
        actions.add_application(**{"name": "Lab", "actor": TESTING, **change})  # type: ignore[arg-type]

    assert field in problem.value.fields


@pytest.mark.django_db
def test_somebody_who_left_owns_nothing(linus: Person) -> None:
    lifecycle.leave(locked_person(linus.scim_id), actor=TESTING)
    linus.refresh_from_db()

    with pytest.raises(Invalid) as problem:
        actions.add_application("Lab", owners=[linus], actor=TESTING)

    assert list(problem.value.fields) == ["owners"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"stages": ("wizard",)}, "stages"),
        ({"max_duration": timedelta(0)}, "max_duration"),
        ({"default_duration": timedelta(days=99)}, "default_duration"),
        ({"auto_approve_up_to": timedelta(days=99)}, "auto_approve_up_to"),
        ({"may_request": "department eq"}, "may_request"),
        ({"auto_approve": 'shoeSize eq "44"'}, "auto_approve"),
    ],
)
def test_a_policy_out_of_order_is_refused_by_field(change: dict[str, object], field: str) -> None:
    with pytest.raises(Invalid) as problem:
        policies.save_policy("Lab", replace(TERMS, **change), actor=TESTING)

    assert field in problem.value.fields
    assert not AccessPolicyVersion.objects.exists()


@pytest.mark.django_db
def test_a_policy_changes_by_a_new_version_and_the_old_one_stays(linus: Person) -> None:
    first = policies.save_policy("Lab", TERMS, actor=TESTING)
    second = policies.save_policy("Lab", replace(TERMS, requires_ticket=True), slug="lab", actor=TESTING)

    assert (first.number, second.number, second.policy) == (1, 2, first.policy)
    assert queries.policy_in_force(first.policy_id, second.effective_at) == second
    with pytest.raises(Exception, match="insert-only"), connection.cursor() as cursor:
        cursor.execute("UPDATE catalog_accesspolicyversion SET requires_ticket = false")


@pytest.mark.django_db
def test_the_field_history_of_configuration_is_kept_and_feeds_the_ledger(linus: Person) -> None:
    application = actions.add_application("Lab", owners=[linus], actor=TESTING)
    role = actions.add_entitlement(application, "Reader", sentence="Read.", target_ref="lab-readers", actor=TESTING)
    rules.save_birthright_rule("Everybody", "active eq true", [role], actor=TESTING)

    changed = [
        entry.body["data"]["model"]
        for entry in Pending.objects.order_by("id")
        if entry.body["event"] == "configuration.changed"
    ]

    assert changed[:3] == ["catalog.application", "catalog.accesspolicyversion", "catalog.entitlement"]
    assert changed[3:] == ["catalog.birthrightruleversion", "catalog.birthrightruleversion"]


def test_a_changed_entitlement_says_what_changed_and_a_repeat_says_nothing(linus: Person) -> None:
    application = actions.add_application("Snowflake", owners=[linus], actor=TESTING)
    role = actions.add_entitlement(application, "Analyst", sentence="Read.", target_ref="analysts", actor=TESTING)
    recorded = Pending.objects.count()

    changed = actions.change_entitlement(role, "Analyst", sentence="Read.", risk=4, actor=TESTING)
    again = actions.change_entitlement(role, "Analyst", sentence="Read.", risk=4, actor=TESTING)

    assert (changed, again) == (True, False)
    mine = [row.body for row in Pending.objects.order_by("id")[recorded:] if row.body["event"] == "entitlement.changed"]
    assert [entry["data"] for entry in mine] == [{"risk": {"from": 2, "to": 4}}]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"sentence": ""}, "sentence"),
        ({"risk": 9}, "risk"),
        ({"data_classes": ["secrets"]}, "data_classes"),
    ],
    ids=["no name", "no sentence", "wrong risk", "unknown data"],
)
def test_a_change_of_an_entitlement_out_of_order_is_refused_by_field(
    change: dict[str, object], field: str, linus: Person
) -> None:
    application = actions.add_application("Snowflake", owners=[linus], actor=TESTING)
    role = actions.add_entitlement(application, "Analyst", sentence="Read.", target_ref="analysts", actor=TESTING)

    with pytest.raises(Invalid) as refused:
        actions.change_entitlement(role, **({"name": "A", "sentence": "Read.", "risk": 1} | change), actor=TESTING)

    assert list(refused.value.fields) == [field]
