"""Joiners, movers and leavers: the one set of actions that every door calls.

Each is one transaction: identity, grants, orders to applications and the ledger change together or not at all.
None of them waits for an application.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from governance.access import birthright
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict
from governance.core.transactions import whole
from governance.identity import events, groups, people
from governance.identity.models import Group, Person, Status
from governance.identity.profiles import Profile
from governance.ledger.recording import Record, Subject, record, record_many
from governance.lifecycle import brake, holding, leaving, losses
from governance.lifecycle import events as leaving_events
from governance.lifecycle.models import ItemState

#: One ledger entry names at most so many people; more are in the membership revisions of the same correlation id.
LISTED_SUBJECTS = 100


@whole
def join(profile: Profile, *, source: str, actor: Actor) -> Person:
    """Return the person who joined: new, or somebody who had left and comes back with their history.

    A profile that is not active joins and leaves at once, so that the directory's state is kept. Somebody whom a
    directory deleted while the brake held it comes back as if nothing had been.
    Raises Invalid for a profile that cannot be stored and Conflict when the user name is taken.
    """
    people.check_profile(profile)
    at = now()
    person = people.find_former(profile, source=source)
    was_active = person is not None and person.is_active
    if person is None:
        person = people.add(profile, source=source, at=at, actor=actor)
        event = events.PERSON_JOINED
    else:
        people.mark_returned(person, source=source, at=at, actor=actor)
        people.rewrite(person, profile, at=at, actor=actor)
        event = events.PERSON_REJOINED
    record(event, actor=actor, subjects=[_subject(person)], data={"source": source})
    if profile.is_active:
        if was_active:
            _take_back(person, at=at, actor=actor)
        birthright.apply([person.pk], at=at, actor=actor)
    elif was_active:
        leave(person, actor=actor, source=source)
    else:
        _end_everything(person, at=at, actor=actor)
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
def update(person: Person, profile: Profile, *, actor: Actor, source: str | None = None) -> Person:
    """Make a person say what the profile says; what follows from it (leaving, returning, moving) follows at once.

    `source` is who says so, for the brake; by default the door of the actor.
    `person` must be locked by this transaction (`identity.queries.locked_person`).
    Raises Invalid for a profile that cannot be stored and Conflict when the user name is taken.
    """
    people.check_profile(profile)
    leaves = not profile.is_active and person.status == Status.ACTIVE and _said_active(person)
    if leaves and people.says_only_that_they_left(person, profile):
        return leave(person, actor=actor, source=source)
    at = now()
    returns = profile.is_active and person.status == Status.LEFT
    takes_back = profile.is_active and person.status == Status.ACTIVE and not _said_active(person)
    if returns:
        people.mark_returned(person, source=person.source, at=at, actor=actor)
    changed = people.rewrite(person, profile, at=at, actor=actor)
    if returns:
        record(events.PERSON_REJOINED, actor=actor, subjects=[_subject(person)], data={"source": person.source})
    elif changed:
        record(events.PERSON_UPDATED, actor=actor, subjects=[_subject(person)], data={"version": person.version})
    if takes_back:
        _take_back(person, at=at, actor=actor)
    if leaves:
        leave(person, actor=actor, source=source)
    elif (changed or returns) and person.status == Status.ACTIVE:
        birthright.apply([person.pk], at=at, actor=actor, spare=losses.spare(at=at, actor=actor, source=source))
    return person


@whole
def update_many(said: Sequence[tuple[Person, Profile]], *, actor: Actor, source: str | None = None) -> None:
    """Make locked people say what their profiles say, as `update` for each; set-based for those who only move.

    What they lose by role is counted for the brake together. Raises what `update` raises.
    """
    at = now()
    moves: list[tuple[Person, Profile]] = []
    for person, profile in said:
        if profile.is_active and person.status == Status.ACTIVE and _said_active(person):
            people.check_profile(profile)
            moves.append((person, profile))
        else:
            update(person, profile, actor=actor, source=source)
    changed = people.rewrite_many(moves, at=at, actor=actor)
    record_many(
        Record(events.PERSON_UPDATED, actor, [_subject(person)], data={"version": person.version}) for person in changed
    )
    if changed:
        spare = losses.spare(at=at, actor=actor, source=source)
        birthright.apply([person.pk for person in changed], at=at, actor=actor, spare=spare)


@whole
def leave(
    person: Person,
    *,
    actor: Actor,
    unlist: bool = False,
    effective_at: datetime | None = None,
    source: str | None = None,
) -> Person:
    """End everything a person has: sessions, tokens, grants, requests; order every removal; hand over what they owned.

    One transaction. `unlist`: the directory deleted the resource, so it disappears from SCIM; the person and their
    history stay. `effective_at` is when they left according to the source (default: now). Leaving twice changes nothing
    more. `source` is who says so, for the brake; by default the door of the actor. When its brake is on, the person
    stays active until somebody decided (`lifecycle.holds`); what SCIM shows is what the directory said.
    `person` must be locked by this transaction.
    """
    at = now()
    source = source or brake.source_of(actor)
    if person.status == Status.LEFT:
        if unlist and person.is_listed:
            people.unlist(person, at=at, actor=actor)
            record(events.PERSON_UNLISTED, actor=actor, subjects=[_subject(person)])
        return person
    seen = leaving.look(person, source=source, at=at)
    if source is not None and leaving.is_held_back(person, seen, source=source, unlist=unlist, at=at, actor=actor):
        if source.startswith("scim:"):
            people.note_signal(person, unlist=unlist, at=at, actor=actor)
        return person
    leaving.carry_out(person, seen, source=source, unlist=unlist, effective_at=effective_at or at, at=at, actor=actor)
    return person


def _end_everything(person: Person, *, at: datetime, actor: Actor) -> None:
    """Let somebody leave who has just been written down, or had left before: no source takes anything from them."""
    seen = leaving.look(person, source=None, at=at)
    leaving.carry_out(person, seen, source=None, unlist=False, effective_at=at, at=at, actor=actor)


def _said_active(person: Person) -> bool:
    """Tell whether the directory's last word was that a person is active. It is not while the brake holds them."""
    return person.document.get("active") is not False


def _take_back(person: Person, *, at: datetime, actor: Actor) -> None:
    """Let go what is held about the leaving of somebody of whom the directory says that they are active after all."""
    items = [item for item in holding.waiting_items([person.pk], ["leave"]) if item.hold.source == person.source]
    holding.settle(items, ItemState.WITHDRAWN, leaving_events.HOLD_WITHDRAWN, at=at, actor=actor)


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
    spare = losses.spare(at=at, actor=actor) if left else None
    birthright.apply(sorted({*entered, *left}), at=at, actor=actor, spare=spare)


def _subject(person: Person) -> Subject:
    return Subject("person", str(person.ref))


def _group(group: Group) -> Subject:
    return Subject("group", str(group.ref))
