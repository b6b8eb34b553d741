"""Who is told after a reading: one notice for each owner, and security for what nobody answers for."""

from __future__ import annotations

from datetime import date, datetime

import pytest
import time_machine

from governance.catalog.models import ApplicationOwner
from governance.exceptions import actions
from governance.exceptions.models import ControlException, Reading
from governance.identity.models import Person
from governance.ledger.notes import Signer
from governance.notices.models import Notice
from governance.notices.reading import read_on
from tests.cast import acting, hire
from tests.evidence.conftest import LONG_AGO, World, day
from tests.evidence.issued import seal
from tests.exceptions.conftest import Read

TUESDAY, WEDNESDAY, SUNDAY = day(3, 3, 9), day(3, 4, 9), day(3, 8, 9)


@pytest.fixture
def read_and_tell(read: Read) -> Read:
    """Read, and have the reader of notices go through the ledger."""

    def at(instant: datetime) -> list[Reading]:
        found = read(instant)
        with time_machine.travel(instant, tick=False):
            read_on()
        return found

    return at


def told(person: Person) -> list[tuple[str, dict[str, object]]]:
    wanted = ("found", "overdue", "near")
    found = Notice.objects.filter(person=person, kind__startswith="exception").order_by("id")
    return [(one.kind, {name: one.facts[name] for name in wanted if name in one.facts}) for one in found]


def test_owners_are_told_once_of_all_that_is_new_and_security_of_what_is_nobodys(
    world: World, read_and_tell: Read, linus: Person, sam: Person
) -> None:
    for name in ("lena", "omar", "zoe"):
        world.see(name, "snowflake/analyst", day(3, 1))
    world.see("pia", "orphaned/reader", day(3, 1))
    grace = hire("Grace Hopper")
    world.grant("quin", "orphaned/reader", day(3, 2))
    actions.set_report_owner("R03", grace, actor=acting(sam))
    application = world.role("snowflake/analyst").application
    ApplicationOwner.objects.create(application=application, person=linus, since=LONG_AGO)

    read_and_tell(TUESDAY)
    read_and_tell(WEDNESDAY)

    assert told(linus) == [("exceptions.found", {"found": 3})]
    assert told(grace) == [("exceptions.found", {"found": 1})]
    assert told(sam) == [("exceptions.unowned", {"found": 1, "overdue": 0})]


def test_an_owner_is_told_a_week_before_the_day_they_gave_and_when_it_is_over(
    world: World, read_and_tell: Read, signer: Signer, linus: Person, sam: Person
) -> None:
    world.see("lena", "snowflake/analyst", day(3, 1))
    read_and_tell(TUESDAY)
    with time_machine.travel(TUESDAY, tick=False):
        found = ControlException.objects.get(report="R01")
        actions.answer(found, owner=linus, explanation="", fix_by=date(2026, 3, 6), actor=acting(sam))
        seal(signer)
        read_on()

    read_and_tell(WEDNESDAY)
    read_and_tell(SUNDAY)

    assert told(linus) == [
        ("exception.given", {}),
        ("exceptions.due", {"overdue": 0, "near": 1}),
        ("exceptions.due", {"overdue": 1, "near": 0}),
    ]
