"""Changing a birthright rule: what the preview says is what happens, in batches, wherever a worker is killed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import transaction

from governance.access import giving, grants, queries, rule_runs
from governance.access.birthright_preview import Preview, named_page, preview
from governance.access.models import Grant, RuleRun
from governance.catalog import sod
from governance.catalog.models import Application, BirthrightRule, Entitlement, SodEffect
from governance.catalog.rules import RuleTerms
from governance.core.clock import now
from governance.identity.models import Person
from governance.ledger.models import Pending
from tests.cast import TESTING, add_role, hire, move

pytestmark = pytest.mark.django_db

ENGINEERS = 'department eq "Engineering"'
WEEK = timedelta(days=7)
NOON = datetime(2027, 3, 2, 12, tzinfo=UTC)


def terms(name: str, condition: str, *roles: Entitlement, **said: Any) -> RuleTerms:
    return RuleTerms(name, condition, roles, **said)


def save(said: RuleTerms, slug: str = "") -> BirthrightRule:
    rule = rule_runs.change_rule(said, slug=slug, actor=TESTING).rule
    rule_runs.work()
    return rule


def held_by(person: Person) -> set[str]:
    return {grant.entitlement.name for grant in queries.access_of(person, at=now())}


def names(said: Preview, kind: str) -> list[str]:
    return [one.name for one in said.of(kind).named]


@pytest.fixture
def admin(snowflake: Application) -> Entitlement:
    return add_role(snowflake, "Admin")


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule_runs, "BATCH", 2)


def test_saving_a_rule_gives_to_everybody_it_applies_to(ada: Person, mallory: Person, analyst: Entitlement) -> None:
    save(terms("Engineers", ENGINEERS, analyst))

    assert (held_by(ada), held_by(mallory)) == ({"Analyst"}, set())
    run = RuleRun.objects.get()
    assert (run.total, run.done, run.started, run.people) == (2, 2, 2, [])
    assert run.finished_at is not None


def test_what_a_run_did_is_recorded_under_the_act_that_saved_the_rule(ada: Person, analyst: Entitlement) -> None:
    save(terms("Engineers", ENGINEERS, analyst))

    said = {entry.body["event"]: entry.body for entry in Pending.objects.order_by("id")}
    assert said["rule.applied"]["data"]["started"] == 2
    assert (
        said["rule.applied"]["correlation"]
        == said["grant.started"]["correlation"]
        == said["rule.changed"]["correlation"]
    )


def test_retiring_a_rule_takes_what_only_it_gave(ada: Person, grace: Person, analyst: Entitlement) -> None:
    rule = save(terms("Engineers", ENGINEERS, analyst))
    save(terms("Ada", 'userName sw "ada@"', analyst))

    rule_runs.retire_rule(rule, actor=TESTING)
    rule_runs.work()

    assert (held_by(ada), held_by(grace)) == ({"Analyst"}, set())


def test_what_a_rule_no_longer_keeps_away_comes_by_the_other_rules(ada: Person, analyst: Entitlement) -> None:
    save(terms("Engineers", ENGINEERS, analyst))
    bar = save(terms("Nobody", "active eq true", analyst, effect="keep_away"))
    assert held_by(ada) == set()

    rule_runs.retire_rule(bar, actor=TESTING)
    rule_runs.work()

    assert held_by(ada) == {"Analyst"}


def test_a_planned_version_is_applied_when_it_begins(ada: Person, analyst: Entitlement) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        save(terms("Engineers", ENGINEERS, analyst, starts_at=NOON + WEEK))
        assert held_by(ada) == set()

        clock.shift(WEEK + rule_runs.CLOCKS_DIFFER)
        rule_runs.work()

        assert held_by(ada) == {"Analyst"}


def test_a_run_goes_on_where_it_was_killed(
    ada: Person, mallory: Person, analyst: Entitlement, small_batches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [ada, mallory, *(hire(f"Person{number} Crew") for number in range(5))]
    rule_runs.change_rule(terms("Everybody", "active eq true", analyst), actor=TESTING)
    real, batches = giving.give, iter(range(10))

    def killed(*args: Any, **known: Any) -> Any:
        done = real(*args, **known)
        if next(batches) == 1:
            raise SystemExit
        return done

    monkeypatch.setattr(giving, "give", killed)
    with pytest.raises(SystemExit):
        rule_runs.work()
    killed_at = RuleRun.objects.get()
    rule_runs.work()

    assert (killed_at.done, killed_at.started, Grant.objects.filter(created_at__isnull=False).count()) == (2, 2, 9)
    assert all(held_by(one) == {"Analyst"} for one in people)
    run = RuleRun.objects.get()
    # The two in the cast's hierarchy beside the people above: her manager and the application's owner.
    assert (run.total, run.done, run.started) == (9, 9, 9)


def test_a_run_that_is_done_twice_does_nothing_twice(ada: Person, analyst: Entitlement) -> None:
    save(terms("Engineers", ENGINEERS, analyst))
    RuleRun.objects.update(finished_at=None, listed_at=None, total=0, done=0)

    rule_runs.work()

    assert Grant.objects.count() == 2


def test_who_moves_while_a_run_waits_is_judged_by_the_new_version_at_once(ada: Person, analyst: Entitlement) -> None:
    rule_runs.change_rule(terms("Finance", 'department eq "Finance"', analyst), actor=TESTING)

    move(ada, department="Finance")
    assert held_by(ada) == {"Analyst"}

    rule_runs.work()
    assert Grant.objects.count() == 1


def test_the_preview_names_whom_a_rule_adds_to_and_takes_from(
    ada: Person, grace: Person, mallory: Person, analyst: Entitlement
) -> None:
    rule = save(terms("Engineers", ENGINEERS, analyst))

    said = preview(terms("Engineers", 'userName sw "ada@" or department eq "Marketing"', analyst), rule, at=now())

    assert (said.applies_to, names(said, "adds"), names(said, "takes")) == (2, ["Mallory Grey"], ["Grace Hopper"])
    assert (said.adds.people, said.takes.people, said.unchanged.people) == (1, 1, 0)


def test_the_preview_tells_who_keeps_a_role_for_the_grace_and_until_when(ada: Person, analyst: Entitlement) -> None:
    with time_machine.travel(NOON, tick=False):
        rule = save(terms("Engineers", ENGINEERS, analyst))

        said = preview(terms("Engineers", "active eq false", analyst, grace=WEEK), rule, at=now())

        assert (names(said, "keeps"), said.kept_until) == (["Ada Lovelace", "Grace Hopper"], NOON + WEEK)
        assert said.takes.people == 0


@pytest.mark.parametrize("by", ["rule", "grant"])
def test_the_preview_does_not_add_or_take_what_something_else_gives(by: str, ada: Person, analyst: Entitlement) -> None:
    if by == "rule":
        save(terms("Ada", 'userName sw "ada@"', analyst))
    else:
        with transaction.atomic():
            manual = grants.NewGrant(ada.pk, analyst.pk, analyst.application_id, "manual", now())
            grants.start_many([manual], at=now(), actor=TESTING)

    said = preview(terms("Engineers", ENGINEERS, analyst), None, at=now())
    assert (names(said, "adds"), names(said, "unchanged")) == (["Grace Hopper"], ["Ada Lovelace"])

    rule = save(terms("Engineers", ENGINEERS, analyst))
    said = preview(None, rule, at=now())
    assert (names(said, "takes"), names(said, "unchanged")) == (["Grace Hopper"], ["Ada Lovelace"])


def test_the_preview_tells_what_rules_about_duties_hold_back(
    ada: Person, grace: Person, sam: Person, analyst: Entitlement, admin: Entitlement
) -> None:
    pair = sod.SodTerms("Pair", "They could.", [analyst], sam, [admin], effect=SodEffect.BLOCK)
    sod.save_sod_rule(pair, actor=TESTING)
    save(terms("Ada", 'userName sw "ada@"', analyst))

    said = preview(terms("Engineers", ENGINEERS, admin), None, at=now())

    assert (names(said, "adds"), names(said, "held_back")) == (["Grace Hopper"], ["Ada Lovelace"])


def test_the_digest_changes_with_the_people_a_rule_affects(ada: Person, analyst: Entitlement) -> None:
    said = terms("Engineers", ENGINEERS, analyst)
    before = preview(said, None, at=now()).digest
    assert preview(said, None, at=now()).digest == before

    hire("Alan Kay")

    assert preview(said, None, at=now()).digest != before


def test_everybody_a_preview_counts_can_be_paged_through(analyst: Entitlement) -> None:
    for number in range(7):
        hire(f"Person{number} Crew")
    hire("Person0 Crew", user_name="another@halden.example", external_id="another")
    said, found, after = terms("Engineers", ENGINEERS, analyst), [], None

    while True:
        page = named_page(said, None, "adds", after=after, size=3, at=now())
        found += [one.person_id for one in page.rows]
        after = page.next
        if after is None:
            break

    everybody = named_page(said, None, "adds", after=None, size=None, at=now())
    assert found == [one.person_id for one in everybody.rows]
    assert len(found) == len(set(found)) == 8
