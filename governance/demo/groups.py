"""The groups of the directory: who is in them now, and when who entered and left."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from governance.demo.people import Company, Member
from governance.demo.world import World, from_directory
from governance.identity import events
from governance.identity.models import Group, Membership, MembershipRevision
from governance.identity.profiles import key, normalised
from governance.ledger.recording import Subject

#: One ledger entry names at most so many people, as in `lifecycle.actions`.
_LISTED = 100
_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Group"


@dataclass(frozen=True, slots=True)
class _Change:
    """Somebody entered or left a group."""

    at: datetime
    group: str
    member: Member
    entered: bool
    correlation_id: str


def write_groups(world: World, company: Company) -> None:
    """Make the groups with their members, what came before, and the ledger entries."""
    changes = [change for member in company for change in _changes(member)]
    changes.sort(key=lambda one: (one.at, one.group, one.member.person.pk))
    groups = {name: world.add(_group(world, name)) for name in sorted({one.group for one in changes})}
    inside: dict[tuple[str, int], _Change] = {}
    together: dict[tuple[datetime, str], list[_Change]] = defaultdict(list)
    for change in changes:
        together[change.at, change.group].append(change)
        place = (change.group, change.member.person.pk)
        if change.entered:
            inside[place] = change
        else:
            del inside[place]
        world.add(
            MembershipRevision(
                group=groups[change.group],
                person_id=change.member.person.pk,
                entered=change.entered,
                recorded_at=change.at,
                correlation_id=change.correlation_id,
            )
        )
    for (name, person_id), change in inside.items():
        world.add(Membership(group=groups[name], person_id=person_id, since=change.at))
    for (at, name), some in together.items():
        _record(world, groups[name], at, some)


def _changes(member: Member) -> list[_Change]:
    changes: list[_Change] = []
    before: list[str] = []
    for stage in member.stages:
        names = member.groups_at(stage)
        at, correlation_id = stage.recorded_at, stage.correlation_id
        changes += [_Change(at, name, member, False, correlation_id) for name in before if name not in names]
        changes += [_Change(at, name, member, True, correlation_id) for name in names if name not in before]
        before = names
    return changes


def _group(world: World, name: str) -> Group:
    external_id = f"grp-{world.word(8)}"
    document = {"schemas": [_SCHEMA], "displayName": name, "externalId": external_id}
    group = Group(
        ref=world.ref(),
        scim_id=world.ref(),
        display_name=name,
        display_name_key=key(name),
        external_id=external_id,
        source="demo",
        document=document,
        document_key=normalised(document),
        created_at=world.rollout_at,
        modified_at=world.rollout_at,
    )
    data: dict[str, object] = {"source": "demo", "members": 0}
    actor = from_directory(world.correlation())
    world.record(events.GROUP_CREATED, Subject("group", str(group.ref)), actor=actor, at=world.rollout_at, data=data)
    return group


def _record(world: World, group: Group, at: datetime, changes: list[_Change]) -> None:
    group.version += 1
    group.modified_at = at
    people = sorted(change.member.ref for change in changes)[:_LISTED]
    entered = sum(change.entered for change in changes)
    world.record(
        events.GROUP_MEMBERS_CHANGED,
        Subject("group", str(group.ref)),
        *(Subject("person", ref) for ref in people),
        actor=from_directory(changes[0].correlation_id),
        at=at,
        data={"entered": entered, "left": len(changes) - entered},
    )
