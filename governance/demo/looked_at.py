"""What auditors would ask the demo company about: one report was read the day before, and some of it was answered."""

from __future__ import annotations

from datetime import datetime, timedelta

from governance.core.actor import Actor, ActorKind, Door
from governance.demo import staff
from governance.evidence.continuous import question_of_reading, source_of
from governance.evidence.reports.registry import BY_ID
from governance.exceptions import actions, readings
from governance.exceptions.days import company_zone, day_of, quarter_of
from governance.exceptions.models import ControlException
from governance.exceptions.queries import default_owners
from governance.exceptions.readings import Cut
from governance.identity.models import Person

#: Accounts, which are there as they were seen: the rest of the evidence waits until the log has sealed the company.
REPORT = "R15"
_PATIENCE_MILLISECONDS = 60_000
#: What owners said, and in how many days it is to be fixed; none: they gave no day.
ANSWERS: tuple[tuple[str, int | None], ...] = (
    ("Left over from the migration in spring. The vendor deletes it with the next release.", 12),
    ("Belongs to the integration with the data warehouse. It becomes a service account.", 5),
    ("Nobody remembers what it is for. It is blocked on that day unless somebody asks for it.", 0),
    ("The apprentice who used it left; the account is given back with the licence.", None),
)
ACCEPTED = "Needed for the emergency drill twice a year. The password is in the safe."
_CARRIED_FOR = timedelta(days=60)


def look_and_answer(at: datetime) -> int:
    """Read one report and answer some of its exceptions, by real actions; return how many were found."""
    first, _ = quarter_of(day_of(at))
    cut = Cut(first, day_of(at), company_zone(), at, ledger_size=0)
    actor = Actor.system("demo", door=Door.COMMAND)
    reading = readings.begin(cut, reports=[REPORT], unseen=(), turn_of=day_of(at) - timedelta(days=1), actor=actor)
    assert reading is not None  # the database was empty
    source = source_of(BY_ID[REPORT], question_of_reading(reading))
    readings.take_in(reading, source, timeout_milliseconds=_PATIENCE_MILLISECONDS)
    found = list(ControlException.objects.select_related("application").order_by("row_id"))
    for one, (explanation, days) in zip(found, ANSWERS, strict=False):
        owner = next(iter(default_owners(one)), None)
        fix_by = None if days is None else day_of(at) + timedelta(days=days)
        speaker = _actor(owner) if owner else _security()
        actions.answer(one, owner=owner, explanation=explanation, fix_by=fix_by, actor=speaker)
    for one in found[len(ANSWERS) : len(ANSWERS) + 1]:
        actions.accept_risk(one, until=day_of(at) + _CARRIED_FOR, why=ACCEPTED, actor=_security())
    return len(found)


def _security() -> Actor:
    address = next(one.email for one in staff.SIGN_INS if one.role == "security_admin")
    return _actor(Person.objects.get(user_name=address))


def _actor(person: Person) -> Actor:
    return Actor(ActorKind.PERSON, str(person.ref), Door.WEB, person_id=person.pk)
