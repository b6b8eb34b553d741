"""A file of people applied: joiners, changes, leave dates and leavers in one transaction, and through the brake.

What a live connection brought keeps what its directory says: of them a file names only that they leave, and when.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, TypeVar

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid
from governance.identity.models import Connection, Person, Status
from governance.identity.profiles import ENTERPRISE, Profile, document_from_profile, key, profile_from_document
from governance.ledger.recording import Subject, record
from governance.lifecycle import actions, brake, events, holding, leaving, planning
from governance.lifecycle.brake import HR_FILE
from governance.lifecycle.models import HeldItem, ItemState, Kind, LeavePlan, PeopleFile
from governance.lifecycle.people_file_reading import MOST_PROBLEMS, Content, Problem, Row, end_of, read

Item = TypeVar("Item")

#: So many people are read and written together, all in the one transaction: what they need of memory does not grow.
BATCH = 1_000
#: The names of columns that a profile knows by another name.
_AS = {"manager": "manager_hint"}
#: What a document has of a profile; the rest of it is somebody else's and stays.
_OURS = frozenset(
    {"schemas", "userName", "externalId", "displayName", "name", "emails", "title", "userType", "timezone", "active"}
)


class Unreadable(Invalid):
    """A file has problems; nothing was changed."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        told = [str(problem) for problem in self.problems[:MOST_PROBLEMS]]
        super().__init__({"file": told})


@dataclass(slots=True)
class Outcome:
    """What a file does, or would do: names by what happens to them."""

    rows: int = 0
    joined: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    planned: list[str] = field(default_factory=list)
    called_off: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    #: A directory says what they are; the file's other columns are not taken.
    kept: list[str] = field(default_factory=list)

    @property
    def is_nothing(self) -> bool:
        """Tell whether nothing changes."""
        changes = (self.joined, self.changed, self.left, self.planned, self.called_off, self.held)
        return not any(changes)


@dataclass(slots=True)
class _Work:
    """What is to be done, decided from the file and the people it names."""

    join: list[Row] = field(default_factory=list)
    #: Who is known and stays; whether anything changes is seen when they are read whole.
    stay: list[tuple[int, Row]] = field(default_factory=list)
    leave: dict[int, datetime | None] = field(default_factory=dict)
    plan: dict[int, datetime] = field(default_factory=dict)
    call_off: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Somebody:
    """What has to be known of everybody a file may be about, before anything is decided."""

    pk: int
    user_name: str
    user_name_key: str
    employee_number: str
    status: str
    source: str
    time_zone: str
    leaves_at: datetime | None


_KNOWN = [one.name if one.name != "pk" else "id" for one in fields(_Somebody)]


def apply(raw: bytes, *, name: str, is_full: bool, actor: Actor) -> Outcome:
    """Apply a file, all of it or nothing; return what it did.

    `is_full`: the file lists everybody who has an employee number or whom a file brought; who is missing has left.
    Raises Unreadable with every problem by row.
    """
    with transaction.atomic():
        return _applied(raw, name=name, is_full=is_full, actor=actor)


def preview(raw: bytes, *, is_full: bool, actor: Actor) -> Outcome:
    """Return exactly what `apply` would do now: it is done and rolled back. Raises Unreadable."""
    with transaction.atomic():
        outcome = _applied(raw, name="", is_full=is_full, actor=actor)
        transaction.set_rollback(True)
    return outcome


def _applied(raw: bytes, *, name: str, is_full: bool, actor: Actor) -> Outcome:
    at = now()
    content = read(raw)
    if content.problems:
        raise Unreadable(content.problems)
    known = _Known(content, is_full=is_full)
    if problems := list(known.problems(content)):
        raise Unreadable(problems)
    work = _decide(content, known, is_full=is_full, at=at)
    outcome = Outcome(rows=len(content.rows))
    _join(work, known, outcome, actor)
    _change(work, known, outcome, actor)
    _plan(work, known, outcome, at=at, actor=actor)
    _leave(work, known, outcome, at=at, actor=actor)
    _note(raw, name, is_full, outcome, at=at, actor=actor)
    return outcome


class _Known:
    """The people a file may be about, locked in the order of their keys, by their names."""

    def __init__(self, content: Content, *, is_full: bool) -> None:
        listed = Person.objects.filter(is_listed=True) if is_full else self._named(content)
        locked = listed.select_for_update(no_key=True).order_by("pk").values_list(*_KNOWN)
        self.people = {one[0]: _Somebody(*one) for one in locked.iterator(chunk_size=BATCH)}
        self.by_user_name = {one.user_name_key: one for one in self.people.values()}
        self.by_number: dict[str, list[_Somebody]] = {}
        for one in self.people.values():
            if one.employee_number:
                self.by_number.setdefault(key(one.employee_number), []).append(one)
        names = Connection.objects.filter(revoked_at__isnull=True).values_list("name", flat=True)
        self.live_sources = frozenset(f"scim:{name}" for name in names)

    @staticmethod
    def _named(content: Content) -> QuerySet[Person]:
        names = {key(row.user_name) for row in content.rows} | {
            key(row.said.get("manager", "")) for row in content.rows
        }
        numbers = {row.employee_number for row in content.rows} | {row.said.get("manager", "") for row in content.rows}
        listed = Person.objects.filter(is_listed=True)
        found = set(listed.filter(user_name_key__in=names - {""}).values_list("pk", flat=True))
        found |= set(listed.filter(employee_number__in=numbers - {""}).values_list("pk", flat=True))
        return Person.objects.filter(pk__in=found)

    def person(self, row: Row) -> _Somebody | None:
        """Return whom a row is about, if they are known."""
        by_name = self.by_user_name.get(key(row.user_name)) if row.user_name else None
        numbered = self.by_number.get(key(row.employee_number), []) if row.employee_number else []
        return by_name or (numbered[0] if numbered else None)

    def problems(self, content: Content) -> Iterable[Problem]:
        """Return what cannot be right when the people are looked at."""
        in_file = {key(row.user_name) for row in content.rows} | {key(row.employee_number) for row in content.rows}
        seen: dict[int, int] = {}
        for row in content.rows:
            yield from self._problems_of(row, in_file)
            person = self.person(row)
            if person is not None and seen.setdefault(person.pk, row.number) != row.number:
                yield Problem(row.number, "user_name", f"Row {seen[person.pk]} names the same person.")

    def _problems_of(self, row: Row, in_file: Collection[str]) -> Iterable[Problem]:
        by_name = self.by_user_name.get(key(row.user_name)) if row.user_name else None
        numbered = self.by_number.get(key(row.employee_number), []) if row.employee_number else []
        if by_name is None and len(numbered) > 1:
            yield Problem(row.number, "employee_number", f"{len(numbered)} people have it; name them by user name.")
        if by_name is not None and numbered and by_name not in numbered:
            yield Problem(
                row.number, "employee_number", f"It belongs to {numbered[0].user_name}, not to {by_name.user_name}."
            )
        if by_name is None and not numbered and not row.user_name and not row.has_left:
            yield Problem(row.number, "user_name", "Nobody has this employee number; a joiner needs a user name.")
        manager = key(row.said.get("manager", ""))
        if manager and manager not in self.by_user_name and manager not in self.by_number and manager not in in_file:
            yield Problem(row.number, "manager", "Nobody here or in the file has this user name or employee number.")

    def manager_hint(self, said: str) -> str:
        """Return the user name of a manager who was named by number, so that every source finds them."""
        numbered = self.by_number.get(key(said), [])
        return numbered[0].user_name if numbered and key(said) not in self.by_user_name else said


def _decide(content: Content, known: _Known, *, is_full: bool, at: datetime) -> _Work:
    work = _Work()
    named: set[int] = set()
    planned_by_file = _planned_by_file(known.people)
    for row in content.rows:
        person = known.person(row)
        leaves_at = _leaves_at(row, person)
        has_left = row.has_left or (leaves_at is not None and leaves_at <= at)
        if person is None:
            if not has_left:
                work.join.append(row)
            continue
        named.add(person.pk)
        if has_left:
            if person.status == Status.ACTIVE:
                work.leave[person.pk] = leaves_at if leaves_at is not None and leaves_at <= at else None
            continue
        work.stay.append((person.pk, row))
        if leaves_at is not None and leaves_at != person.leaves_at:
            work.plan[person.pk] = leaves_at
        elif leaves_at is None and "leave_date" in content.columns and person.pk in planned_by_file:
            work.call_off.append(person.pk)
    if is_full:
        missing = {
            pk: None
            for pk, one in known.people.items()
            if pk not in named and one.status == Status.ACTIVE and (one.employee_number or one.source == HR_FILE)
        }
        work.leave |= missing
    return work


def _leaves_at(row: Row, person: _Somebody | None) -> datetime | None:
    """Return when the last day of a row is over: where the file says, else where the person is, else the company."""
    if row.leave_date is None:
        return None
    known = person.time_zone if person is not None else ""
    return end_of(
        row.leave_date, (row.leave_zone, row.said.get("time_zone", ""), known, settings.ENVIRONMENT.company_zone)
    )


def _profile(row: Row, known: _Known, before: Profile) -> Profile:
    said: dict[str, Any] = {_AS.get(name, name): value for name, value in row.said.items()}
    if said.get("manager_hint"):
        said["manager_hint"] = known.manager_hint(said["manager_hint"])
    if not said.get("user_name"):
        said.pop("user_name", None)
    profile = replace(before, **said, is_active=True, document={})
    if "display_name" not in said and ("given_name" in said or "family_name" in said):
        profile = replace(profile, display_name=f"{profile.given_name} {profile.family_name}".strip())
    document = document_from_profile(profile)
    others = {name: value for name, value in before.document.items() if name not in _OURS and name != ENTERPRISE}
    enterprise = {
        **{
            name: value
            for name, value in (before.document.get(ENTERPRISE) or {}).items()
            if name not in ("department", "employeeNumber", "manager")
        },
        **document.get(ENTERPRISE, {}),
    }
    whole = {**others, **document, **({ENTERPRISE: enterprise} if enterprise else {})}
    return replace(profile, display_name=profile.shown_name(), document=whole)


def _planned_by_file(people: Mapping[int, _Somebody]) -> frozenset[int]:
    planned = [pk for pk, one in people.items() if one.leaves_at is not None]
    latest = LeavePlan.objects.filter(person__in=planned).order_by("person_id", "-pk").distinct("person_id")
    return frozenset(one.person_id for one in latest if one.source == HR_FILE)


def _join(work: _Work, known: _Known, outcome: Outcome, actor: Actor) -> None:
    """Let joiners join, those first whom others name as their manager."""
    named = {key(row.said.get("manager", "")) for row in work.join}
    rows = sorted(work.join, key=lambda row: not named & {key(row.user_name), key(row.employee_number)})
    for some in _batches(rows):
        profiles = [_profile(row, known, Profile(user_name=row.user_name)) for row in some]
        outcome.joined += [person.display_name for person in _joined(profiles, actor)]
    planned = {key(row.user_name): row for row in work.join if row.leave_date is not None}
    for names in _batches(list(planned)):
        made = Person.objects.filter(user_name_key__in=names, is_listed=True)
        for pk, name in made.values_list("pk", "user_name_key"):
            if (leaves_at := _leaves_at(planned[name], None)) is not None:
                work.plan[pk] = leaves_at


def _joined(profiles: Sequence[Profile], actor: Actor) -> list[Person]:
    """Let all of them join together, or one by one where somebody among them comes back."""
    try:
        with transaction.atomic():
            return actions.join_many(profiles, source=HR_FILE, actor=actor)
    except Conflict:
        return [actions.join(profile, source=HR_FILE, actor=actor) for profile in profiles]


def _change(work: _Work, known: _Known, outcome: Outcome, actor: Actor) -> None:
    for some in _batches(work.stay):
        people = Person.objects.in_bulk([pk for pk, _ in some])
        changes = []
        for pk, row in some:
            if (profile := _said_otherwise(row, people[pk], known)) is None:
                continue
            if people[pk].source in known.live_sources:
                outcome.kept.append(people[pk].display_name)
            else:
                changes.append((people[pk], profile))
        actions.update_many(changes, actor=actor, source=HR_FILE)
        outcome.changed += [person.display_name for person, _ in changes]


def _said_otherwise(row: Row, person: Person, known: _Known) -> Profile | None:
    """Return what a row says of a person where that is not what is known of them; None where it is."""
    before = profile_from_document(person.document)
    profile = _profile(row, known, before)
    names = [name for name in Profile.__slots__ if name != "document"]
    is_other = any(getattr(before, name) != getattr(profile, name) for name in names)
    return profile if is_other or person.status != Status.ACTIVE else None


def _batches(whole: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(whole), BATCH):
        yield whole[start : start + BATCH]


def _plan(work: _Work, known: _Known, outcome: Outcome, *, at: datetime, actor: Actor) -> None:
    for person in Person.objects.filter(pk__in=work.call_off).order_by("pk"):
        planning.write(person, None, source=HR_FILE, note="", at=at, actor=actor)
        outcome.called_off.append(person.display_name)
    if not work.plan:
        return
    people = {
        one.pk: one for one in Person.objects.select_for_update(no_key=True).filter(pk__in=work.plan).order_by("pk")
    }
    # Who joined with this file, and whose date only moves, loses nothing that somebody counted on.
    fresh = [pk for pk in people if people[pk].leaves_at is None and pk in known.people]
    waiting = _waiting(fresh, Kind.PLAN)
    counted = [pk for pk in fresh if pk not in waiting]
    held = _held_as_set(Kind.PLAN, {pk: work.plan[pk] for pk in counted}, at=at, actor=actor) | set(waiting)
    for pk, person in people.items():
        if pk in held:
            outcome.held.append(person.display_name)
        else:
            planning.write(person, work.plan[pk], source=HR_FILE, note="", at=at, actor=actor)
            outcome.planned.append(person.display_name)


def _leave(work: _Work, known: _Known, outcome: Outcome, *, at: datetime, actor: Actor) -> None:
    """Let everybody leave whom the file names; hold those whom no other source names when they are too many."""
    waiting = _waiting(work.leave, Kind.LEAVE)
    named_elsewhere = {pk for pk, item in waiting.items() if _is_independent(item, actor)}
    named_elsewhere |= {
        pk for pk in _about_now(work.leave, known, at) if pk not in waiting and _is_planned_elsewhere(pk, at)
    }
    counted = {pk: when for pk, when in work.leave.items() if pk not in waiting and pk not in named_elsewhere}
    held = _held_as_set(Kind.LEAVE, counted, at=at, actor=actor) | (set(waiting) - named_elsewhere)
    for some in _batches(sorted(work.leave)):
        people = Person.objects.in_bulk(some)
        for pk in some:
            if pk in held:
                outcome.held.append(people[pk].display_name)
                continue
            seen = leaving.look(people[pk], source=None, at=at)
            left_at = work.leave[pk] or at
            leaving.carry_out(people[pk], seen, source=HR_FILE, unlist=False, effective_at=left_at, at=at, actor=actor)
            outcome.left.append(people[pk].display_name)


def _about_now(person_ids: Iterable[int], known: _Known, at: datetime) -> list[int]:
    dates = {pk: known.people[pk].leaves_at for pk in person_ids}
    return [pk for pk, leaves_at in dates.items() if leaves_at is not None and leaves_at <= at + leaving.ABOUT_NOW]


def _is_planned_elsewhere(person_id: int, at: datetime) -> bool:
    return leaving.is_planned_elsewhere(Person.objects.get(pk=person_id), HR_FILE, at)


def _held_as_set(kind: Kind, people: Mapping[int, datetime | None], *, at: datetime, actor: Actor) -> set[int]:
    """Hold all of these people when they are too many for the file; return whom."""
    if not people:
        return set()
    reading = brake.count(HR_FILE, kind.value, len(people), at=at)
    if brake.passes(reading):
        return set()
    named = [holding.Held(pk, effective_at=when) for pk, when in people.items()]
    holding.hold(reading, named, at=at, actor=actor)
    return set(people)


def _waiting(person_ids: Iterable[int], kind: Kind) -> dict[int, HeldItem]:
    waiting = HeldItem.objects.filter(person_id__in=list(person_ids), kind=kind, state=ItemState.WAITING)
    return {item.person_id: item for item in waiting.select_related("hold")}


def _is_independent(item: HeldItem, actor: Actor) -> bool:
    return item.hold.source != HR_FILE and item.signalled_by_ref != actor.ref


def _note(raw: bytes, name: str, is_full: bool, outcome: Outcome, *, at: datetime, actor: Actor) -> None:
    digest = hashlib.sha256(raw).hexdigest()
    counts = {
        "joined": len(outcome.joined),
        "changed": len(outcome.changed),
        "left": len(outcome.left),
        "planned": len(outcome.planned) + len(outcome.called_off),
        "held": len(outcome.held),
    }
    made = PeopleFile.objects.create(
        name=name[:200],
        digest=digest,
        is_full=is_full,
        rows=outcome.rows,
        applied_at=at,
        applied_by_ref=actor.ref,
        correlation_id=actor.correlation_id,
        **counts,
    )
    record(
        events.PEOPLE_FILE_APPLIED,
        actor=actor,
        subjects=[Subject("people_file", str(made.pk)), Subject("source", HR_FILE)],
        data={"digest": digest, "is_full": is_full, "rows": outcome.rows, **counts},
    )
