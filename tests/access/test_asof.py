"""Who could reach what at an instant, as it was known at another: compared with a naive reading of the revisions."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from governance.access import asof, grants
from governance.access.asof import Asked
from governance.access.models import FormerBelief, Grant, GrantCause, GrantRevision
from governance.access.sweep import sweep
from governance.catalog import actions as catalog
from governance.catalog.models import Application, Entitlement, EntitlementRevision
from governance.core.clock import OPEN_END, is_open_ended, now
from governance.identity.models import Person, PersonRevision
from governance.lifecycle import actions as lifecycle
from tests import cast
from tests.cast import TESTING, acting

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MOMENT = timedelta(microseconds=1)


@pytest.fixture
def noon() -> object:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def give(person: Person, role: Entitlement, starts_at: datetime = NOON, ends_at: datetime = OPEN_END) -> Grant:
    new = grants.NewGrant(person.pk, role.pk, role.application_id, GrantCause.MANUAL, starts_at, ends_at)
    with transaction.atomic():
        return grants.start_many([new], at=now(), actor=TESTING)[0]


def classify(role: Entitlement, *data: str) -> None:
    role.refresh_from_db()
    catalog.change_entitlement(
        role, role.name, sentence=role.sentence, risk=role.risk, data_classes=data, policy=role.policy, actor=TESTING
    )


def reached(at: datetime, known_at: datetime | None = None, **about: Any) -> list[tuple[str, str]]:
    """Return person and role of every reason, by page."""
    asked = Asked(at, known_at or now(), is_known_now=known_at is None, **about)
    return [(one.person, one.role.name) for one in asof.everything(asked, asof.roles_then(asked))]


@pytest.mark.parametrize(
    ("at", "expected"),
    [(NOON - MOMENT, []), (NOON, ["Ada"]), (NOON + HOUR - MOMENT, ["Ada"]), (NOON + HOUR, [])],
    ids=["before", "at the start", "just before the end", "at the end"],
)
@pytest.mark.usefixtures("noon")
def test_intervals_are_half_open(at: datetime, expected: list[str], ada: Person, analyst: Entitlement) -> None:
    give(ada, analyst, NOON, NOON + HOUR)

    found = reached(at, entitlement_id=analyst.pk)

    assert [name.split()[0] for name, _ in found] == expected


def test_what_was_shortened_later_was_believed_to_last(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    grant = give(ada, analyst, NOON, NOON + 4 * HOUR)
    noon.shift(HOUR)
    grants.shorten(grant, ends_at=NOON + 2 * HOUR, actor=TESTING)

    known = [
        len(reached(NOON + 3 * HOUR, known_at, entitlement_id=analyst.pk))
        for known_at in (NOON - MOMENT, NOON, NOON + HOUR - MOMENT, NOON + HOUR)
    ]

    assert known == [0, 1, 1, 0]


def test_each_reason_is_a_row_and_a_person_counts_once(
    noon: object, ada: Person, grace: Person, snowflake: Application, analyst: Entitlement
) -> None:
    admin = cast.add_role(snowflake, "Admin")
    for role in (analyst, analyst, admin):
        give(ada, role)
    give(grace, analyst)
    asked = Asked(NOON, NOON, application_id=snowflake.pk)

    totals = asof.totals(asked, asof.roles_then(asked))

    assert (totals.reasons, totals.people) == (4, 2)
    assert [(one.role.name, one.reasons, one.people) for one in totals.by_role] == [("Analyst", 3, 2), ("Admin", 1, 1)]


def test_a_class_of_data_is_what_the_role_said_at_that_time(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    give(ada, analyst)
    noon.shift(HOUR)
    classify(analyst, "phi")
    noon.shift(HOUR)
    classify(analyst)
    noon.shift(HOUR)

    found = [
        len(reached(NOON + hours * HOUR, known and NOON + known * HOUR, data_class="phi"))
        for hours, known in [(0, None), (1, None), (2, None), (1, 0.5), (1, 1), (2, 1.5)]
    ]

    assert found == [0, 1, 0, 0, 1, 1]


def test_names_and_departments_are_those_of_that_time(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    give(ada, analyst)
    noon.shift(HOUR)
    cast.move(ada, display_name="Ada King", department="Finance")
    asked = Asked(NOON, now(), is_known_now=True, entitlement_id=analyst.pk)
    later = replace(asked, at=now())

    said = [
        (one.person, one.department) for each in (asked, later) for one in asof.everything(each, asof.roles_then(each))
    ]

    assert said == [("Ada Lovelace", "Engineering"), ("Ada King", "Finance")]


def test_a_leaver_had_access_until_they_left(noon: time_machine.Traveller, ada: Person, analyst: Entitlement) -> None:
    give(ada, analyst)
    noon.shift(HOUR)
    with transaction.atomic():
        lifecycle.leave(Person.objects.select_for_update().get(pk=ada.pk), actor=TESTING)

    found = [len(reached(at, entitlement_id=analyst.pk)) for at in (NOON, NOON + HOUR - MOMENT, NOON + HOUR)]

    assert found == [1, 1, 0]
    assert reached(NOON + HOUR, NOON, entitlement_id=analyst.pk), "at noon nobody knew that she would leave"


def test_only_applications_within_reach_are_answered_about(
    noon: object, ada: Person, snowflake: Application, analyst: Entitlement
) -> None:
    other = cast.add_role(cast.add_application("Vault"), "Reader", data_classes=["phi"])
    give(ada, other)
    classify(analyst, "phi")
    give(ada, analyst)

    found = reached(NOON, data_class="phi", applications=[snowflake.pk])

    assert found == [("Ada Lovelace", "Analyst")]


def test_an_owner_of_nothing_reaches_nothing(noon: object, ada: Person, analyst: Entitlement) -> None:
    give(ada, analyst)

    assert reached(NOON, person_id=ada.pk, applications=[]) == []


@pytest.mark.parametrize("few", [0, 10_000], ids=["walking through people", "finding all reasons first"])
@pytest.mark.parametrize("is_past_knowledge", [False, True], ids=["known now", "known then"])
def test_pages_by_key_meet_every_reason_once_in_both_directions(
    noon: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
    few: int,
    is_past_knowledge: bool,
    analyst: Entitlement,
) -> None:
    monkeypatch.setattr(asof, "FEW_PEOPLE", few)
    people = [cast.hire(f"Person{number % 3} Same", user_name=f"p{number}@halden.example") for number in range(7)]
    given = [give(person, analyst, NOON, NOON + 4 * HOUR) for person in people for _ in range(2)]
    noon.shift(HOUR)
    for grant in given[::3]:
        grants.shorten(grant, ends_at=NOON + 2 * HOUR, actor=TESTING)
    asked = Asked(
        NOON + 3 * HOUR if is_past_knowledge else NOON,
        NOON if is_past_knowledge else now(),
        is_known_now=not is_past_knowledge,
        entitlement_id=analyst.pk,
    )
    roles = asof.roles_then(asked)

    forwards = [asof.page(asked, roles, people=7, limit=4)]
    while (following := forwards[-1].next) is not None:
        forwards.append(asof.page(asked, roles, people=7, after=following, limit=4))
    backwards = [forwards[-1]]
    while (back := backwards[-1].back) is not None:
        backwards.append(asof.page(asked, roles, people=7, before=back, limit=4))

    found = [one for page in forwards for one in page.rows]
    assert sorted(one.grant_id for one in found) == sorted(grant.pk for grant in given)
    assert [one.person for one in found] == sorted(one.person for one in found)
    assert [[one.grant_id for one in page.rows] for page in backwards] == [
        [one.grant_id for one in page.rows] for page in reversed(forwards)
    ]


def test_a_question_costs_as_many_statements_for_many_as_for_one(
    noon: object, analyst: Entitlement, django_assert_num_queries: Any
) -> None:
    for number in range(6):
        give(cast.hire(f"Person{number} Test"), analyst)
    asked = Asked(NOON, NOON, entitlement_id=analyst.pk)

    with django_assert_num_queries(4):
        roles = asof.roles_then(asked)
        totals = asof.totals(asked, roles)
        assert len(asof.page(asked, roles, people=totals.people).rows) == 6


def test_a_first_revision_leaves_no_former_belief(noon: object, ada: Person, analyst: Entitlement) -> None:
    give(ada, analyst)

    assert not FormerBelief.objects.exists()


@pytest.mark.parametrize("change", ["UPDATE", "DELETE", "TRUNCATE"])
@pytest.mark.parametrize("table", ["access_formerbelief", "catalog_entitlementrevision", "catalog_applicationrevision"])
def test_history_is_insert_only(
    noon: time_machine.Traveller, table: str, change: str, ada: Person, analyst: Entitlement
) -> None:
    grant = give(ada, analyst, NOON, NOON + 4 * HOUR)
    noon.shift(HOUR)
    grants.shorten(grant, ends_at=NOON + 2 * HOUR, actor=TESTING)
    statements = {
        "UPDATE": f"UPDATE {table} SET number = 9",
        "DELETE": f"DELETE FROM {table}",
        "TRUNCATE": f"TRUNCATE {table}",
    }

    with pytest.raises(Exception, match="insert-only"), transaction.atomic():
        _run(statements[change])


def test_a_revision_of_no_grant_is_refused_and_not_left_out(noon: object, ada: Person, analyst: Entitlement) -> None:
    grant = give(ada, analyst)
    said = GrantRevision.objects.filter(grant=grant).values().get() | {"id": None, "grant_id": grant.pk + 1_000_000}

    with pytest.raises(IntegrityError), transaction.atomic():
        GrantRevision.objects.bulk_create([GrantRevision(**said | {"number": number}) for number in (1, 2)])


def _run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(sql)


#: What may happen in an hour: to which grant or person, and how.
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["give", "give", "extend", "shorten", "revoke", "return", "leave", "back", "move", "classify"]),
        st.integers(0, 5),
        st.integers(1, 6),
    ),
    min_size=1,
    max_size=14,
)
DATA = ((), ("phi",), ("pii",), ("phi", "pii"))


class Histories(TestCase):
    """Any question about any history made by the real actions is answered as a naive reading of it would."""

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @example(steps=[("give", 0, 4), ("shorten", 0, 1), ("classify", 0, 1)], questions=[(3, 0), (3, 2), (1, 9)])
    @example(steps=[("give", 0, 6), ("leave", 0, 1), ("back", 0, 1), ("give", 3, 2)], questions=[(4, 0), (4, 4)])
    @given(steps=STEPS, questions=st.lists(st.tuples(st.integers(-1, 18), st.integers(-1, 18)), min_size=3, max_size=5))
    def test_any_date_as_known_on_any_other(
        self, steps: list[tuple[str, int, int]], questions: list[tuple[int, int]]
    ) -> None:
        with time_machine.travel(NOON, tick=False) as clock:
            company = Company()
            for hour, step in enumerate(steps, 1):
                clock.move_to(NOON + hour * HOUR)
                company.act(*step)
                sweep()
            clock.move_to(NOON + 20 * HOUR)
            for at, known in questions:
                for nudge in (-MOMENT, timedelta(0)):
                    company.check(NOON + at * HOUR, NOON + known * HOUR + nudge)
                company.check(NOON + at * HOUR, now())


class Company:
    """Two people, three roles in two applications; what happened to them is what the actions made of it."""

    def __init__(self) -> None:
        self.people = [cast.hire("Ada Lovelace"), cast.hire("Grace Hopper")]
        self.applications = [cast.add_application("Snowflake"), cast.add_application("Vault")]
        self.roles = [
            cast.add_role(self.applications[0], "Analyst"),
            cast.add_role(self.applications[0], "Admin", data_classes=["phi"]),
            cast.add_role(self.applications[1], "Reader", data_classes=["pii"]),
        ]
        #: Kept beside the tables: when each role said what.
        self.said: dict[int, list[tuple[datetime, tuple[str, ...]]]] = {
            role.pk: [(NOON, tuple(role.data_classes))] for role in self.roles
        }
        self.grants: list[Grant] = []

    def act(self, what: str, number: int, length: int) -> None:
        """Do it, where it can be done."""
        person, role = self.people[number % 2], self.roles[number % 3]
        person.refresh_from_db()
        at = now()
        if what == "give" and person.is_active:
            end = OPEN_END if length == 6 else at + length * HOUR
            self.grants.append(give(person, role, at + (number % 2) * HOUR, end + HOUR if length < 6 else end))
        elif what == "classify":
            classify(role, *DATA[length % 4])
            self.said[role.pk].append((at, DATA[length % 4]))
        elif what == "move" and person.is_active:
            cast.move(person, display_name=f"Person {at:%H}", department=f"Department {at:%H}")
        elif what == "leave" and person.is_active:
            with transaction.atomic():
                locked = Person.objects.select_for_update().get(pk=person.pk)
                lifecycle.leave(locked, effective_at=at - (length % 3) * HOUR, actor=TESTING)
        elif what == "back" and not person.is_active:
            cast.move(person, is_active=True)
        elif self.grants:
            self._change(what, Grant.objects.get(pk=self.grants[number % len(self.grants)].pk), length)

    def _change(self, what: str, grant: Grant, length: int) -> None:
        at = now()
        if grant.ends_at <= at:
            return
        if what == "extend" and not is_open_ended(grant.ends_at):
            grants.extend(grant, ends_at=grant.ends_at + length * HOUR, actor=TESTING)
        elif what == "shorten" and grant.ends_at > at + HOUR:
            grants.shorten(grant, ends_at=at + HOUR / 2, actor=TESTING)
        elif what == "revoke":
            grants.revoke(grant, actor=TESTING)
        elif what == "return":
            grants.give_back(grant, person=grant.person, actor=acting(grant.person))

    def check(self, at: datetime, known_at: datetime) -> None:
        """Compare every kind of question with what the revisions say one by one."""
        truth = {
            grant.pk: known
            for grant in Grant.objects.all()
            if (known := self._believed(grant, known_at)) and known[0] <= at < known[1]
        }
        by_role = {role.pk: self._reached(role, at, known_at) for role in self.roles}
        about = {grant.pk: grant for grant in Grant.objects.filter(pk__in=truth)}
        abouts: list[tuple[dict[str, Any], set[int]]] = [
            ({"entitlement_id": role.pk}, {pk for pk in truth if about[pk].entitlement_id == role.pk})
            for role in self.roles
        ]
        abouts += [
            ({"application_id": one.pk}, {pk for pk in truth if about[pk].application_id == one.pk})
            for one in self.applications
        ]
        abouts += [
            ({"person_id": one.pk}, {pk for pk in truth if about[pk].person_id == one.pk}) for one in self.people
        ]
        abouts += [
            ({"data_class": data}, {pk for pk in truth if data in by_role[about[pk].entitlement_id]})
            for data in ("phi", "pii")
        ]
        for question, expected in abouts:
            asked = Asked(at, known_at, is_known_now=known_at == now(), **question)
            self._compare(asked, expected, truth, about)

    def _compare(
        self, asked: Asked, expected: set[int], truth: dict[int, tuple[datetime, datetime]], about: dict[int, Grant]
    ) -> None:
        roles = asof.roles_then(asked)
        found = list(asof.everything(asked, roles))
        assert Counter(one.grant_id for one in found) == Counter(expected), asked
        for one in found:
            end = truth[one.grant_id][1]
            assert (one.starts_at, one.ends_at or OPEN_END) == (truth[one.grant_id][0], end)
            assert (one.person, one.department) == self._named(about[one.grant_id].person_id, asked)
        if asked.person_id is None:
            totals = asof.totals(asked, roles)
            people = {about[pk].person_id for pk in expected}
            assert (totals.reasons, totals.people) == (len(expected), len(people))

    @staticmethod
    def _believed(grant: Grant, known_at: datetime) -> tuple[datetime, datetime] | None:
        known = [one for one in grant.revisions.order_by("number") if one.recorded_at <= known_at]
        return (known[-1].starts_at, known[-1].ends_at) if known else None

    def _reached(self, role: Entitlement, at: datetime, known_at: datetime) -> tuple[str, ...]:
        known = [said for since, said in self.said[role.pk] if since <= known_at and (since <= at or since == NOON)]
        return known[-1] if known else ()

    @staticmethod
    def _named(person_id: int, asked: Asked) -> tuple[str, str]:
        known = PersonRevision.objects.filter(person_id=person_id, recorded_at__lte=asked.known_at).order_by("number")
        best = [one for one in known if one.effective_at <= asked.at or one.number == 1][-1]
        return best.display_name, best.department


def test_what_a_role_says_is_revised_only_when_it_changes(noon: object, analyst: Entitlement) -> None:
    classify(analyst, "phi")
    classify(analyst, "phi")

    said = EntitlementRevision.objects.filter(entitlement=analyst).order_by("number")

    assert [(one.number, one.change, one.data_classes) for one in said] == [(1, "added", []), (2, "changed", ["phi"])]
