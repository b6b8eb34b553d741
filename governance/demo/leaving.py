"""Leaving at the demo company: two people with a last day to come, and a file that left most of a department out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta

from governance.core.actor import Actor, Door
from governance.demo import staff
from governance.demo.people import Company, Member
from governance.demo.world import World
from governance.ledger.recording import Subject
from governance.lifecycle import events
from governance.lifecycle.models import HeldItem, Hold, Kind, LeavePlan, PeopleFile, SourceBrake

_SOURCE = "file:hr"
_LEFT_OUT = "Support"
_PLANS = ((9, "The contract ends"), (23, "Moves to another company"))
#: Of the people, in percent, as `SourceBrake` has it by default.
_SHARE = 5


def leave(world: World, company: Company) -> None:
    """Write planned leave dates, a file of people of this morning, and the change it is held for."""
    named = {one.handle for one in staff.NAMED}
    others = [one for one in company.active() if one.handle not in named]
    contractors = [one for one in others if one.person_type == "Contractor"]
    admin = company["ravi.menon"]
    for (days, note), member in zip(_PLANS, contractors[-2:], strict=True):
        _plan(world, member, days, note, by=admin)
    missing = [one for one in others if one.now.department == _LEFT_OUT]
    _hold(world, missing, people=len(company.active()))


def _plan(world: World, member: Member, days: int, note: str, *, by: Member) -> None:
    at, actor = world.workday(2), world.by(by.person)
    leaves_at = datetime.combine((world.at + timedelta(days=days)).date(), time(17), UTC)
    member.person.leaves_at = leaves_at
    world.add(
        LeavePlan(
            person=member.person,
            leaves_at=leaves_at,
            source="page",
            note=note,
            set_at=at,
            set_by_ref=actor.ref,
            correlation_id=actor.correlation_id,
        )
    )
    world.record(
        events.LEAVING_PLANNED,
        member.subject,
        actor=actor,
        at=at,
        data={"leaves_at": leaves_at.isoformat(), "before": None, "source": "page"},
        private={"note": (member.ref, note)},
    )


def _hold(world: World, missing: Sequence[Member], *, people: int) -> None:
    at = world.at - timedelta(minutes=47)
    actor = world.system("hr_file", door=Door.COMMAND)
    limit = max(10, people * _SHARE // 100)
    world.add(SourceBrake(source=_SOURCE, people=people, counted_at=at))
    hold = world.add(
        Hold(
            ref=world.ref(),
            source=_SOURCE,
            opened_at=at,
            limit=limit,
            people=people,
            window_hours=24,
            correlation_id=actor.correlation_id,
        )
    )
    about = (Subject("hold", str(hold.ref)), Subject("source", _SOURCE))
    data: dict[str, object] = {"limit": limit, "people": people, "window_hours": 24}
    world.record(events.HOLD_OPENED, *about, actor=actor, at=at, data=data)
    for member in missing:
        world.add(
            HeldItem(
                hold=hold,
                person=member.person,
                kind=Kind.LEAVE,
                signalled_at=at,
                signalled_by_ref=actor.ref,
                correlation_id=actor.correlation_id,
            )
        )
        world.record(events.LEAVING_HELD, *about, member.subject, actor=actor, at=at, data={"kind": Kind.LEAVE.value})
    _file(world, actor, rows=people - len(missing), held=len(missing), at=at)


def _file(world: World, actor: Actor, *, rows: int, held: int, at: datetime) -> None:
    counts = {"joined": 0, "changed": 0, "left": 0, "planned": 0, "held": held}
    digest = world.word(64)
    made = world.add(
        PeopleFile(
            name="people.csv",
            digest=digest,
            is_full=True,
            rows=rows,
            applied_at=at,
            applied_by_ref=actor.ref,
            correlation_id=actor.correlation_id,
            **counts,
        )
    )
    world.record(
        events.PEOPLE_FILE_APPLIED,
        Subject("people_file", str(made.pk)),
        Subject("source", _SOURCE),
        actor=actor,
        at=at,
        data={"digest": digest, "is_full": True, "rows": rows, **counts},
    )
