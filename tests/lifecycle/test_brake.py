"""The brake: up to its limit all is immediate, what passes it is held for a second person or an independent source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import transaction

from governance.access.models import Grant, KeptGrant
from governance.catalog import rules
from governance.catalog.models import Entitlement
from governance.core.actor import Actor, Door
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid, NotAllowed, Refused
from governance.identity.models import Person, Status
from governance.identity.profiles import Profile, document_from_profile, profile_from_document
from governance.ledger.models import ConfigurationChange, Pending
from governance.lifecycle import actions as lifecycle
from governance.lifecycle import brake, holds, planning, tasks
from governance.lifecycle.brake import Limits
from governance.lifecycle.models import HeldItem, Hold, HoldState, ItemState, SourceBrake
from tests.cast import TESTING, acting, hire, make_security_admin

pytestmark = pytest.mark.django_db

START = datetime(2026, 3, 3, 9, 30, tzinfo=UTC)
WHY = "The provider sent an empty list; its administrator confirmed it."


def okta() -> Actor:
    return Actor.service("okta", door=Door.SCIM)


def crowd(count: int, prefix: str = "person", source: str = "scim:okta", **profile: str) -> list[Person]:
    return lifecycle.join_many(
        [
            Profile(f"{prefix}{n}@halden.example", display_name=f"{prefix} {n}", external_id=f"{prefix}{n}", **profile)
            for n in range(count)
        ],
        source=source,
        actor=TESTING,
    )


def limits(source: str = "scim:okta", **chosen: int) -> None:
    brake.set_limits(source, Limits(**{"at_least": 3, "share_percent": 0, **chosen}), actor=TESTING)


def leave(person: Person, actor: Actor | None = None, **more: object) -> Person:
    with transaction.atomic():
        locked = Person.objects.select_for_update().get(pk=person.pk)
        return lifecycle.leave(locked, actor=actor or okta(), **more)  # type: ignore[arg-type]


def change(person: Person, **said: object) -> Person:
    profile = replace(profile_from_document(person.document), **said)  # type: ignore[arg-type]
    profile = replace(profile, document=document_from_profile(profile))
    with transaction.atomic():
        locked = Person.objects.select_for_update().get(pk=person.pk)
        return lifecycle.update(locked, profile, actor=okta())


def gone(people: Sequence[Person]) -> int:
    return Person.objects.filter(pk__in=[one.pk for one in people], status=Status.LEFT).count()


def events() -> list[str]:
    return [entry.body["event"] for entry in Pending.objects.order_by("id")]


@pytest.fixture
def clock() -> Iterator[time_machine.Coordinates]:
    with time_machine.travel(START, tick=False) as moved:
        yield moved


@pytest.mark.parametrize(("leavers", "left"), [(2, 2), (3, 3), (4, 3), (9, 3)], ids=["below", "at", "above", "far"])
def test_up_to_the_limit_all_leave_at_once_and_what_passes_it_is_held(leavers: int, left: int) -> None:
    people = crowd(20)
    limits()

    for person in people[:leavers]:
        leave(person)

    assert gone(people) == left
    assert HeldItem.objects.filter(state=ItemState.WAITING).count() == leavers - left
    assert Hold.objects.filter(state=HoldState.OPEN).count() == (1 if leavers > left else 0)


def test_a_share_of_the_people_counts_but_never_fewer_than_the_least_nor_more_than_the_most() -> None:
    assert Limits(at_least=10, share_percent=5, at_most=500).among(20) == 10
    assert Limits(at_least=10, share_percent=5, at_most=500).among(1_000) == 50
    assert Limits(at_least=10, share_percent=5, at_most=500).among(100_000) == 500
    assert Limits(at_least=20_000, share_percent=5, at_most=500).among(100_000) == 20_000


def test_the_share_is_of_the_people_a_source_speaks_of() -> None:
    people = crowd(40)
    crowd(60, "other", source="scim:entra")
    limits(at_least=1, share_percent=10)

    for person in people[:5]:
        leave(person)
    brake.count_people()

    assert gone(people) == 4
    # Those who left within the window are still part of what the share is of.
    assert SourceBrake.objects.get(source="scim:okta").people >= 40


def test_somebody_held_keeps_everything_and_the_directory_reads_what_it_said(ada: Person, analyst: Entitlement) -> None:
    rules.save_birthright_rule("Everybody", 'not (userName eq "")', [analyst], actor=TESTING)
    people = crowd(2)
    limits(at_least=1)

    leave(people[0])
    held = leave(people[1])

    held.refresh_from_db()
    assert (held.status, held.left_at, held.sessions_end_at) == (Status.ACTIVE, None, None)
    assert held.document["active"] is False
    assert Grant.objects.filter(person=held, ends_at__gt=now()).exists()
    assert "leaving.held" in events()


def test_a_slow_drip_across_windows_is_never_held(clock: time_machine.Coordinates) -> None:
    people = crowd(20)
    limits()

    for number, person in enumerate(people[:12]):
        clock.move_to(START + timedelta(hours=25) * (number // 3))
        leave(person)

    assert gone(people) == 12
    assert not Hold.objects.exists()


def test_a_drip_within_one_window_is_held_once_it_passes_the_limit(clock: time_machine.Coordinates) -> None:
    people = crowd(20)
    limits()

    for number, person in enumerate(people[:6]):
        clock.move_to(START + timedelta(hours=3) * number)
        leave(person)

    assert gone(people) == 3


def test_two_sources_count_apart() -> None:
    okta_people, entra_people = crowd(5), crowd(5, "entra", source="scim:entra")
    limits()
    limits("scim:entra")

    for person in okta_people[:3]:
        leave(person)
    for person in entra_people[:3]:
        leave(person, Actor.service("entra", door=Door.SCIM))

    assert gone(okta_people) == gone(entra_people) == 3
    assert not Hold.objects.exists()


def test_a_second_signal_about_somebody_held_is_neither_counted_nor_listed_again() -> None:
    people = crowd(5)
    limits(at_least=1)
    leave(people[0])

    for _ in range(5):
        leave(people[1])

    assert HeldItem.objects.count() == 1
    assert sum(brake.SignalCount.objects.values_list("signals", flat=True)) == 2


def test_somebody_who_joins_inactive_is_nobodys_leaver() -> None:
    limits(at_least=1)

    for number in range(5):
        lifecycle.join(Profile(f"old{number}", is_active=False), source="scim:okta", actor=okta())

    assert Person.objects.filter(status=Status.LEFT).count() == 5
    assert not Hold.objects.exists()


def test_a_second_person_releases_and_everything_ends_as_of_the_signal(
    sam: Person, analyst: Entitlement, clock: time_machine.Coordinates
) -> None:
    rules.save_birthright_rule("Everybody", 'not (userName eq "")', [analyst], actor=TESTING)
    people = crowd(6)
    limits(at_least=2)
    for person in people:
        leave(person)
    clock.shift(timedelta(hours=2))

    assert holds.release(Hold.objects.get().ref, by=sam, reason=WHY, actor=acting(sam)) == 4
    assert gone(people) == 2
    assert tasks.sweep() == 4

    assert gone(people) == 6
    assert {person.left_at for person in Person.objects.filter(pk__in=[one.pk for one in people])} == {START}
    assert not Grant.objects.filter(person__in=people, ends_at__gt=now()).exists()
    assert Hold.objects.get().state == HoldState.DECIDED
    # Done is done: nothing is left for the next tick.
    assert tasks.sweep() == 0
    assert events().count("hold.released") == 4


def test_after_a_release_the_source_counts_anew() -> None:
    sam = make_security_admin(hire("Sam Okoro"))
    people = crowd(10)
    limits(at_least=2)
    for person in people[:4]:
        leave(person)
    holds.release(Hold.objects.get().ref, by=sam, reason=WHY, actor=acting(sam))

    for person in people[4:6]:
        leave(person)

    assert gone(people[4:6]) == 2


def test_refusing_keeps_people_active_and_the_ledger_says_so(sam: Person) -> None:
    people = crowd(6)
    limits(at_least=2)
    for person in people:
        leave(person)

    holds.refuse(Hold.objects.get().ref, by=sam, reason=WHY, actor=acting(sam))
    tasks.sweep()

    assert gone(people) == 2
    assert events().count("hold.refused") == 4
    # What the directory repeats about them is no new signal.
    change(people[5], title="Engineer")
    assert gone(people) == 2
    assert not HeldItem.objects.filter(state=ItemState.WAITING).exists()


def test_some_are_released_and_the_others_refused(sam: Person) -> None:
    people = crowd(6)
    limits(at_least=2)
    for person in people:
        leave(person)
    found = Hold.objects.get()
    chosen = list(found.items.order_by("pk").values_list("pk", flat=True)[:2])

    holds.release(found.ref, chosen, by=sam, reason=WHY, actor=acting(sam))
    assert Hold.objects.get().state == HoldState.OPEN
    holds.refuse(found.ref, by=sam, reason=WHY, actor=acting(sam))
    tasks.sweep()

    assert gone(people) == 4
    assert Hold.objects.get().state == HoldState.DECIDED


def test_deciding_twice_says_who_was_faster(sam: Person) -> None:
    people = crowd(3)
    limits(at_least=1)
    for person in people:
        leave(person)
    found = Hold.objects.get()
    holds.refuse(found.ref, by=sam, reason=WHY, actor=acting(sam))

    with pytest.raises(Conflict, match="Sam Okoro settled this"):
        holds.release(found.ref, by=sam, reason=WHY, actor=acting(sam))


def test_only_another_security_administrator_releases_and_says_why(sam: Person, ada: Person) -> None:
    people = crowd(4)
    limits(brake.PAGE, at_least=1)
    for person in people:
        leave(person, acting(sam))
    found = Hold.objects.get()

    with pytest.raises(Refused) as refusal:
        holds.release(found.ref, by=sam, reason="", actor=acting(sam))
    assert {reason.code for reason in refusal.value.reasons} == {"your_own_signal", "needs_reason"}
    with pytest.raises(NotAllowed):
        holds.release(found.ref, by=ada, reason=WHY, actor=acting(ada))

    second = make_security_admin(hire("Second Sam"))
    assert holds.release(found.ref, by=second, reason=WHY, actor=acting(second)) == 3


def test_who_gave_the_signal_may_take_it_back(sam: Person) -> None:
    people = crowd(3)
    limits(brake.PAGE, at_least=1)
    for person in people:
        leave(person, acting(sam))

    assert holds.refuse(Hold.objects.get().ref, by=sam, reason=WHY, actor=acting(sam)) == 2


def test_firezone_10898_the_brake_lifts_when_an_independent_source_names_the_same_people() -> None:
    people = crowd(8)
    limits(at_least=2)
    for person in people:
        leave(person)
    assert gone(people) == 2

    for person in people[2:5]:
        leave(person, Actor.system("hr_file", door=Door.COMMAND), source=brake.HR_FILE)

    assert gone(people) == 5
    assert HeldItem.objects.filter(state=ItemState.CONFIRMED, confirmed_by="file:hr").count() == 3
    assert HeldItem.objects.filter(state=ItemState.WAITING).count() == 3


def test_naming_people_who_are_held_elsewhere_does_not_bring_the_other_source_to_its_own_limit() -> None:
    people = crowd(12)
    limits(at_least=2)
    limits(brake.HR_FILE, at_least=2)
    for person in people[:8]:
        leave(person)

    for person in people:
        leave(person, Actor.system("hr_file", door=Door.COMMAND), source=brake.HR_FILE)

    # Six were named by both; of the four that only the file names, two pass its limit.
    assert gone(people) == 2 + 6 + 2


def test_the_same_person_through_another_door_is_no_independent_source(sam: Person) -> None:
    people = crowd(3)
    limits(brake.PAGE, at_least=1)
    for person in people:
        leave(person, acting(sam))

    leave(people[2], acting(sam, Door.API))

    assert gone(people) == 1


def test_a_leave_date_that_another_source_gave_lets_the_leaver_go() -> None:
    people = crowd(6)
    limits(at_least=1)
    leave(people[0])
    with transaction.atomic():
        person = Person.objects.select_for_update().get(pk=people[1].pk)
        planning.plan(person, now() + timedelta(hours=6), source=brake.HR_FILE, actor=TESTING)

    leave(people[1])
    leave(people[2])

    assert gone(people) == 2


def test_netbird_4068_a_hiccup_that_deleted_and_re_added_everybody_takes_nothing(analyst: Entitlement) -> None:
    rules.save_birthright_rule("Everybody", 'not (userName eq "")', [analyst], actor=TESTING)
    people = crowd(8)
    limits(at_least=2)
    had = Grant.objects.filter(person__in=people[2:], ends_at__gt=now()).count()

    for person in people:
        leave(person, unlist=True)
    held = Person.objects.filter(pk__in=[one.pk for one in people[2:]])
    assert [(one.is_active, one.is_listed) for one in held] == [(True, False)] * 6
    for person in people:
        lifecycle.join(profile_from_document({**person.document, "active": True}), source="scim:okta", actor=okta())

    assert Grant.objects.filter(person__in=people[2:], ends_at__gt=now()).count() == had
    assert not Grant.objects.filter(person__in=people[2:], end_cause="left").exists()
    assert set(Person.objects.filter(pk__in=[one.pk for one in people]).values_list("is_listed", "status")) == {
        (True, "active")
    }
    assert not HeldItem.objects.filter(state=ItemState.WAITING).exists()
    assert Hold.objects.get().state == HoldState.DECIDED


def test_a_directory_that_takes_back_what_it_said_settles_the_hold() -> None:
    people = crowd(3)
    limits(at_least=1)
    for person in people:
        leave(person)
    held = Person.objects.get(pk=people[2].pk)

    change(held, is_active=True)

    assert HeldItem.objects.get(person=held).state == ItemState.WITHDRAWN
    assert Person.objects.get(pk=held.pk).document["active"] is True


def test_a_group_that_is_emptied_takes_nothing_from_too_many(analyst: Entitlement, sam: Person) -> None:
    rules.save_birthright_rule("Data", 'groups.display eq "Data"', [analyst], actor=TESTING)
    people = crowd(8)
    group = lifecycle.create_group("Data", member_ids=[one.pk for one in people], source="scim:okta", actor=okta())
    limits(at_least=3)

    with transaction.atomic():
        lifecycle.change_members(group, remove=[one.pk for one in people], actor=okta())

    assert Grant.objects.filter(entitlement=analyst, ends_at__gt=now()).count() == 8
    assert KeptGrant.objects.count() == HeldItem.objects.filter(kind="loss").count() == 8
    # Nothing else takes them meanwhile.
    change(people[0], title="Engineer")
    assert Grant.objects.filter(entitlement=analyst, ends_at__gt=now()).count() == 8

    holds.release(Hold.objects.get().ref, by=sam, reason=WHY, actor=acting(sam))
    tasks.sweep()
    assert not Grant.objects.filter(entitlement=analyst, ends_at__gt=now()).exists()
    assert not KeptGrant.objects.exists()


def test_an_attribute_that_is_gone_from_everybody_takes_nothing_and_gives_what_it_gives(
    analyst: Entitlement, sam: Person
) -> None:
    rules.save_birthright_rule("Finance", 'department eq "Finance"', [analyst], actor=TESTING)
    people = crowd(6, department="Finance")
    limits(at_least=2)

    for person in people:
        change(Person.objects.get(pk=person.pk), department="")
    assert Grant.objects.filter(entitlement=analyst, ends_at__gt=now()).count() == 4

    # The directory is repaired: what was held is over by itself, and a later real change is taken.
    for person in people:
        change(Person.objects.get(pk=person.pk), department="Finance")
    tasks.count()
    assert not KeptGrant.objects.exists()
    assert not HeldItem.objects.filter(state=ItemState.WAITING).exists()
    assert Grant.objects.filter(entitlement=analyst, ends_at__gt=now()).count() == 6


def test_what_was_refused_of_a_loss_runs_on(analyst: Entitlement, sam: Person) -> None:
    rules.save_birthright_rule("Finance", 'department eq "Finance"', [analyst], actor=TESTING)
    people = crowd(4, department="Finance")
    limits(at_least=1)
    for person in people:
        change(Person.objects.get(pk=person.pk), department="Sales")

    holds.refuse(Hold.objects.get().ref, by=sam, reason=WHY, actor=acting(sam))
    change(Person.objects.get(pk=people[3].pk), title="Engineer")

    assert Grant.objects.filter(entitlement=analyst, ends_at__gt=now()).count() == 3


def test_a_leaver_whose_loss_is_held_loses_everything(analyst: Entitlement) -> None:
    rules.save_birthright_rule("Finance", 'department eq "Finance"', [analyst], actor=TESTING)
    people = crowd(3, department="Finance")
    limits(at_least=1)
    for person in people:
        change(Person.objects.get(pk=person.pk), department="Sales")

    leave(people[2])

    assert not Grant.objects.filter(person=people[2], ends_at__gt=now()).exists()
    assert HeldItem.objects.get(person=people[2]).state == ItemState.WITHDRAWN


@pytest.mark.parametrize(
    ("field", "value"), [("at_least", 0), ("at_most", 0), ("share_percent", 101), ("window_hours", 0)]
)
def test_limits_that_would_hold_a_single_leaver_are_refused(field: str, value: int) -> None:
    with pytest.raises(Invalid) as problem:
        limits(**{field: value})

    assert list(problem.value.fields) == [field]


def test_changed_limits_are_in_the_ledger_once() -> None:
    limits(at_least=7)
    limits(at_least=7)

    entries = [entry.body for entry in Pending.objects.order_by("id") if entry.body["event"] == "brake.changed"]
    assert [entry["data"] for entry in entries] == [{"at_least": [10, 7], "share_percent": [5, 0]}]


def test_the_field_history_of_a_brake_says_that_the_brake_itself_added_it() -> None:
    brake.count_people()

    history = ConfigurationChange.objects.filter(content_type__model="sourcebrake")
    assert {(row.actor_ref, row.door) for row in history} == {("brake", "clock")}
