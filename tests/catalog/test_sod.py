"""Rules about the separation of duties and exceptions from them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from governance.catalog import sod, sod_queries
from governance.catalog.models import Application, Entitlement, SodException, SodMember, SodRule, SodRuleVersion
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid, Refused
from governance.identity.models import Person
from governance.identity.queries import locked_person
from governance.ledger.models import Pending
from governance.lifecycle import actions as lifecycle
from tests import cast
from tests.cast import TESTING, acting

pytestmark = pytest.mark.django_db
BECAUSE = "She closes the quarter alone until the new clerk begins."


@pytest.fixture
def payer(snowflake: Application) -> Entitlement:
    return cast.add_role(snowflake, "Payer")


@pytest.fixture
def terms(sam: Person, analyst: Entitlement, payer: Entitlement) -> sod.SodTerms:
    return sod.SodTerms("Pay and analyse", "They could hide a payment.", [analyst], sam, second=[payer])


@pytest.fixture
def rule(terms: sod.SodTerms) -> SodRule:
    return sod.save_sod_rule(terms, actor=TESTING).rule


def except_(rule: SodRule, person: Person, by: Person, **said: Any) -> SodException:
    known = {"reason": BECAUSE, "owner": by, "ends_at": now() + timedelta(days=30), "granted_by": by} | said
    return sod.grant_sod_exception(rule, person, actor=acting(by), **known)


def events() -> list[str]:
    return [body["event"] for body in Pending.objects.order_by("pk").values_list("body", flat=True)]


def test_each_saving_is_a_version_and_the_latest_is_in_force(
    terms: sod.SodTerms, analyst: Entitlement, payer: Entitlement, rule: SodRule
) -> None:
    second = sod.save_sod_rule(
        replace(terms, name="At most one", second=[], first=[analyst, payer], at_most=1), slug=rule.slug, actor=TESTING
    )

    (found,) = sod_queries.sod_rules_in_force(now())
    assert (found.version_id, found.name, found.at_most) == (second.pk, "At most one", 1)
    assert (found.first, found.second) == ((analyst.pk, payer.pk), ())
    assert [one.number for one in rule.versions.order_by("number")] == [1, 2]
    assert SodRule.objects.get().name == "At most one"
    assert events().count("sod_rule.changed") == 2


def test_only_rules_that_speak_of_a_role_are_read_for_it(rule: SodRule, payer: Entitlement) -> None:
    other = cast.add_role(payer.application, "Reader")

    assert [one.slug for one in sod_queries.sod_rules_about([payer.pk], now())] == [rule.slug]
    assert sod_queries.sod_rules_about([other.pk], now()) == []


def test_the_ledger_names_the_owner_of_a_rule_by_reference_only(rule: SodRule, sam: Person) -> None:
    bodies = [str(body) for body in Pending.objects.values_list("body", flat=True) if "sod" in str(body)]

    assert any(str(sam.ref) in body for body in bodies)
    assert not any(sam.display_name in body for body in bodies)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"why": ""}, "why"),
        ({"why": "x" * 301}, "why"),
        ({"first": []}, "first"),
        ({"second": []}, "second"),
        ({"at_most": 1}, "second"),
        ({"second": [], "at_most": 1}, "at_most"),
        ({"second": [], "at_most": 0}, "at_most"),
        ({"severity": 5}, "severity"),
        ({"effect": "shout"}, "effect"),
    ],
)
def test_a_rule_that_says_nothing_or_nonsense_is_refused_by_name(
    terms: sod.SodTerms, change: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        sod.save_sod_rule(replace(terms, **change), actor=TESTING)

    assert field in refusal.value.fields
    assert not SodRule.objects.exists()


def test_a_role_cannot_conflict_with_itself(terms: sod.SodTerms) -> None:
    with pytest.raises(Invalid, match="stands in both sets"):
        sod.save_sod_rule(replace(terms, second=terms.first), actor=TESTING)


def test_a_leaver_cannot_answer_for_a_rule(terms: sod.SodTerms, ada: Person) -> None:
    with transaction.atomic():
        lifecycle.leave(locked_person(ada.scim_id), actor=TESTING)
    ada.refresh_from_db()

    with pytest.raises(Invalid, match="left and cannot answer"):
        sod.save_sod_rule(replace(terms, owner=ada), actor=TESTING)


def test_two_rules_do_not_share_a_name_and_a_retired_one_stays_so(terms: sod.SodTerms, rule: SodRule) -> None:
    with pytest.raises(Conflict, match="already"):
        sod.save_sod_rule(terms, actor=TESTING)

    sod.retire_sod_rule(rule, actor=TESTING)

    assert sod_queries.sod_rules_in_force(now()) == []
    with pytest.raises(Conflict, match="retired"):
        sod.save_sod_rule(terms, slug=rule.slug, actor=TESTING)
    with pytest.raises(Conflict, match="retired before"):
        sod.retire_sod_rule(rule, actor=TESTING)


@pytest.mark.parametrize("model", [SodRuleVersion, SodMember])
def test_what_a_version_said_cannot_be_changed(rule: SodRule, model: Any) -> None:
    with pytest.raises(IntegrityError, match="insert-only"), transaction.atomic():
        model.objects.all().delete() if model is SodMember else model.objects.update(why="Nothing.")


def test_an_exception_is_on_record_and_its_reason_only_as_a_commitment(rule: SodRule, ada: Person, sam: Person) -> None:
    exception = except_(rule, ada, sam)

    body = Pending.objects.order_by("-pk").values_list("body", flat=True)[0]
    assert body["event"] == "sod_exception.granted"
    assert {"kind": "person", "ref": str(ada.ref)} in body["subjects"]
    assert BECAUSE not in str(body)
    assert set(body["private"]) == {"reason"}
    sod.end_sod_exception(exception, ended_by=sam, actor=acting(sam))
    assert events()[-1] == "sod_exception.ended"
    with pytest.raises(Conflict, match="ended already"):
        sod.end_sod_exception(exception, ended_by=sam, actor=acting(sam))


def test_nobody_grants_an_exception_for_themselves(rule: SodRule, ada: Person, sam: Person) -> None:
    with pytest.raises(Refused, match="for themselves"):
        except_(rule, sam, sam, owner=ada)

    with pytest.raises(IntegrityError, match="sod_exception_not_granted_to_oneself"), transaction.atomic():
        SodException.objects.create(
            rule=rule,
            person=sam,
            reason=BECAUSE,
            granted_by=sam,
            owner=ada,
            starts_at=now(),
            ends_at=now() + timedelta(days=1),
        )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"reason": "Because."}, "reason"),
        ({"ends_at": timedelta(days=-1)}, "ends_at"),
        ({"ends_at": timedelta(days=400)}, "ends_at"),
        ({"owner": "ada"}, "owner"),
    ],
)
def test_an_exception_needs_a_reason_an_end_within_a_year_and_another_who_answers(
    rule: SodRule, ada: Person, sam: Person, change: dict[str, Any], field: str
) -> None:
    if "ends_at" in change:
        change = {"ends_at": now() + change["ends_at"]}
    if "owner" in change:
        change = {"owner": ada}

    with pytest.raises(Invalid) as refusal:
        except_(rule, ada, sam, **change)

    assert list(refusal.value.fields) == [field]


def test_a_running_exception_is_ended_before_there_is_another(rule: SodRule, ada: Person, sam: Person) -> None:
    first = except_(rule, ada, sam)

    with pytest.raises(Conflict, match="End it first"):
        except_(rule, ada, sam)

    sod.end_sod_exception(first, ended_by=sam, actor=acting(sam))
    assert except_(rule, ada, sam).pk != first.pk
