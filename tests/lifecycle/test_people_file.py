"""A file of people: read with every problem by its row, applied whole or not at all, through the brake."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from governance.access import rule_runs
from governance.access.models import Grant
from governance.catalog.models import Entitlement
from governance.catalog.rules import RuleTerms
from governance.core.actor import Actor, Door
from governance.core.clock import now
from governance.core.errors import Refused
from governance.identity.connections import actions as connections
from governance.identity.models import Person, Status
from governance.identity.profiles import Profile
from governance.ledger.models import Pending
from governance.lifecycle import actions as lifecycle
from governance.lifecycle import brake, holds, people_file, tasks
from governance.lifecycle.brake import Limits
from governance.lifecycle.models import HeldItem, Hold, ItemState, LeavePlan, PeopleFile
from governance.lifecycle.people_file import Outcome, Unreadable
from governance.lifecycle.people_file_reading import read
from tests.cast import TESTING, acting, hire

pytestmark = pytest.mark.django_db

HR = Actor.system("hr_file", door=Door.COMMAND)


def applied(text: str, *, is_full: bool = False, actor: Actor = HR) -> Outcome:
    return people_file.apply(text.encode(), name="people.csv", is_full=is_full, actor=actor)


def problems(text: str) -> list[str]:
    with pytest.raises(Unreadable) as refusal:
        applied(text)
    return [str(problem) for problem in refusal.value.problems]


def many(count: int, **said: str) -> list[Person]:
    return lifecycle.join_many(
        [Profile(f"p{n}@halden.example", display_name=f"P {n}", employee_number=f"{n}", **said) for n in range(count)],
        source=brake.HR_FILE,
        actor=TESTING,
    )


def state(person: Person) -> tuple[str, str, str]:
    person.refresh_from_db()
    return person.status, person.title, person.department


def test_joiners_changes_and_leavers_come_from_one_file(ada: Person) -> None:
    hire("Grace Murray", user_name="murray@halden.example", employee_number="77")

    outcome = applied(
        "user_name,employee_number,display_name,title,manager,status\n"
        "new@halden.example,5,New Person,Engineer,ada@halden.example,active\n"
        "ada@halden.example,6,Ada Lovelace,Head of engines,,active\n"
        ",77,,,,left\n"
    )

    assert (outcome.joined, outcome.changed, outcome.left) == (["New Person"], ["Ada Lovelace"], ["Grace Murray"])
    new = Person.objects.get(user_name="new@halden.example")
    assert (new.manager, new.source, new.employee_number) == (ada, "file:hr", "5")
    assert state(ada) == (Status.ACTIVE, "Head of engines", "Engineering")
    assert Person.objects.get(employee_number="77").status == Status.LEFT
    entry = Pending.objects.order_by("-id").first()
    assert entry is not None
    assert entry.body["event"] == "people_file.applied"
    assert PeopleFile.objects.get().left == 1


def test_what_a_file_does_not_speak_of_stays(ada: Person) -> None:
    applied("user_name;title\nADA@halden.example;Countess\n")

    ada.refresh_from_db()
    assert (ada.title, ada.department, ada.external_id, ada.person_type) == (
        "Countess",
        "Engineering",
        "idp-ada",
        "Employee",
    )


def test_the_same_file_again_changes_nothing(ada: Person) -> None:
    text = "user_name,title\nada@halden.example,Countess\n"
    applied(text)
    version = Person.objects.get(pk=ada.pk).version

    outcome = applied(text)

    assert outcome.is_nothing
    assert Person.objects.get(pk=ada.pk).version == version


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ["The file: It is empty. A file without people has at least the names of its columns."]),
        ("name\nAda\n", ["Row 1, name: There is no such column.", "Row 1, user_name: A column user_name or"]),
        ("user_name,user_name\na,b\n", ["Row 1, user_name: The column is there twice."]),
        ("user_name,email\na,b,c\n", ["Row 2: It has 3 cells and the head has 2."]),
        ("user_name,email\na,nonsense\n", ["Row 2, email: “nonsense” is not an address."]),
        ("user_name,status\na,gone fishing\n", ["Row 2, status: “gone fishing” is neither active nor left."]),
        ("user_name,leave_date\na,31.12.2026\n", ["Row 2, leave_date: “31.12.2026” is not a date like 2026-03-31."]),
        ("user_name,title\n,Engineer\n", ["Row 2, user_name: A user name or an employee number is needed."]),
        ("user_name\na\nb\nA\n", ["Row 4, user_name: Row 2 names the same person."]),
        (
            "employee_number\n12345\n",
            ["Row 2, user_name: Nobody has this employee number; a joiner needs a user name."],
        ),
        ("user_name,manager\na,nobody\n", ["Row 2, manager: Nobody here or in the file has this user name"]),
        ("user_name,title\na," + "x" * 201 + "\n", ["Row 2, title: At most 200 characters; this has 201."]),
    ],
    ids=lambda value: value[:24].replace("\n", " ") if isinstance(value, str) else "",
)
def test_each_problem_is_told_by_row_field_and_reason(text: str, told: list[str]) -> None:
    found = problems(text)

    assert len(found) == len(told)
    assert all(one.startswith(start) for one, start in zip(found, told, strict=True))


def test_a_file_that_is_not_text_is_told_so() -> None:
    assert "not UTF-8" in read("user_name\nJosé\n".encode("latin-1")).problems[0].reason
    assert "NUL" in read(b"user_name\n\x00\n").problems[0].reason
    assert read(b"\xef\xbb\xbfUser Name\r\nada\r\n").rows[0].user_name == "ada"


def test_one_wrong_row_and_nothing_is_done(ada: Person) -> None:
    assert problems("user_name,title,status\nada@halden.example,Countess,active\nbob@halden.example,,maybe\n")

    assert state(ada)[1] == "Engineer"
    assert not Person.objects.filter(user_name="bob@halden.example").exists()
    assert not PeopleFile.objects.exists()


def test_a_name_and_a_number_of_two_people_are_a_problem(ada: Person) -> None:
    hire("Grace Murray", user_name="murray@halden.example", employee_number="77")

    assert problems("user_name,employee_number\nada@halden.example,77\n") == [
        "Row 2, employee_number: It belongs to murray@halden.example, not to ada@halden.example."
    ]


def test_a_look_ahead_says_exactly_what_would_happen_and_writes_nothing(ada: Person) -> None:
    text = b"user_name,title,status\nada@halden.example,,left\nnew@halden.example,,\n"
    entries = Pending.objects.count()

    outcome = people_file.preview(text, is_full=False, actor=HR)

    assert (outcome.left, outcome.joined) == (["Ada Lovelace"], ["new@halden.example"])
    assert state(ada)[0] == Status.ACTIVE
    assert Pending.objects.count() == entries
    assert not PeopleFile.objects.exists()


def test_of_what_a_live_connection_brought_a_file_only_says_that_they_leave(ada: Person) -> None:
    connections.open_connection("test", actor=TESTING)

    outcome = applied("user_name,title\nada@halden.example,Countess\n")
    assert outcome.kept == ["Ada Lovelace"]
    assert state(ada)[1] == "Engineer"

    applied("user_name,status\nada@halden.example,left\n")
    assert state(ada)[0] == Status.LEFT


def test_a_last_day_to_come_is_planned_moved_and_called_off() -> None:
    with time_machine.travel(datetime(2026, 3, 3, 9, tzinfo=UTC), tick=False) as clock:
        (person,) = many(1)
        applied("user_name,leave_date\np0@halden.example,2026-03-31\n")
        person.refresh_from_db()
        assert person.leaves_at == datetime(2026, 4, 1, tzinfo=UTC)

        applied("user_name,leave_date\np0@halden.example,2026-03-10\n")
        applied("user_name,leave_date\np0@halden.example,\n")
        person.refresh_from_db()
        assert person.leaves_at is None
        assert LeavePlan.objects.count() == 3

        applied("user_name,leave_date\np0@halden.example,2026-03-03\n")
        clock.move_to(datetime(2026, 3, 4, tzinfo=UTC))
        assert tasks.sweep() == 1
        person.refresh_from_db()
        assert (person.status, person.left_at) == (Status.LEFT, datetime(2026, 3, 4, tzinfo=UTC))


@pytest.mark.parametrize(
    ("head", "cells", "person_zone", "ends"),
    [
        ("", "", "", datetime(2026, 3, 31, 16, tzinfo=UTC)),
        ("", "", "America/New_York", datetime(2026, 4, 1, 4, tzinfo=UTC)),
        ("", "", "Nowhere/Here", datetime(2026, 3, 31, 16, tzinfo=UTC)),
        (",time_zone", ",Europe/Berlin", "America/New_York", datetime(2026, 3, 31, 22, tzinfo=UTC)),
        (",leave_zone", ",", "America/New_York", datetime(2026, 4, 1, 4, tzinfo=UTC)),
        (",time_zone,leave_zone", ",Europe/Berlin,UTC", "America/New_York", datetime(2026, 4, 1, tzinfo=UTC)),
    ],
    ids=["company", "person", "no-zone", "row", "empty-leave-zone", "leave-zone"],
)
def test_a_last_day_is_over_where_the_file_says_else_where_the_person_is_else_at_the_company(
    head: str, cells: str, person_zone: str, ends: datetime, settings: Any
) -> None:
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"company_zone": "Australia/Perth"})
    with time_machine.travel(datetime(2026, 3, 3, 9, tzinfo=UTC), tick=False):
        (person,) = many(1, time_zone=person_zone)

        applied(f"user_name,leave_date{head}\np0@halden.example,2026-03-31{cells}\n")
        joined = applied(f"user_name,leave_date{head}\nnew@halden.example,2026-03-31{cells}\n")

        person.refresh_from_db()
        assert person.leaves_at == ends
        assert (joined.joined, joined.planned) == (["new@halden.example"], ["new@halden.example"])


def test_a_zone_that_is_none_is_told_by_its_row() -> None:
    said = problems("user_name,leave_date,leave_zone\nada@halden.example,2026-03-31,Berlin\n")
    assert said == ["Row 2, leave_zone: “Berlin” is not a time zone like Europe/Berlin."]


def test_a_file_without_the_column_says_nothing_about_leave_dates() -> None:
    many(1)
    with time_machine.travel(datetime(2026, 3, 3, 9, tzinfo=UTC), tick=False):
        applied("user_name,leave_date\np0@halden.example,2026-03-31\n")
        applied("user_name,title\np0@halden.example,Engineer\n")

        assert Person.objects.get().leaves_at == datetime(2026, 4, 1, tzinfo=UTC)


def test_who_is_missing_from_a_full_file_has_left_and_who_is_missing_from_another_has_not(ada: Person) -> None:
    many(4)

    applied("user_name\np0@halden.example\n")
    assert Person.objects.filter(status=Status.LEFT).count() == 0

    outcome = applied("user_name\np0@halden.example\np1@halden.example\np2@halden.example\n", is_full=True)
    assert outcome.left == ["P 3"]
    # She has no employee number and no file brought her.
    assert state(ada)[0] == Status.ACTIVE


@pytest.mark.parametrize("listed", [0, 15], ids=["empty", "half"])
def test_a_full_file_that_is_empty_or_half_is_held_as_one_decision(listed: int, sam: Person) -> None:
    people = many(30)
    text = "user_name\n" + "".join(f"{one.user_name}\n" for one in people[:listed])

    outcome = applied(text, is_full=True)

    assert (len(outcome.held), outcome.left) == (30 - listed, [])
    assert Person.objects.filter(status=Status.LEFT).count() == 0
    assert Hold.objects.get().items.count() == 30 - listed
    # The same broken file the next day adds nobody.
    applied(text, is_full=True)
    assert HeldItem.objects.count() == 30 - listed

    holds.release(Hold.objects.get().ref, by=sam, reason="The site was closed.", actor=acting(sam))
    tasks.sweep()
    assert Person.objects.filter(status=Status.LEFT).count() == 30 - listed


def test_whom_a_directory_had_named_and_the_file_names_too_leave_at_once() -> None:
    people = many(20)
    okta = Actor.service("okta", door=Door.SCIM)
    brake.set_limits("scim:okta", Limits(at_least=1, share_percent=0), actor=TESTING)
    for person in people[:15]:
        with transaction.atomic():
            lifecycle.leave(Person.objects.select_for_update().get(pk=person.pk), actor=okta)
    assert Person.objects.filter(status=Status.LEFT).count() == 1

    text = "user_name,status\n" + "".join(f"{one.user_name},left\n" for one in people[:16])
    outcome = applied(text)

    # Fourteen were named by both; of the two that only the file names none is too many.
    assert len(outcome.left) == 15
    assert HeldItem.objects.filter(state=ItemState.CONFIRMED).count() == 14


def test_a_column_of_leave_dates_for_everybody_is_held() -> None:
    people = many(12)
    last_day = f"{datetime.now(UTC).year + 1}-01-31"
    text = "user_name,leave_date\n" + "".join(f"{one.user_name},{last_day}\n" for one in people)

    outcome = applied(text)

    assert len(outcome.held) == 12
    assert not Person.objects.filter(leaves_at__isnull=False).exists()


def test_who_uploaded_a_file_does_not_release_what_it_is_held_for(sam: Person) -> None:
    many(30)
    applied("user_name\n", is_full=True, actor=acting(sam))

    with pytest.raises(Refused, match="Somebody else has to release it"):
        holds.release(Hold.objects.get().ref, by=sam, reason="It is all right.", actor=acting(sam))


def test_the_command_applies_looks_ahead_and_tells_problems(
    tmp_path: Path, ada: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "people.csv"
    file.write_text("user_name,status\nada@halden.example,left\n")

    call_command("hr_file", str(file), "--dry-run")
    assert "1 leave: Ada Lovelace" in capsys.readouterr().out
    assert state(ada)[0] == Status.ACTIVE

    call_command("hr_file", str(file))
    assert state(ada)[0] == Status.LEFT

    file.write_text("user_name,status\nada@halden.example,perhaps\n")
    with pytest.raises(CommandError, match="Row 2, status"):
        call_command("hr_file", str(file))
    with pytest.raises(CommandError, match="No such file"):
        call_command("hr_file", str(tmp_path / "nothing.csv"))


@pytest.mark.parametrize("batch", [1, 2, 1_000])
def test_a_file_does_the_same_however_many_are_read_and_written_together(
    batch: int, ada: Person, analyst: Entitlement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people_file, "BATCH", batch)
    sales = RuleTerms("Sales", 'department eq "Sales"', [analyst])
    rule_runs.change_rule(sales, actor=TESTING)
    moved, renamed, back, same = many(4, department="Finance")
    with transaction.atomic():
        lifecycle.leave(Person.objects.select_for_update().get(pk=back.pk), actor=TESTING)
    recorded = Pending.objects.count()

    outcome = applied(
        "user_name,employee_number,department,manager\n"
        "report@halden.example,91,Sales,boss@halden.example\n"
        "p0@halden.example,0,Sales,boss@halden.example\n"
        "other-name@halden.example,1,Finance,\n"
        "p2@halden.example,2,Sales,\n"
        "p3@halden.example,3,Finance,\n"
        "boss@halden.example,90,Sales,\n"
    )

    boss = Person.objects.get(user_name="boss@halden.example")
    reports = Person.objects.filter(manager=boss).values_list("user_name", flat=True)
    assert sorted(reports) == ["p0@halden.example", "report@halden.example"]
    assert (sorted(outcome.joined), len(outcome.changed)) == (["boss@halden.example", "report@halden.example"], 3)
    held = Grant.objects.filter(entitlement=analyst, ends_at__gt=now()).values_list("person__user_name", flat=True)
    assert sorted(held) == ["boss@halden.example", "p0@halden.example", "p2@halden.example", "report@halden.example"]
    changes = {one.pk: list(one.revisions.order_by("number").values_list("change", flat=True)) for one in many_of(4)}
    assert changes[moved.pk] == changes[renamed.pk] == ["joined", "updated"]
    assert changes[same.pk] == ["joined"]
    assert changes[back.pk][:2] == ["joined", "left"]
    said = Counter(one.body["event"] for one in Pending.objects.order_by("id")[recorded:])
    assert (said["person.joined"], said["person.updated"], said["person.rejoined"]) == (2, 2, 1)


def many_of(count: int) -> list[Person]:
    return list(Person.objects.filter(employee_number__in=[str(number) for number in range(count)]))


def test_changing_many_costs_as_many_statements_as_changing_few(analyst: Entitlement) -> None:
    rule_runs.change_rule(RuleTerms("Sales", 'department eq "Sales"', [analyst]), actor=TESTING)
    many(40, department="Finance")

    def cost(numbers: range, department: str) -> int:
        rows = "".join(f"p{n}@halden.example,{department}\n" for n in numbers)
        with CaptureQueriesContext(connection) as asked:
            applied("user_name,department\n" + rows)
        return len(asked)

    assert cost(range(2), "Sales") == cost(range(2, 40), "Sales")
    assert Grant.objects.filter(entitlement=analyst).count() == 40


def test_what_too_many_lose_by_role_through_a_file_is_held_for_all_of_them(analyst: Entitlement) -> None:
    rule_runs.change_rule(RuleTerms("Sales", 'department eq "Sales"', [analyst]), actor=TESTING)
    people = many(12, department="Sales")

    applied("user_name,department\n" + "".join(f"{one.user_name},Finance\n" for one in people))

    assert Person.objects.filter(department="Finance").count() == 12
    assert HeldItem.objects.filter(kind="loss", state=ItemState.WAITING).count() == 12
    assert Grant.objects.filter(ends_at__gt=now()).count() == 12
