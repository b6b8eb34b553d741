"""The writers of groups and memberships: set-based, so that the cost of one member does not grow with the group."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from governance.core.actor import Actor
from governance.core.errors import Conflict, Invalid
from governance.core.statements import rows
from governance.identity.models import Group, Membership
from governance.identity.profiles import key, normalised


def check_group(display_name: str, external_id: str) -> None:
    """Refuse a group that cannot be stored, naming each field.

    Raises Invalid.
    """
    problems: dict[str, str] = {}
    if not display_name.strip():
        problems["display_name"] = "A display name is needed."
    for name, value in (("display_name", display_name), ("external_id", external_id)):
        if len(value) > 320:
            problems[name] = f"At most 320 characters; this has {len(value)}."
        elif "\x00" in value:
            problems[name] = "The character NUL cannot be stored."
    if len(key(display_name)) > 320:
        problems.setdefault("display_name", "At most 320 characters without letter case (ß is ss).")
    if problems:
        raise Invalid(problems)


def add(display_name: str, *, external_id: str, document: dict[str, Any], source: str, at: datetime) -> Group:
    """Insert a group without members.

    Raises Conflict when a listed group already has the display name.
    """
    group = Group(source=source, created_at=at, modified_at=at)
    _fill(group, display_name, external_id, document)
    _guarded(group, insert=True)
    return group


def rewrite(group: Group, display_name: str, *, external_id: str, document: dict[str, Any], at: datetime) -> bool:
    """Make a locked group say this; return whether anything changed."""
    before = (group.display_name, group.external_id, group.document)
    _fill(group, display_name, external_id, document)
    if (group.display_name, group.external_id, group.document) == before:
        return False
    group.version += 1
    group.modified_at = at
    _guarded(group, insert=False)
    return True


def touch(group: Group, *, at: datetime) -> None:
    """Move a locked group's version."""
    group.version += 1
    group.modified_at = at
    rows(_TOUCH, [group.version, at, group.pk])


_TOUCH = "UPDATE identity_group SET version = %s, modified_at = %s WHERE id = %s"


def enter(
    group: Group, person_ids: Collection[int], *, at: datetime, actor: Actor, touches: bool = True
) -> dict[int, str]:
    """Put people into a locked group; return the references of those who were not in it, by key. One statement.

    The group's version moves when somebody was not, unless the caller moves it.
    """
    return _changed(_ENTER, group, person_ids, at=at, actor=actor, touches=touches)


def exit_(
    group: Group, person_ids: Collection[int], *, at: datetime, actor: Actor, touches: bool = True
) -> dict[int, str]:
    """Take people out of a locked group; return the references of those who were in it, by key. One statement."""
    return _changed(_EXIT, group, person_ids, at=at, actor=actor, touches=touches)


_CHANGE = """
WITH changed AS ({change}), noted AS (
    INSERT INTO identity_membershiprevision (group_id, person_id, entered, recorded_at, correlation_id)
    SELECT %(group)s::bigint, person_id, {entered}, %(at)s::timestamptz, %(correlation)s FROM changed
), touched AS (
    UPDATE identity_group SET version = version + 1, modified_at = %(at)s::timestamptz
    WHERE id = %(group)s AND %(touches)s::boolean AND EXISTS (SELECT 1 FROM changed)
)
SELECT changed.person_id, person.ref FROM changed JOIN identity_person person ON person.id = changed.person_id
"""
_ENTER = _CHANGE.format(
    entered="true",
    change="""
    INSERT INTO identity_membership (group_id, person_id, since)
    SELECT %(group)s::bigint, person_id, %(at)s::timestamptz FROM unnest(%(people)s::bigint[]) AS person_id
    ON CONFLICT (group_id, person_id) DO NOTHING RETURNING person_id""",
)
_EXIT = _CHANGE.format(
    entered="false",
    change="""
    DELETE FROM identity_membership WHERE group_id = %(group)s AND person_id = ANY(%(people)s::bigint[])
    RETURNING person_id""",
)


def everybody_but(group: Group, person_ids: Collection[int]) -> list[int]:
    """Return the members of a group that are not among these people."""
    members = Membership.objects.filter(group=group).exclude(person_id__in=list(person_ids))
    return list(members.values_list("person_id", flat=True))


def unlist(group: Group, *, at: datetime) -> None:
    """Write that the directory deleted a locked group. Its members are taken out before."""
    group.is_listed = False
    group.removed_at = at
    touch(group, at=at)
    Group.objects.filter(pk=group.pk).update(is_listed=False, removed_at=at)


def _fill(group: Group, display_name: str, external_id: str, document: dict[str, Any]) -> None:
    group.display_name = display_name
    group.display_name_key = key(display_name)
    group.external_id = external_id
    group.document = {name: value for name, value in document.items() if name != "members"}
    group.document_key = normalised(group.document)


def _guarded(group: Group, *, insert: bool) -> None:
    try:
        with transaction.atomic():
            group.save(force_insert=insert, force_update=not insert)
    except IntegrityError as error:
        if "group_display_name_is_taken_once" in str(error):
            raise Conflict(f"The group name {group.display_name} is already taken.") from error
        raise


def _changed(
    sql: str, group: Group, person_ids: Collection[int], *, at: datetime, actor: Actor, touches: bool
) -> dict[int, str]:
    if not person_ids:
        return {}
    said = {"group": group.pk, "people": list(person_ids), "at": at, "correlation": actor.correlation_id}
    changed = {key: str(ref) for key, ref in rows(sql, {**said, "touches": touches})}
    if changed and touches:
        group.version += 1
        group.modified_at = at
    return changed
