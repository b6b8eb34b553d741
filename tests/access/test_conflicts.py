"""Who breaks rules about duties now, found as sets, and compared with looking at each person."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import transaction
from pytest_django import DjangoAssertNumQueries

from governance.access import birthright, conflicts, duties, grants
from governance.access.conflicts import Total
from governance.access.models import Grant, GrantCause
from governance.catalog import rules as birthright_rules
from governance.catalog import sod
from governance.catalog.models import Application, Entitlement
from governance.catalog.sod_queries import sod_rules_in_force
from governance.core.clock import OPEN_END, now
from governance.identity.models import Person
from governance.identity.queries import locked_person
from governance.lifecycle import actions as lifecycle
from governance.policy.duties import Duty, DutyRule
from governance.policy.duties import conflicts as conflicts_between
from tests.cast import TESTING, acting, add_application, add_role, hire
from tests.duties import exempt, forbid, seen

pytestmark = pytest.mark.django_db

LATER = datetime(2036, 3, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def payer(snowflake: Application) -> Entitlement:
    return add_role(snowflake, "Payer")


@pytest.fixture
def approver(sam: Person) -> Entitlement:
    return add_role(add_application("Tally", owner=sam), "Approver")


@transaction.atomic
def give(
    person: Person, role: Entitlement, *, starts_in: timedelta = timedelta(0), lasts: timedelta | None = None
) -> Grant:
    starts_at = now() + starts_in
    ends_at = OPEN_END if lasts is None else starts_at + lasts
    new = grants.NewGrant(person.pk, role.pk, role.application_id, GrantCause.MANUAL, starts_at, ends_at)
    return grants.start_many([new], at=now(), actor=TESTING)[0]


def rules() -> list[DutyRule]:
    return [duties.as_policy(rule) for rule in sod_rules_in_force(now())]


def found() -> list[conflicts.Conflict]:
    (rule,) = rules()
    return conflicts.page_of(rule, at=now(), size=50).conflicts


def test_who_holds_both_is_found_since_the_later_of_them_began(
    ada: Person, sam: Person, payer: Entitlement, approver: Entitlement
) -> None:
    with time_machine.travel(LATER, tick=False) as clock:
        rule = forbid([payer], [approver], owner=sam)
        give(ada, payer)
        clock.shift(HOUR)
        later = give(ada, approver)
        give(sam, payer)
        clock.shift(HOUR)

        (conflict,) = found()

    assert (conflict.rule_id, conflict.person_id) == (rule.pk, ada.pk)
    assert conflict.since == later.starts_at
    assert set(conflict.entitlement_ids) == {payer.pk, approver.pk}
    assert conflict.excepted_until is None


def test_who_holds_more_than_a_limit_is_found_since_the_one_too_many(
    ada: Person, sam: Person, payer: Entitlement, approver: Entitlement, analyst: Entitlement
) -> None:
    with time_machine.travel(LATER, tick=False) as clock:
        forbid([payer, approver, analyst], at_most=2, owner=sam)
        give(ada, payer)
        give(ada, payer)
        give(ada, approver)
        assert found() == []
        clock.shift(HOUR)
        third = give(ada, analyst)

        (conflict,) = found()

    assert conflict.since == third.starts_at


def test_what_was_only_seen_counts_too(ada: Person, sam: Person, payer: Entitlement, approver: Entitlement) -> None:
    forbid([payer], [approver], owner=sam)
    give(ada, payer)
    holding = seen(ada, approver)

    (conflict,) = found()
    assert set(conflict.entitlement_ids) == {payer.pk, approver.pk}

    holding.gone_at = now()
    holding.save(update_fields=["gone_at"])
    assert found() == []


def test_a_conflict_ends_to_the_second_when_one_grant_does(
    ada: Person, sam: Person, payer: Entitlement, approver: Entitlement
) -> None:
    with time_machine.travel(LATER, tick=False) as clock:
        forbid([payer], [approver], owner=sam)
        give(ada, payer)
        give(ada, approver, lasts=HOUR)
        clock.shift(HOUR - timedelta(seconds=1))
        assert len(found()) == 1
        clock.shift(timedelta(seconds=1))
        assert found() == []


def test_an_exception_is_told_with_its_end_and_only_while_it_runs(
    ada: Person, sam: Person, payer: Entitlement, approver: Entitlement
) -> None:
    with time_machine.travel(LATER, tick=False) as clock:
        rule = forbid([payer], [approver], owner=sam)
        give(ada, payer)
        give(ada, approver)
        exception = exempt(rule, ada, by=sam, lasts=timedelta(days=1))

        (conflict,) = found()
        assert conflict.excepted_until == exception.ends_at
        assert conflicts.totals(rules(), at=now()) == {rule.pk: Total(0, 1)}

        clock.shift(timedelta(days=1))
        assert found()[0].excepted_until is None
        assert conflicts.totals(rules(), at=now()) == {rule.pk: Total(1, 0)}


def test_an_exception_that_was_ended_counts_no_more(
    ada: Person, sam: Person, payer: Entitlement, approver: Entitlement
) -> None:
    rule = forbid([payer], [approver], owner=sam)
    give(ada, payer)
    give(ada, approver)
    exception = exempt(rule, ada, by=sam)

    sod.end_sod_exception(exception, ended_by=sam, actor=acting(sam))

    assert found()[0].excepted_until is None


def test_leavers_are_not_counted(ada: Person, sam: Person, payer: Entitlement, approver: Entitlement) -> None:
    forbid([payer], [approver], owner=sam)
    seen(ada, payer)
    seen(ada, approver)
    assert len(found()) == 1

    with transaction.atomic():
        lifecycle.leave(locked_person(ada.scim_id), actor=TESTING)

    assert found() == []


def test_an_owner_counts_only_conflicts_with_a_role_in_their_applications(
    ada: Person, linus: Person, sam: Person, payer: Entitlement, approver: Entitlement, analyst: Entitlement
) -> None:
    rule = forbid([payer, analyst], [approver], owner=sam)
    other = forbid([payer], [analyst], owner=sam, name="Within")
    for role in (payer, analyst, approver):
        give(ada, role)

    owned = [approver.application_id]
    assert conflicts.totals(rules(), at=now(), application_ids=owned) == {rule.pk: Total(1), other.pk: Total(0)}


def test_pages_go_on_by_name_both_ways_and_miss_nobody(sam: Person, payer: Entitlement, approver: Entitlement) -> None:
    forbid([payer], [approver], owner=sam)
    people = [hire(f"P{letter} Same") for letter in "CABED"]
    for person in people:
        give(person, payer)
        give(person, approver)
    (rule,) = rules()

    first = conflicts.page_of(rule, at=now(), size=2)
    second = conflicts.page_of(rule, at=now(), size=2, after=first.next)
    third = conflicts.page_of(rule, at=now(), size=2, after=second.next)
    again = conflicts.page_of(rule, at=now(), size=2, before=second.back)

    names = {person.pk: person.display_name[1] for person in people}
    assert [[names[one.person_id] for one in page.conflicts] for page in (first, second, third, again)] == [
        ["A", "B"],
        ["C", "D"],
        ["E"],
        ["A", "B"],
    ]
    assert (first.back, third.next, again.back) == (None, None, None)


def test_a_draft_is_counted_without_being_saved(
    ada: Person, sam: Person, payer: Entitlement, approver: Entitlement
) -> None:
    give(ada, payer)
    give(ada, approver)
    draft = DutyRule(0, 0, "", "Draft", "", 3, True, frozenset({payer.pk}), frozenset({approver.pk}))

    assert conflicts.total_of(draft, at=now()) == Total(1)
    assert conflicts.total_of(replace(draft, second=frozenset(), at_most=1), at=now()) == Total(0)


def test_all_rules_are_counted_by_one_statement(
    sam: Person, payer: Entitlement, approver: Entitlement, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(3):
        forbid([payer], [approver], owner=sam, name=f"Rule {number}")
    known = rules()

    with django_assert_num_queries(1):
        assert set(conflicts.totals(known, at=now()).values()) == {Total()}


@pytest.mark.parametrize("seed", range(6))
def test_sets_agree_with_the_policy_looking_at_each_person(seed: int, sam: Person, snowflake: Application) -> None:
    chance = random.Random(seed)
    roles = [add_role(snowflake, f"Role {number}") for number in range(6)]
    people = [hire(f"N{number} Name") for number in range(8)]
    for number in range(4):
        first, second = roles[:3], roles[3:]
        if chance.random() < 0.5:
            forbid(chance.sample(roles, 4), at_most=chance.randint(1, 3), owner=sam, name=f"Rule {number}")
        else:
            pair = chance.sample(first, 2), chance.sample(second, 2)
            forbid(*pair, owner=sam, name=f"Rule {number}")
    with time_machine.travel(LATER, tick=False):
        for person in people:
            for role in chance.sample(roles, 4):
                if chance.random() < 0.3:
                    seen(person, role)
                else:
                    give(person, role, starts_in=chance.randint(-1, 1) * HOUR, lasts=chance.choice([HOUR, 3 * HOUR]))
        slugs = {rule.slug: rule.rule_id for rule in rules()}
        by_set = {(slugs[one.slug], person.pk) for person in people for one in conflicts.of_person(person.pk, at=now())}
        counted = conflicts.totals(rules(), at=now())

        known = duties.known_about([person.pk for person in people], sod_rules_in_force(now()), at=now())
        by_person = set()
        for person in people:
            held = [one.duty for one in known.held.get(person.pk, ()) if one.duty.covers(now())]
            for one in held:
                asked = Duty(one.entitlement_id, one.name, now(), now() + timedelta(microseconds=1))
                by_person |= {(each.rule_id, person.pk) for each in conflicts_between(known.rules, asked, held)}

    assert by_set == by_person
    assert sum(total.open for total in counted.values()) == len(by_set)


def test_a_person_s_conflicts_come_with_what_is_held_back_from_them(
    ada: Person, sam: Person, payer: Entitlement, approver: Entitlement, analyst: Entitlement
) -> None:
    rule = forbid([payer], [approver], owner=sam)
    forbid([payer], [analyst], owner=sam, name="Other")
    give(ada, payer)
    give(ada, approver)
    exception = exempt(rule, ada, by=sam)
    birthright_rules.save_birthright_rule("Engineers", 'department eq "Engineering"', [analyst], actor=TESTING)
    birthright.apply([ada.pk], at=now(), actor=TESTING)

    broken, held_back = conflicts.of_person(ada.pk, at=now())

    assert (broken.slug, broken.excepted_until, broken.severity) == (rule.slug, exception.ends_at, 3)
    assert set(broken.names) == {"Payer in Snowflake", "Approver in Tally"}
    assert set(broken.application_ids) == {payer.application_id, approver.application_id}
    assert (held_back.is_withheld, held_back.rule_name) == (True, "Engineers")
    assert list(held_back.names) == ["Analyst in Snowflake"]
    assert conflicts.of_person(sam.pk, at=now()) == []
