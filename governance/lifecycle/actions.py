"""Joiners, movers and leavers: the one set of actions that every door calls.

Each is one transaction: identity, grants, orders to applications and the ledger change together or not at all.
None of them waits for an application.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from governance.access import birthright, endings, requests
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict
from governance.core.transactions import whole
from governance.identity import events, groups, people
from governance.identity.models import Group, Person, Status
from governance.identity.profiles import Profile
from governance.ledger.recording import Record, Subject, record, record_many

#: One ledger entry names at most so many people; more are in the membership revisions of the same correlation id.
LISTED_SUBJECTS = 100


@whole
def join(profile: Profile, *, source: str, actor: Actor) -> Person:
    """Return the person who joined: new, or somebody who had left and comes back with their history.

    A profile that is not active joins and leaves at once, so that the directory's state is kept.
    Raises Invalid for a profile that cannot be stored and Conflict when the user name is taken.
    """
    people.check_profile(profile)
    at = now()
    person = people.find_former(profile, source=source)
    if person is None:
        person = people.add(profile, source=source, at=at, actor=actor)
        event = events.PERSON_JOINED
    else:
        people.mark_returned(person, source=source, at=at, actor=actor)
        people.rewrite(person, profile, at=at, actor=actor)
        event = events.PERSON_REJOINED
    record(event, actor=actor, subjects=[_subject(person)], data={"source": source})
    if profile.is_active:
        birthright.apply([person.pk], at=at, actor=actor)
    else:
        leave(person, actor=actor)
    return person


@whole
def join_many(profiles: Sequence[Profile], *, source: str, actor: Actor) -> list[Person]:
    """Return people who joined together, all of them new and active, as `join` for each would have it; set-based.

    Raises Invalid or Conflict when one of them is not that: nothing is written then, and `join` tells for each.
    """
    for profile in profiles:
        people.check_profile(profile)
        if not profile.is_active:
            raise Conflict("Not all of these people are active.")
    at = now()
    joined = people.add_many(profiles, source=source, at=at, actor=actor)
    record_many(Record(events.PERSON_JOINED, actor, [_subject(person)], data={"source": source}) for person in joined)
    birthright.apply([person.pk for person in joined], at=at, actor=actor)
    return joined


@whole
def update(person: Person, profile: Profile, *, actor: Actor) -> Person:
    """Make a person say what the profile says; what follows from it (leaving, returning, moving) follows at once.

    `person` must be locked by this transaction (`identity.queries.locked_person`).
    Raises Invalid for a profile that cannot be stored and Conflict when the user name is taken.
    """
    people.check_profile(profile)
    if person.status == Status.ACTIVE and people.says_only_that_they_left(person, profile):
        return leave(person, actor=actor)
    at = now()
    returns = profile.is_active and person.status == Status.LEFT
    if returns:
        people.mark_returned(person, source=person.source, at=at, actor=actor)
    changed = people.rewrite(person, profile, at=at, actor=actor)
    if returns:
        record(events.PERSON_REJOINED, actor=actor, subjects=[_subject(person)], data={"source": person.source})
    elif changed:
        record(events.PERSON_UPDATED, actor=actor, subjects=[_subject(person)], data={"version": person.version})
    if not profile.is_active and person.status == Status.ACTIVE:
        leave(person, actor=actor)
    elif changed or returns:
        birthright.apply([person.pk], at=at, actor=actor)
    return person


@whole
def leave(person: Person, *, actor: Actor, unlist: bool = False, effective_at: datetime | None = None) -> Person:
    """End everything a person has: sessions, grants, requests; order every removal. One transaction.

    `unlist`: the directory deleted the resource, so it disappears from SCIM; the person and their history stay.
    `effective_at` is when they left according to the source (default: now). Leaving twice changes nothing more.
    `person` must be locked by this transaction.
    """
    at = now()
    if person.status == Status.LEFT:
        if unlist and person.is_listed:
            people.unlist(person, at=at, actor=actor)
            record(events.PERSON_UNLISTED, actor=actor, subjects=[_subject(person)])
        return person
    people.mark_left(person, at=at, effective_at=effective_at or at, unlist=unlist, actor=actor)
    # Nothing is asked for or granted meanwhile: the person is locked.
    has_requests, has_grants = endings.left_behind(person, at=at)
    if has_requests:
        requests.close_for_leaver(person, at=at, actor=actor)
    ended = endings.end_all_of_leaver(person, at=at, actor=actor) if has_grants else 0
    record(
        events.PERSON_LEFT,
        actor=actor,
        subjects=[_subject(person)],
        data={"grants_ended": ended, "unlisted": unlist, "effective_at": (effective_at or at).isoformat()},
    )
    return person


@whole
def create_group(
    display_name: str,
    *,
    external_id: str = "",
    document: dict[str, Any] | None = None,
    member_ids: Collection[int] = (),
    source: str,
    actor: Actor,
) -> Group:
    """Return a new group with these members (primary keys of people).

    Raises Invalid for values that cannot be stored and Conflict when the name is taken.
    """
    groups.check_group(display_name, external_id)
    at = now()
    group = groups.add(display_name, external_id=external_id, document=document or {}, source=source, at=at)
    entered = groups.enter(group, member_ids, at=at, actor=actor, touches=False)
    record(
        events.GROUP_CREATED, actor=actor, subjects=[_group(group)], data={"source": source, "members": len(entered)}
    )
    _members_changed(group, entered=entered, left={}, at=at, actor=actor)
    return group


@whole
def replace_group(
    group: Group,
    display_name: str,
    *,
    external_id: str = "",
    document: dict[str, Any] | None = None,
    member_ids: Collection[int] | None,
    actor: Actor,
) -> Group:
    """Make a locked group say this; `member_ids` None leaves the members alone.

    Raises Invalid for values that cannot be stored and Conflict when the name is taken.
    """
    groups.check_group(display_name, external_id)
    at = now()
    changed = groups.rewrite(group, display_name, external_id=external_id, document=document or {}, at=at)
    entered: Mapping[int, str] = {}
    left: Mapping[int, str] = {}
    if member_ids is not None:
        others = groups.everybody_but(group, member_ids)
        left = groups.exit_(group, others, at=at, actor=actor, touches=not changed)
        entered = groups.enter(group, member_ids, at=at, actor=actor, touches=not changed and not left)
    if changed:
        record(events.GROUP_UPDATED, actor=actor, subjects=[_group(group)], data={"version": group.version})
    _members_changed(group, entered=entered, left=left, at=at, actor=actor)
    return group


@whole
def change_members(
    group: Group, *, add: Collection[int] = (), remove: Collection[int] = (), actor: Actor
) -> tuple[list[int], list[int]]:
    """Put people into and take people out of a locked group; return who entered and who left.

    People already in, or already out, change nothing and do not move the group's version.
    """
    at = now()
    left = groups.exit_(group, remove, at=at, actor=actor)
    entered = groups.enter(group, add, at=at, actor=actor, touches=not left)
    _members_changed(group, entered=entered, left=left, at=at, actor=actor)
    return list(entered), list(left)


@whole
def delete_group(group: Group, *, actor: Actor) -> None:
    """Take everybody out of a locked group and remove it from the directory; its history stays.

    Raises Conflict when it was removed before.
    """
    if not group.is_listed:
        raise Conflict(f"The group {group.display_name} was removed before.")
    at = now()
    left = groups.exit_(group, groups.everybody_but(group, ()), at=at, actor=actor, touches=False)
    groups.unlist(group, at=at)
    record(events.GROUP_REMOVED, actor=actor, subjects=[_group(group)], data={"members": len(left)})
    _members_changed(group, entered={}, left=left, at=at, actor=actor)


def _members_changed(
    group: Group, *, entered: Mapping[int, str], left: Mapping[int, str], at: datetime, actor: Actor
) -> None:
    """Record and act on what changed: the references of people by key."""
    if not entered and not left:
        return
    refs = sorted({*entered.values(), *left.values()})
    subjects = [_group(group), *(Subject("person", ref) for ref in refs[:LISTED_SUBJECTS])]
    record(
        events.GROUP_MEMBERS_CHANGED,
        actor=actor,
        subjects=subjects,
        data={"entered": len(entered), "left": len(left)},
    )
    birthright.apply(sorted({*entered, *left}), at=at, actor=actor)


def _subject(person: Person) -> Subject:
    return Subject("person", str(person.ref))


def _group(group: Group) -> Subject:
    return Subject("group", str(group.ref))
