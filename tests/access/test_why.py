"""Every access opens to its chain, which says only what is known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import transaction

from governance.access import deciding, grants, requests
from governance.access.models import Grant, GrantCause
from governance.access.sweep import sweep
from governance.access.why import Why, chained, why
from governance.catalog import rules
from governance.catalog.models import BirthrightRuleVersion, Entitlement
from governance.core.clock import OPEN_END, now
from governance.core.errors import NotFound
from governance.identity.models import Person
from governance.ledger.notes import Signer
from governance.ledger.sequencer import seal_pending
from governance.lifecycle import actions as lifecycle
from governance.provisioning.models import Account, Holding, Operation, OperationState, SyncRun
from tests import cast
from tests.cast import TESTING, acting

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def noon() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def give(person: Person, role: Entitlement, ends_at: datetime = OPEN_END, cause: str = GrantCause.MANUAL) -> Grant:
    new = grants.NewGrant(person.pk, role.pk, role.application_id, cause, now(), ends_at)
    with transaction.atomic():
        return grants.start_many([new], at=now(), actor=TESTING)[0]


def chain(grant: Grant) -> Why:
    return why(chained(grant.pk), at=now())


def by_rule(person: Person) -> Grant:
    return Grant.objects.get(person=person, cause=GrantCause.BIRTHRIGHT)


def test_a_rule_says_its_condition_and_what_the_person_said_then(
    noon: time_machine.Traveller, analyst: Entitlement
) -> None:
    rules.save_birthright_rule(
        "Analysts", 'department eq "Data" and userType ne "Contractor"', [analyst], actor=TESTING
    )
    ada = cast.hire("Ada Lovelace", department="Data")
    noon.shift(HOUR)
    cast.move(ada, department="Finance")

    matched = chain(by_rule(ada)).matched

    assert matched is not None
    assert (matched.name, matched.version, matched.profile) == ("Analysts", 1, 1)
    assert matched.words == "department is “Data” and type of person is not “Contractor”"
    assert [(one.name, one.value) for one in matched.values] == [
        ("department", "Data"),
        ("type of person", "Employee"),
    ]


@pytest.mark.parametrize(
    ("condition", "value"),
    [("active eq true", ("active", "true")), ('employeeNumber ne "7"', ("employee number", None))],
    ids=["kept", "not kept in the history"],
)
def test_what_was_not_kept_of_a_profile_is_said_as_unknown(
    noon: object, condition: str, value: tuple[str, str | None], analyst: Entitlement
) -> None:
    rules.save_birthright_rule("Everybody", condition, [analyst], actor=TESTING)
    ada = cast.hire("Ada Lovelace", employee_number="9")

    matched = chain(by_rule(ada)).matched

    assert matched is not None
    assert [(one.name, one.value) for one in matched.values] == [value]


def test_groups_are_those_of_that_time(noon: time_machine.Traveller, ada: Person, analyst: Entitlement) -> None:
    rules.save_birthright_rule("Crew", 'groups.display eq "Crew"', [analyst], actor=TESTING)
    crew = lifecycle.create_group("Crew", member_ids=[ada.pk], source="scim:test", actor=TESTING)
    grant = by_rule(ada)
    noon.shift(HOUR)
    lifecycle.replace_group(crew, "Crew", member_ids=[], actor=TESTING)

    matched = chain(grant).matched

    assert matched is not None
    assert [(one.name, one.value) for one in matched.values] == [("groups", "Crew")]


def test_a_request_says_who_said_yes_as_what_and_by_which_policy(
    noon: time_machine.Traveller, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    asked = requests.submit(ada, analyst, cast.ask(), actor=acting(ada))
    noon.shift(HOUR)
    deciding.approve(asked, approver=linus, duration=HOUR, actor=acting(linus))

    found = chain(asked.grants.get())

    (answer,) = found.answers
    assert (answer.by, answer.asked_as, answer.waited, answer.shortened_to) == (
        "Linus Berg", "application owner", HOUR, HOUR,
    )  # fmt: skip
    assert (answer.policy_slug, answer.policy_version) == ("standard", 1)
    assert [(one.number, one.change, one.ends_at) for one in found.changes] == [(1, "started", NOON + 2 * HOUR)]


def test_every_change_of_the_end_stands_with_who_made_it(
    noon: time_machine.Traveller, ada: Person, sam: Person, analyst: Entitlement
) -> None:
    grant = give(ada, analyst, NOON + 4 * HOUR)
    grants.extend(grant, ends_at=NOON + 6 * HOUR, actor=acting(sam))
    noon.shift(HOUR)
    grants.give_back(grant, person=ada, actor=acting(ada))

    assert [(one.change, one.by, one.ends_at) for one in chain(grant).changes] == [
        ("started", "Gatehouse, test", NOON + 4 * HOUR),
        ("extended", "Sam Okoro", NOON + 6 * HOUR),
        ("returned", "Ada Lovelace", NOON + HOUR),
    ]


def test_lateness_runs_to_the_read_back_and_is_unknown_before(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    grant = give(ada, analyst, NOON + HOUR)
    noon.shift(HOUR)
    sweep()
    removal = Operation.objects.filter(kind="take")
    removal.update(state=OperationState.DELIVERED, delivered_at=now())
    assert chain(grant).late is None

    removal.update(state=OperationState.VERIFIED, verified_at=now() + timedelta(seconds=7))

    assert chain(grant).late == timedelta(seconds=7)


def test_what_else_supports_the_access_is_named(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    first, second = give(ada, analyst, NOON + HOUR), give(ada, analyst, NOON + 3 * HOUR)
    noon.shift(HOUR)
    sweep()
    noon.shift(3 * HOUR)
    sweep()

    found = chain(first)

    assert found.grant.take_operation is None
    assert [one.pk for one in found.others] == [second.pk]
    assert chain(second).others == ()


@pytest.mark.parametrize("by_reading", [True, False], ids=["by a reading", "by the look after an order"])
def test_the_read_back_names_the_reading_when_there_was_one(
    noon: time_machine.Traveller, by_reading: bool, ada: Person, analyst: Entitlement
) -> None:
    grant = give(ada, analyst)
    application, at = analyst.application, now()
    account = Account.objects.create(
        application=application, target_id="a", user_name="ada", person=ada, first_seen_at=at, confirmed_at=at
    )
    Holding.objects.create(account=account, entitlement=analyst, first_seen_at=at, confirmed_at=at)
    begin = at if by_reading else at + HOUR
    run = SyncRun.objects.create(application=application, started_at=begin, finished_at=begin + HOUR, is_complete=True)

    seen = chain(grant).seen

    assert seen is not None
    assert (seen.account, seen.reading, seen.reading_is_complete) == ("ada", run.pk if by_reading else None, by_reading)


def test_what_was_gone_before_it_began_is_not_taken_for_it(noon: object, ada: Person, analyst: Entitlement) -> None:
    at = now()
    account = Account.objects.create(
        application=analyst.application, target_id="a", user_name="ada", person=ada, first_seen_at=at, confirmed_at=at
    )
    earlier = at - HOUR
    Holding.objects.create(
        account=account, entitlement=analyst, first_seen_at=earlier, confirmed_at=earlier, gone_at=earlier
    )

    assert chain(give(ada, analyst)).seen is None


def test_a_condition_that_can_no_longer_be_read_is_shown_as_it_was_written(
    noon: object, ada: Person, analyst: Entitlement
) -> None:
    version = rules.save_birthright_rule("Everybody", "active eq true", [analyst], actor=TESTING)
    odd = BirthrightRuleVersion.objects.create(
        rule=version.rule, number=2, effective_at=now(), created_at=now(), created_by_ref="test", condition="no filter"
    )
    grant = give(ada, analyst, cause=GrantCause.BIRTHRIGHT)
    Grant.objects.filter(pk=grant.pk).update(rule_version=odd)

    matched = chain(grant).matched

    assert matched is not None
    assert (matched.words, matched.values) == ("no filter", ())


def test_the_ledger_is_named_oldest_first_once_it_is_sealed(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    grant = give(ada, analyst)
    grants.revoke(grant, actor=TESTING)
    assert chain(grant).entries == ()

    seal_pending(signer=Signer.generate("example.com/why"))

    assert [entry.event for entry in chain(grant).entries][:1] == ["grant.started"]
    assert {"grant.ended"} <= {entry.event for entry in chain(grant).entries}


def test_there_is_no_chain_without_a_grant(db: None) -> None:
    with pytest.raises(NotFound):
        chained(1)


@pytest.mark.parametrize("times", [1, 6])
def test_a_chain_costs_a_fixed_number_of_statements(
    noon: time_machine.Traveller, times: int, analyst: Entitlement, django_assert_max_num_queries: Any
) -> None:
    rules.save_birthright_rule("Crew", 'title eq "Engineer"', [analyst], actor=TESTING)
    ada = cast.hire("Ada Lovelace", title="Engineer")
    for _ in range(times):
        give(ada, analyst, NOON + HOUR)
    grant = by_rule(ada)

    with django_assert_max_num_queries(7):
        assert len(chain(grant).others) == times
