"""Requests decided again under a draft, from what each of them kept."""

from dataclasses import replace
from datetime import timedelta

import pytest

from governance.access import requests
from governance.access.models import AccessRequest
from governance.access.replay import REPLAYED, Replay, replay
from governance.catalog.models import Application, Entitlement
from governance.catalog.policy_terms import PolicyTerms
from governance.catalog.stages import Approvers, Stage
from governance.core.clock import now
from governance.identity.models import Person
from tests.cast import acting, add_role, ask, move

pytestmark = pytest.mark.django_db

TERMS = PolicyTerms(stages=("owner",))


@pytest.fixture
def role(snowflake: Application) -> Entitlement:
    return add_role(snowflake, "Analyst", stages=("owner",))


def submit(person: Person, role: Entitlement, **known: object) -> AccessRequest:
    return requests.submit(person, role, ask(**known), actor=acting(person))  # type: ignore[arg-type]


def under(draft: PolicyTerms, role: Entitlement) -> Replay:
    return replay(draft, role.policy.slug, at=now())


@pytest.mark.parametrize(
    ("change", "expected", "words"),
    [
        ({}, {}, ""),
        ({"max_duration": timedelta(hours=4)}, {}, ""),
        ({"max_duration": timedelta(hours=1)}, {"refused": 1}, "Refused: 2 hours is too long."),
        ({"requires_ticket": True}, {"refused": 1}, "Refused: This access needs a ticket number."),
        ({"may_request": 'department eq "Data"'}, {"refused": 1}, "does not let Ada Lovelace ask"),
        ({"may_request": 'department eq "Engineering"'}, {}, ""),
        ({"auto_deny": 'userType eq "Employee"'}, {"declined": 1}, "Declined at once"),
        ({"stages": ()}, {"automatic": 1}, "Approved at once"),
        (
            {"auto_approve": 'department eq "Engineering"', "auto_approve_up_to": timedelta(hours=2)},
            {"automatic": 1},
            "Approved at once",
        ),
        ({"stages": ("manager", "owner")}, {"more": 1}, "2 answers needed"),
        ({"stages": (Stage(Approvers("group", group="g"), quorum=3),)}, {"more": 1}, "3 answers needed"),
        ({"needs_security_from": 1}, {"more": 1}, "2 answers needed"),
        ({"refused_from": 1}, {"refused": 1}, "Refused: The risk is"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_request_goes_as_the_draft_says(
    change: dict[str, object], expected: dict[str, int], words: str, ada: Person, role: Entitlement
) -> None:
    request = submit(ada, role)

    found = under(replace(TERMS, **change), role)

    assert (found.total, found.counts, found.unknown_count) == (1, expected, 0)
    assert [one.number for one in found.differences] == [request.number] * len(expected)
    assert all(words in one.after.words for one in found.differences)


def test_fewer_answers_are_told_apart_from_more(ada: Person, snowflake: Application) -> None:
    role = add_role(snowflake, "Deep", stages=("manager", "owner"))
    submit(ada, role)

    (one,) = under(TERMS, role).differences

    assert (one.change, one.before.words, one.after.words) == ("less", "2 answers needed", "1 answer needed")


def test_conditions_ask_the_profile_of_that_time(ada: Person, role: Entitlement) -> None:
    submit(ada, role)
    move(ada, department="Data")

    assert under(replace(TERMS, may_request='department eq "Engineering"'), role).counts == {}
    assert under(replace(TERMS, may_request='department eq "Data"'), role).counts == {"refused": 1}


def test_what_cannot_be_decided_again_is_counted_nowhere(ada: Person, grace: Person, role: Entitlement) -> None:
    first, second = submit(ada, role), submit(grace, role)
    kept = {**second.verdict, "facts": {"requester": {}}}
    AccessRequest.objects.filter(pk=second.pk).update(verdict=kept)

    strange = under(replace(TERMS, stages=()), role)
    by_group = under(replace(TERMS, may_request='groups.display eq "On call"'), role)

    assert (strange.total, strange.counts, strange.unknown_count) == (2, {"automatic": 1}, 1)
    assert [one.number for one in strange.unknown] == [second.number]
    assert (by_group.counts, by_group.unknown_count, by_group.same) == ({}, 2, 0)
    assert "groups.display" in by_group.unknown[-1].why
    assert {one.number for one in by_group.unknown} == {first.number, second.number}


def test_while_somebody_waits_the_latest_are_decided_again_and_the_rest_is_told(
    ada: Person, grace: Person, role: Entitlement
) -> None:
    submit(ada, role)
    latest = submit(grace, role)

    found = replay(replace(TERMS, stages=()), role.policy.slug, at=now(), most=1)

    assert (found.made, found.total, found.counts) == (2, 1, {"automatic": 1})
    assert [one.number for one in found.differences] == [latest.number]


def test_only_the_last_ninety_days_are_decided_again(ada: Person, role: Entitlement) -> None:
    request = submit(ada, role)
    AccessRequest.objects.filter(pk=request.pk).update(created_at=now() - REPLAYED - timedelta(hours=1))

    assert under(TERMS, role).total == 0
