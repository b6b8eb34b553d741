"""Birthright rules: what they give, what they keep away, whom they leave out, and how access ends after them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import transaction

from governance.access import birthright, grants, queries, sweep
from governance.access.models import EndCause, Grant, GrantRevision, Withheld
from governance.catalog import rules, sod
from governance.catalog.models import Application, BirthrightRule, Entitlement, SodEffect
from governance.catalog.rules import RuleTerms
from governance.core.clock import OPEN_END, now
from governance.core.errors import Conflict, Invalid
from governance.identity.models import Person
from governance.identity.queries import locked_person
from governance.ledger.models import Pending
from governance.lifecycle import actions as lifecycle
from governance.provisioning.models import Operation
from tests.cast import TESTING, add_role, hire, move

pytestmark = pytest.mark.django_db

ENGINEERS = 'department eq "Engineering"'
WEEK = timedelta(days=7)
NOON = datetime(2027, 3, 2, 12, tzinfo=UTC)


def rule(name: str, condition: str, *roles: Entitlement, slug: str = "", **said: object) -> BirthrightRule:
    terms = RuleTerms(name, condition, roles, **said)  # type: ignore[arg-type]
    return rules.save_rule(terms, slug=slug, actor=TESTING).rule


def settle(*people: Person) -> None:
    with transaction.atomic():
        birthright.apply([one.pk for one in people], at=now(), actor=TESTING)


def events() -> list[str]:
    return [entry.body["event"] for entry in Pending.objects.order_by("id")]


def held_by(person: Person) -> set[str]:
    return {grant.entitlement.name for grant in queries.access_of(person, at=now())}


def fresh(person: Person) -> Person:
    return Person.objects.get(pk=person.pk)


@pytest.fixture
def admin(snowflake: Application) -> Entitlement:
    return add_role(snowflake, "Admin")


@pytest.mark.parametrize(
    ("giving", "keeping", "has_it"),
    [(10, 20, True), (20, 10, False), (20, 20, False)],
    ids=["the rule that gives decides first", "the rule that keeps away decides first", "both stand beside each other"],
)
def test_the_rule_that_stands_first_decides(
    giving: int, keeping: int, has_it: bool, ada: Person, analyst: Entitlement, admin: Entitlement
) -> None:
    rule("Engineers", ENGINEERS, analyst, admin, priority=giving)
    rule("No admins", 'userType eq "Employee"', admin, priority=keeping, effect="keep_away")

    settle(ada)

    assert held_by(ada) == ({"Analyst", "Admin"} if has_it else {"Analyst"})


def test_what_a_rule_keeps_away_comes_when_it_no_longer_applies(ada: Person, analyst: Entitlement) -> None:
    rule("Engineers", ENGINEERS, analyst)
    rule("Not interns", 'title eq "Intern"', analyst, effect="keep_away")
    settle(ada)
    assert held_by(ada) == {"Analyst"}

    move(ada, title="Intern")
    assert held_by(ada) == set()

    move(fresh(ada), title="Engineer")
    assert held_by(ada) == {"Analyst"}


def test_keeping_away_takes_nothing_that_was_asked_for(ada: Person, analyst: Entitlement) -> None:
    asked = grants.NewGrant(ada.pk, analyst.pk, analyst.application_id, "manual", now())
    with transaction.atomic():
        grants.start_many([asked], at=now(), actor=TESTING)
    rule("Nobody", ENGINEERS, analyst, effect="keep_away")

    settle(ada)

    assert held_by(ada) == {"Analyst"}


@pytest.mark.parametrize("way", ["condition", "name"])
def test_a_rule_leaves_out_whom_it_excepts_and_nobody_else(
    way: str, ada: Person, grace: Person, analyst: Entitlement
) -> None:
    said = {"except_condition": 'userName sw "ada@"'} if way == "condition" else {"except_people": [ada]}
    rule("Engineers", ENGINEERS, analyst, **said)

    settle(ada, grace)

    assert (held_by(ada), held_by(grace)) == (set(), {"Analyst"})


def test_an_exception_concerns_its_own_rule_only(ada: Person, analyst: Entitlement) -> None:
    rule("Engineers", ENGINEERS, analyst, except_people=[ada])
    rule("Employees", 'userType eq "Employee"', analyst)

    settle(ada)

    assert held_by(ada) == {"Analyst"}


def test_a_mover_keeps_access_for_the_grace_and_then_loses_it(ada: Person, analyst: Entitlement) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        rule("Engineers", ENGINEERS, analyst, grace=WEEK)
        settle(ada)

        move(ada, department="Finance")

        grant = Grant.objects.get(person=ada)
        assert (held_by(ada), grant.ends_at, grant.end_cause) == ({"Analyst"}, NOON + WEEK, EndCause.RULE)
        assert not Operation.objects.filter(kind="take").exists()
        assert events()[-1] == "grant.shortened"

        clock.shift(WEEK)
        assert held_by(ada) == set()
        sweep.sweep()
        assert Operation.objects.filter(kind="take").count() == 1
        assert Grant.objects.get(person=ada).end_cause == EndCause.RULE


def test_a_second_move_within_the_grace_does_not_prolong_it(ada: Person, analyst: Entitlement) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        rule("Engineers", ENGINEERS, analyst, grace=WEEK)
        settle(ada)
        move(ada, department="Finance")

        clock.shift(timedelta(days=3))
        move(fresh(ada), department="Sales")

        assert Grant.objects.get(person=ada).ends_at == NOON + WEEK


def test_who_comes_back_within_the_grace_keeps_access_without_a_gap(ada: Person, analyst: Entitlement) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        rule("Engineers", ENGINEERS, analyst, grace=WEEK)
        settle(ada)
        move(ada, department="Finance")
        clock.shift(timedelta(days=3))

        move(fresh(ada), department="Engineering")

        grant = Grant.objects.get(person=ada)
        assert (grant.ends_at, grant.end_cause) == (OPEN_END, "")
        said = GrantRevision.objects.filter(grant=grant).order_by("number")
        assert [one.change for one in said] == ["started", "shortened", "extended"]
        assert Operation.objects.filter(person=ada).count() == 1


def test_leavers_get_no_grace(ada: Person, analyst: Entitlement) -> None:
    rule("Engineers", ENGINEERS, analyst, grace=WEEK)
    settle(ada)
    move(ada, department="Finance")

    with transaction.atomic():
        lifecycle.leave(locked_person(ada.scim_id), actor=TESTING)

    assert held_by(ada) == set()
    assert Operation.objects.filter(person=ada, kind="take").count() == 1


def test_what_is_kept_away_ends_at_once_also_within_a_grace(ada: Person, analyst: Entitlement) -> None:
    rule("Engineers", ENGINEERS, analyst, grace=WEEK)
    rule("No sales", 'department eq "Sales"', analyst, effect="keep_away")
    settle(ada)
    move(ada, department="Finance")
    assert held_by(ada) == {"Analyst"}

    move(fresh(ada), department="Sales")

    assert held_by(ada) == set()


def test_a_retired_rule_lets_people_keep_its_roles_for_its_grace(ada: Person, analyst: Entitlement) -> None:
    with time_machine.travel(NOON, tick=False):
        retired = rule("Engineers", ENGINEERS, analyst, grace=WEEK)
        settle(ada)

        rules.retire_rule(retired, actor=TESTING)
        settle(ada)

        assert Grant.objects.get(person=ada).ends_at == NOON + WEEK


def test_what_another_rule_still_gives_is_not_ordered_away(ada: Person, analyst: Entitlement) -> None:
    rule("Engineers", ENGINEERS, analyst)
    rule("Employees", 'userType eq "Employee"', analyst)
    settle(ada)

    move(ada, department="Finance")

    assert held_by(ada) == {"Analyst"}
    assert not Operation.objects.filter(kind="take").exists()


def test_a_version_begins_at_its_start(ada: Person, analyst: Entitlement, admin: Entitlement) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        rule("Engineers", ENGINEERS, analyst)
        rule("Engineers", ENGINEERS, admin, slug="engineers", starts_at=NOON + WEEK)
        settle(ada)
        assert held_by(ada) == {"Analyst"}

        clock.shift(WEEK)
        settle(ada)
        assert held_by(ada) == {"Admin"}


def test_a_version_saved_later_replaces_the_planned_one(ada: Person, analyst: Entitlement, admin: Entitlement) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        rule("Engineers", ENGINEERS, admin, starts_at=NOON + WEEK)
        rule("Engineers", ENGINEERS, analyst, slug="engineers")

        clock.shift(WEEK)
        settle(ada)

        assert held_by(ada) == {"Analyst"}


def test_without_any_rule_left_what_was_withheld_is_released(
    ada: Person, sam: Person, analyst: Entitlement, admin: Entitlement
) -> None:
    terms = sod.SodTerms("Pair", "They could.", [analyst], sam, [admin], effect=SodEffect.BLOCK)
    sod.save_sod_rule(terms, actor=TESTING)
    both = rule("Engineers", ENGINEERS, analyst, admin)
    settle(ada)
    assert Withheld.objects.filter(ended_at=None).count() == 1

    rules.retire_rule(both, actor=TESTING)
    settle(ada)

    assert not Withheld.objects.filter(ended_at=None).exists()
    assert held_by(ada) == set()


def test_of_two_that_exclude_each_other_the_rule_that_decides_first_gives(
    ada: Person, sam: Person, analyst: Entitlement, admin: Entitlement
) -> None:
    terms = sod.SodTerms("Pair", "They could.", [analyst], sam, [admin], effect=SodEffect.BLOCK)
    sod.save_sod_rule(terms, actor=TESTING)
    rule("Older", ENGINEERS, analyst, priority=50)
    rule("First", ENGINEERS, admin, priority=10)

    settle(ada)

    assert held_by(ada) == {"Admin"}


def test_what_is_kept_for_a_while_stands_in_the_way_of_what_excludes_it(
    ada: Person, sam: Person, analyst: Entitlement, admin: Entitlement
) -> None:
    terms = sod.SodTerms("Pair", "They could.", [analyst], sam, [admin], effect=SodEffect.BLOCK)
    sod.save_sod_rule(terms, actor=TESTING)
    with time_machine.travel(NOON, tick=False) as clock:
        rule("Engineers", ENGINEERS, analyst, grace=WEEK)
        rule("Finance", 'department eq "Finance"', admin)
        settle(ada)

        move(ada, department="Finance")
        assert held_by(ada) == {"Analyst"}

        clock.shift(WEEK + timedelta(minutes=1))
        sweep.sweep()
        sweep.reconsider_withheld()
        assert held_by(ada) == {"Admin"}


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"condition": " "}, "condition"),
        ({"condition": "department eq"}, "condition"),
        ({"except_condition": "((("}, "except_condition"),
        ({"entitlements": ()}, "entitlements"),
        ({"name": "…"}, "name"),
        ({"priority": 0}, "priority"),
        ({"grace": timedelta(days=91)}, "grace"),
        ({"effect": "lend"}, "effect"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_terms_are_refused_at_their_field(said: dict[str, object], field: str, analyst: Entitlement) -> None:
    known: dict[str, object] = {"name": "Engineers", "condition": ENGINEERS, "entitlements": [analyst]}

    with pytest.raises(Invalid) as refused:
        rules.save_rule(RuleTerms(**(known | said)), actor=TESTING)  # type: ignore[arg-type]

    assert list(refused.value.fields) == [field]


def test_a_new_rule_does_not_become_a_version_of_another_by_its_name(analyst: Entitlement) -> None:
    rule("Engineers", ENGINEERS, analyst)

    with pytest.raises(Conflict, match="There is a rule called Engineers"):
        rule("Engineers", "active eq true", analyst)


def test_a_retired_rule_cannot_be_changed_or_retired_again(analyst: Entitlement) -> None:
    retired = rule("Engineers", ENGINEERS, analyst)
    rules.retire_rule(retired, actor=TESTING)

    with pytest.raises(Conflict):
        rule("Engineers", ENGINEERS, analyst, slug="engineers")
    with pytest.raises(Conflict):
        rules.retire_rule(retired, actor=TESTING)


def test_a_manager_drives_birthright_at_once(grace: Person, analyst: Entitlement) -> None:
    rule("Reports of Grace", f'manager.value eq "{grace.scim_id}"', analyst)

    alan = hire("Alan Kay", manager_hint=str(grace.scim_id))

    assert held_by(alan) == {"Analyst"}
