"""The matrix as data: what is wanted and what is observed, at an instant, within a reach."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from pytest_django import DjangoAssertNumQueries

from governance.access import grants
from governance.access.matrix import PAGE_ROWS, Question, everything, matrix
from governance.catalog.models import Application, Entitlement
from governance.core.clock import now
from governance.identity.models import Person
from governance.identity.profiles import Profile
from governance.lifecycle import actions as lifecycle
from tests import cast
from tests.web import stories
from tests.web.govern import world


def kinds_of(person: Person, **narrowed: object) -> set[str]:
    """Return the kinds of access in a person's row."""
    found = matrix(Question(at=now(), **narrowed))  # type: ignore[arg-type]
    rows = [row for row in found.people if row.ref == str(person.ref)]
    return {one.kind for row in rows for cell in row.access.values() for one in cell}


@pytest.mark.parametrize(("ends_in", "kind"), [(None, "standing"), (timedelta(hours=2), "temporary")],
                         ids=["without an end", "with an end"])  # fmt: skip
def test_a_grant_shows_as_what_it_is(ends_in: timedelta | None, kind: str, ada: Person, analyst: Entitlement) -> None:
    stories.give(ada, analyst, ends_in=ends_in)

    assert kinds_of(ada) == {kind}


def test_a_waiting_request_shows_until_it_is_answered(ada: Person, linus: Person, analyst: Entitlement) -> None:
    request = stories.submit(ada, analyst)
    assert kinds_of(ada) == {"pending"}

    stories.decline(request, linus)

    assert kinds_of(ada) == set()


def test_what_is_seen_without_a_grant_is_drift_and_with_one_it_is_not(ada: Person, analyst: Entitlement) -> None:
    world.holding(world.account(analyst.application, "ada", person=ada), analyst)
    assert kinds_of(ada) == {"drift"}

    stories.give(ada, analyst)

    assert kinds_of(ada) == {"temporary"}


def test_access_that_ended_is_not_shown_before_any_sweep(ada: Person, analyst: Entitlement) -> None:
    stories.give(ada, analyst, ends_in=timedelta(hours=1))

    with time_machine.travel(now() + timedelta(hours=1), tick=False):
        assert kinds_of(ada) == set()


def test_the_past_is_read_as_it_was(ada: Person, analyst: Entitlement) -> None:
    grant = stories.give(ada, analyst, ends_in=None)
    before = now()
    with time_machine.travel(now() + timedelta(days=3), tick=False):
        grants.revoke(grant, actor=cast.TESTING)
        moved = Profile(user_name=ada.user_name, display_name="Ada King", department="Finance", email=ada.email)
        lifecycle.update(Person.objects.select_for_update().get(pk=ada.pk), moved, actor=cast.TESTING)

        then = matrix(Question(at=before, is_past=True))
        today = matrix(Question(at=now()))

    (row,) = [row for row in then.people if row.ref == str(ada.ref)]
    assert (row.name, row.department, len(row.access)) == ("Ada Lovelace", "Engineering", 1)
    (row,) = [row for row in today.people if row.ref == str(ada.ref)]
    assert (row.name, row.department, len(row.access)) == ("Ada King", "Finance", 0)


def test_as_of_an_instant_only_who_was_not_here_then_leaves_an_account_without_a_person(
    ada: Person, analyst: Entitlement
) -> None:
    began = now()
    with time_machine.travel(began + timedelta(days=1), tick=False):
        lifecycle.leave(ada, actor=cast.TESTING)
    with time_machine.travel(began + timedelta(days=2), tick=False):
        world.holding(world.account(analyst.application, "ada", person=ada, first_seen_at=began), analyst)
        here, gone = (matrix(Question(at=began + ago, is_past=True)) for ago in (timedelta(0), timedelta(hours=30)))

    assert (here.orphan_count, str(ada.ref) in {row.ref for row in here.people}) == (0, True)
    assert (gone.orphan_count, str(ada.ref) in {row.ref for row in gone.people}) == (1, False)
    assert [row.name for row in gone.orphans] == ["Ada Lovelace"]
    assert (here.counts.by_kind.get("drift"), gone.counts.by_kind.get("drift")) == (1, None)


def test_an_account_without_a_person_stands_on_top(ada: Person, analyst: Entitlement) -> None:
    world.holding(world.account(analyst.application, "svc-backup", kind="service"), analyst)

    found = matrix(Question(at=now()))

    (row,) = found.orphans
    assert (row.name, row.title, found.orphan_count) == ("svc-backup", "Service account", 1)
    assert [one.kind for one in row.access[analyst.application_id]] == ["orphan"]


def test_accounts_of_one_name_share_a_row(linus: Person, analyst: Entitlement) -> None:
    other = cast.add_application("GitHub", owner=linus)
    world.account(analyst.application, "K.Olsen@halden.example")
    world.account(other, "k.olsen@halden.example")

    found = matrix(Question(at=now()))

    (row,) = found.orphans
    assert set(row.account_ids) == {analyst.application_id, other.pk}


def test_a_leavers_account_that_still_works_has_no_person(ada: Person, analyst: Entitlement) -> None:
    world.holding(world.account(analyst.application, "ada", person=ada), analyst)
    lifecycle.leave(ada, actor=cast.TESTING)

    found = matrix(Question(at=now()))

    assert [row.name for row in found.orphans] == ["Ada Lovelace"]
    assert found.orphans[0].left_at is not None
    assert str(ada.ref) not in {row.ref for row in found.people}


@pytest.mark.parametrize("known", [{"is_active": False}, {"gone_at": now()}], ids=["suspended", "gone"])
def test_an_account_that_cannot_sign_in_is_no_orphan(known: dict[str, object], analyst: Entitlement) -> None:
    world.account(analyst.application, "svc-backup", **known)

    assert matrix(Question(at=now())).orphans == ()


def test_an_owner_sees_only_their_applications(ada: Person, mallory: Person, analyst: Entitlement) -> None:
    foreign = cast.add_role(cast.add_application("NetSuite"), "Clerk")
    stories.give(ada, analyst)
    stories.give(mallory, foreign)
    world.account(foreign.application, "svc-foreign")

    found = matrix(Question(at=now(), applications=[analyst.application_id]))

    assert [column.name for column in found.columns] == ["Snowflake"]
    assert [row.name for row in found.people] == ["Ada Lovelace"]
    assert found.orphans == ()
    assert found.counts.by_kind == {"temporary": 1}


def test_a_kind_keeps_the_people_and_columns_with_a_hit(ada: Person, mallory: Person, analyst: Entitlement) -> None:
    other = cast.add_role(cast.add_application("NetSuite"), "Clerk")
    stories.give(ada, analyst)
    stories.give(mallory, other, ends_in=None)

    found = matrix(Question(at=now(), kinds=["temporary"]))

    assert [row.name for row in found.people] == ["Ada Lovelace"]
    assert [column.name for column in found.columns] == ["Snowflake"]
    assert found.hidden_columns == 1
    assert found.counts.by_kind == {"temporary": 1, "standing": 1}


def test_a_data_class_keeps_what_reaches_it(ada: Person, mallory: Person, snowflake: Application) -> None:
    phi = cast.add_role(snowflake, "PHI analyst", data_classes=["phi"])
    stories.give(ada, phi)
    stories.give(mallory, cast.add_role(snowflake, "Reader"))

    found = matrix(Question(at=now(), data_class="phi"))

    assert [row.name for row in found.people] == ["Ada Lovelace"]


@pytest.mark.parametrize(
    ("text", "names"),
    [("lovelace", ["Ada Lovelace"]), ("grace@", ["Grace Hopper"]), ("%", []), ("_", [])],
    ids=["a name", "an address", "a percent", "a line"],
)
def test_a_search_finds_names_and_addresses_literally(text: str, names: list[str], ada: Person) -> None:
    found = matrix(Question(at=now(), text=text))

    assert [row.name for row in found.people] == names


def test_a_department_is_chosen_and_the_others_stay_counted(ada: Person, mallory: Person) -> None:
    found = matrix(Question(at=now(), department="Marketing"))

    assert [row.name for row in found.people] == ["Mallory Grey"]
    assert found.row_count == 1
    assert found.counts.departments == {"Engineering": 2, "Marketing": 1}


def test_pages_follow_one_another_and_lead_back(db: None) -> None:
    for number in range(PAGE_ROWS + 3):
        cast.hire(f"P{number:02d} Person", department="A" if number < 30 else "B")

    first = matrix(Question(at=now()))
    second = matrix(Question(at=now()), after=first.next)
    back = matrix(Question(at=now()), before=second.back)

    assert [len(page.people) for page in (first, second)] == [PAGE_ROWS, 3]
    assert (first.back, second.next) == ("", "")
    assert [row.ref for row in back.people] == [row.ref for row in first.people]
    assert (back.back, back.next) == ("", first.next)


def test_an_unknown_edge_starts_at_the_beginning(ada: Person) -> None:
    assert len(matrix(Question(at=now()), after="nobody").people) == 2


@pytest.mark.parametrize("people", [3, 60])
def test_the_number_of_statements_does_not_grow(
    people: int, analyst: Entitlement, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(people):
        stories.give(cast.hire(f"P{number:02d} Person"), analyst)
    world.account(analyst.application, "svc-backup")

    with django_assert_num_queries(7):
        matrix(Question(at=now()))


def test_the_export_has_every_row_of_every_page(analyst: Entitlement) -> None:
    for number in range(PAGE_ROWS + 5):
        stories.give(cast.hire(f"P{number:02d} Person"), analyst)
    world.account(analyst.application, "svc-backup")

    _, rows = everything(Question(at=now()))

    assert len(rows) == PAGE_ROWS + 6
    assert rows[0].name == "svc-backup"


@pytest.mark.parametrize("is_past", [False, True], ids=["now", "as of a date"])
@pytest.mark.parametrize(
    "narrowed",
    [
        {},
        {"data_class": "phi"},
        {"kinds": ("temporary",)},
        {"department": "Marketing"},
        {"kinds": ("standing",), "text": "a"},
    ],
    ids=["everybody", "a class of data", "a kind", "a department", "a kind and a name"],
)
def test_where_there_is_too_much_to_count_the_same_people_are_shown_without_numbers(
    narrowed: dict[str, object],
    is_past: bool,
    ada: Person,
    mallory: Person,
    snowflake: Application,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    patients = cast.add_role(snowflake, "Patients", data_classes=["phi"])
    stories.give(ada, patients)
    stories.give(mallory, cast.add_role(snowflake, "Viewer"), ends_in=None)
    world.holding(world.account(snowflake, "left"), patients)
    question = Question(at=now(), is_past=is_past, **narrowed)  # type: ignore[arg-type]
    small = matrix(question)

    monkeypatch.setattr("governance.access.matrix.MOST_COST", 0)
    large = matrix(question)

    assert (large.people, large.columns, large.orphans) == (small.people, small.columns, small.orphans)
    assert small.counts.is_counted
    assert not large.counts.is_counted
    assert large.counts.by_kind == {}
    assert (large.row_count is None) == question.is_narrowed
