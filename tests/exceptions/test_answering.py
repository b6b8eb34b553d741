"""What is said about an exception: by whom, in which bounds, and that nothing said is lost."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
import time_machine
from django.db import transaction

from governance.catalog.models import ApplicationOwner
from governance.core.actor import Actor
from governance.core.errors import Conflict, Invalid, NotAllowed, NotFound
from governance.exceptions import actions, queries
from governance.exceptions.models import ControlException, State, Statement
from governance.exceptions.rights import answered_by
from governance.identity.models import Person
from governance.ledger.models import Disclosure, Pending
from governance.ledger.notes import Signer
from governance.lifecycle import actions as lifecycle
from governance.privacy import erasing
from tests.cast import TESTING, acting, hire
from tests.evidence.conftest import LONG_AGO, World, day
from tests.evidence.issued import seal
from tests.exceptions.conftest import Read, only

NOW = day(3, 3, 9)
DAY = date(2026, 3, 20)


@pytest.fixture
def found(world: World, read: Read, linus: Person) -> ControlException:
    """An exception about Ada in an application of Linus."""
    world.see("lena", "snowflake/analyst", day(3, 1))
    application = world.role("snowflake/analyst").application
    ApplicationOwner.objects.create(application=application, person=linus, since=LONG_AGO)
    read(NOW)
    return only("R01")


def say(found: ControlException, actor: Actor, **known: Any) -> Statement:
    said = {"owner": None, "explanation": "The import was wrong.", "fix_by": DAY, **known}
    with time_machine.travel(NOW, tick=False):
        return actions.answer(found, actor=actor, **said)


def accept(found: ControlException, actor: Actor, **known: Any) -> Statement:
    said = {"until": DAY, "why": "The vendor fixes it in April.", **known}
    with time_machine.travel(NOW, tick=False):
        return actions.accept_risk(found, actor=actor, **said)


def test_the_owner_explains_and_says_until_when_it_is_fixed(found: ControlException, linus: Person) -> None:
    first = say(found, acting(linus))
    second = say(found, acting(linus), explanation="It was the import of March.", owner=linus)

    found.refresh_from_db()
    assert (found.owner, found.explanation, found.fix_by) == (linus, "It was the import of March.", DAY)
    assert (first.number, second.number, found.statements_made) == (1, 2, 2)
    assert (found.state_on(DAY), found.state_on(date(2026, 3, 21))) == (State.EXPLAINED, State.OVERDUE)
    recorded = [one.body for one in Pending.objects.filter(body__event="exception.answered").order_by("id")]
    assert [one["data"]["is_new_owner"] for one in recorded] == [False, True]
    assert "import" not in str([one["data"] for one in recorded])
    assert Disclosure.objects.filter(field="explanation", value="The import was wrong.").exists()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"fix_by": date(2026, 3, 2)}, "fix_by"),
        ({"fix_by": date(2028, 1, 1)}, "fix_by"),
        ({"explanation": "x" * 4001}, "explanation"),
    ],
    ids=["in the past", "too far ahead", "too long"],
)
def test_an_answer_out_of_bounds_is_refused_by_name(
    found: ControlException, linus: Person, wrong: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        say(found, acting(linus), **wrong)

    assert list(refused.value.fields) == [field]
    assert not Statement.objects.exists()


def test_somebody_who_left_cannot_be_made_the_owner(found: ControlException, sam: Person, mallory: Person) -> None:
    Person.objects.filter(pk=mallory.pk).update(status="left", left_at=NOW)
    mallory.refresh_from_db()

    with pytest.raises(Invalid) as refused:
        say(found, acting(sam), owner=mallory)

    assert list(refused.value.fields) == ["owner"]


def test_who_does_not_answer_for_it_does_not_know_of_it_and_an_auditor_only_looks(
    found: ControlException, mallory: Person, audrey: Person
) -> None:
    with pytest.raises(NotFound):
        say(found, acting(mallory))
    with pytest.raises(NotAllowed):
        say(found, acting(audrey))
    with pytest.raises(NotFound):
        accept(found, acting(mallory))


def test_two_who_answer_at_once_do_not_overwrite_each_other(
    found: ControlException, linus: Person, sam: Person
) -> None:
    say(found, acting(linus), after=0)

    with pytest.raises(Conflict):
        say(found, acting(sam), explanation="Something else.", after=0)
    with pytest.raises(Conflict):
        say(found, acting(linus))

    assert Statement.objects.count() == 1


def test_a_risk_is_accepted_by_security_until_a_day(found: ControlException, sam: Person, linus: Person) -> None:
    with pytest.raises(NotAllowed):
        accept(found, acting(linus))
    accept(found, acting(sam))

    found.refresh_from_db()
    assert (found.state_on(DAY), found.state_on(date(2026, 3, 21))) == (State.ACCEPTED, State.EXPLAINED)
    say(found, acting(linus), explanation="Something else.", fix_by=None)
    found.refresh_from_db()
    assert found.accepted_until is None


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"why": " "}, "why"), ({"until": date(2026, 3, 2)}, "until"), ({"until": date(2027, 3, 20)}, "until")],
    ids=["no reason", "over already", "too long"],
)
def test_a_risk_is_accepted_for_a_reason_and_not_for_ever(
    found: ControlException, sam: Person, wrong: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        accept(found, acting(sam), **wrong)

    assert list(refused.value.fields) == [field]


def test_nobody_accepts_a_risk_about_themselves_or_one_that_is_gone(
    found: ControlException, world: World, sam: Person
) -> None:
    ControlException.objects.filter(pk=found.pk).update(person=sam)
    found.refresh_from_db()
    with pytest.raises(NotAllowed):
        accept(found, acting(sam))

    ControlException.objects.filter(pk=found.pk).update(person=None, turn="gone", gone_at=NOW)
    found.refresh_from_db()
    with pytest.raises(Conflict):
        accept(found, acting(sam))


def test_who_was_named_answers_and_when_they_leave_the_owners_of_the_application_do(
    found: ControlException, sam: Person, linus: Person, grace: Person
) -> None:
    def answering() -> set[Person]:
        return {
            person
            for person in (linus, grace, sam)
            if ControlException.objects.filter(answered_by(person.pk), pk=found.pk).exists()
        }

    by_default = answering()
    say(found, acting(sam), owner=grace)
    named = answering()
    Person.objects.filter(pk=grace.pk).update(status="left", left_at=NOW)

    assert (by_default, named) == ({linus}, {grace})
    assert linus in answering()


def test_who_answers_for_a_report_answers_where_nobody_else_does(
    found: ControlException, sam: Person, linus: Person, grace: Person, audrey: Person
) -> None:
    with pytest.raises(NotAllowed):
        actions.set_report_owner("R01", grace, actor=acting(audrey))
    actions.set_report_owner("R01", grace, actor=acting(sam))
    with pytest.raises(Conflict):
        actions.set_report_owner("R01", grace, actor=acting(sam))

    def answering() -> tuple[list[Person], bool, int]:
        mine = ControlException.objects.filter(answered_by(grace.pk), pk=found.pk)
        nobodys = queries.without_answerer(ControlException.objects.filter(pk=found.pk))
        assert mine.exists() == (queries.to_answer_for_reports(grace).count() == 1)
        return queries.default_owners(found), mine.exists(), nobodys.count()

    owned = answering()
    ApplicationOwner.objects.all().delete()
    unowned = answering()
    actions.set_report_owner("R01", None, actor=acting(sam))
    nobodys = answering()

    assert owned == ([linus], False, 0)
    assert unowned == ([grace], True, 0)
    assert nobodys == ([], False, 1)


def test_what_was_said_loses_the_name_of_somebody_who_is_erased(
    found: ControlException, sam: Person, linus: Person, signer: Signer
) -> None:
    zenobia = hire("Zenobia Quartz")
    say(found, acting(linus), explanation="Zenobia Quartz set it up before she left.")
    with transaction.atomic():
        lifecycle.leave(Person.objects.select_for_update().get(pk=zenobia.pk), actor=TESTING)
    Person.objects.filter(pk=zenobia.pk).update(is_listed=False)
    seal(signer)

    erasing.ask(zenobia, "She asked for it.", actor=acting(sam))

    found.refresh_from_db()
    texts = [found.explanation, *Statement.objects.values_list("explanation", flat=True)]
    assert not [text for text in texts if "Zenobia" in text]
    assert all("set it up before she left." in text for text in texts)
