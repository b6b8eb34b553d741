"""The writers of people. Called by lifecycle and by roles; they change identity only and record nothing themselves."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from datetime import datetime

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.db import IntegrityError, transaction

from governance.core.actor import Actor
from governance.core.errors import Conflict, Invalid
from governance.core.statements import row, rows
from governance.core.tables import update_rows
from governance.identity import person_rows
from governance.identity.models import Person, Status
from governance.identity.person_rows import Revision
from governance.identity.profiles import LIMITS, Profile, document_from_profile, key, normalised


def check_profile(profile: Profile) -> None:
    """Refuse a profile that cannot be stored, naming each field.

    Raises Invalid.
    """
    problems: dict[str, str] = {}
    if not profile.user_name.strip():
        problems["user_name"] = "A user name is needed."
    for name, limit in LIMITS.items():
        value = getattr(profile, name)
        if len(value) > limit:
            problems[name] = f"At most {limit} characters; this has {len(value)}."
        elif "\x00" in value:
            problems[name] = "The character NUL cannot be stored."
    if len(key(profile.user_name)) > LIMITS["user_name"]:
        problems.setdefault("user_name", f"At most {LIMITS['user_name']} characters without letter case (ß is ss).")
    if problems:
        raise Invalid(problems)


def find_former(profile: Profile, *, source: str) -> Person | None:
    """Return somebody who is no longer listed and comes back with this profile; locked.

    They left, or were deleted by their directory while the brake held it, and never lost anything.
    """
    name = key(profile.user_name)
    found = row(_FORMER, [name, name, profile.external_id, source])
    return Person.objects.get(pk=found[0]) if found and not found[1] else None


#: Whoever is listed under the name is waited for as well: their directory may just be deleting them.
_FORMER = """
SELECT id, is_listed FROM identity_person
WHERE (is_listed AND user_name_key = %s)
    OR (NOT is_listed AND user_name_key = %s)
    OR (NOT is_listed AND external_id = %s AND external_id <> '' AND source = %s)
ORDER BY is_listed DESC, left_at DESC LIMIT 1 FOR NO KEY UPDATE
"""


def add(profile: Profile, *, source: str, at: datetime, actor: Actor) -> Person:
    """Insert a person and the first revision.

    Raises Conflict when a listed person already has the user name.
    """
    person = new_person(profile, source=source, at=at)
    person.manager_id = resolve_manager(profile.manager_hint, source=source)
    person_rows.insert([person], Revision("joined", at, actor))
    if person.pk is None:
        raise Conflict(f"The user name {person.user_name} is already taken.")
    adopt_reports(person)
    return person


def add_many(profiles: Sequence[Profile], *, source: str, at: datetime, actor: Actor) -> list[Person]:
    """Insert people with their first revisions, and find their managers, among each other as well; a few statements.

    Raises Conflict when one has a user name that is taken, also by another of them, or comes back after leaving. The
    caller gives up its transaction then.
    """
    people = [new_person(profile, source=source, at=at) for profile in profiles]
    former = rows(_FORMERS, [[each.user_name_key for each in people], [each.external_id for each in people], source])
    if former or not person_rows.insert_many(people):
        raise Conflict("Not all of these people are new.")
    _find_managers(people, source=source)
    named = {hint for (hint,) in rows(_MISSED, [[name for each in people for name in _names(each)]])}
    for person in people:
        if named & _names(person):
            adopt_reports(person)
    person_rows.revise_first(people, Revision("joined", at, actor))
    return people


_FORMERS = """
SELECT 1 FROM identity_person
WHERE NOT is_listed AND (user_name_key = ANY(%s::text[])
    OR (external_id = ANY(%s::text[]) AND external_id <> '' AND source = %s)) LIMIT 1
"""


#: By which of these names somebody misses a manager.
_MISSED = """
SELECT DISTINCT manager_hint FROM identity_person
WHERE manager_hint = ANY(%s::text[]) AND manager_hint <> '' AND manager_id IS NULL
"""


def _find_managers(people: Sequence[Person], *, source: str) -> None:
    """Write the managers of people who are in already. One statement for each manager, and one to write."""
    found = {hint: resolve_manager(hint, source=source) for hint in {each.manager_hint for each in people}}
    for person in people:
        manager_id = found[person.manager_hint]
        person.manager_id = manager_id if manager_id != person.pk else None
    led = [person for person in people if person.manager_id is not None]
    update_rows(Person, [{"id": person.pk, "manager_id": person.manager_id} for person in led])


def new_person(profile: Profile, *, source: str, at: datetime) -> Person:
    """Return the unsaved row of somebody who joins."""
    person = Person(source=source, joined_at=at, created_at=at, modified_at=at, status=Status.ACTIVE)
    # What `set_unusable_password` sets, without drawing each character apart.
    person.password = f"{UNUSABLE_PASSWORD_PREFIX}{secrets.token_urlsafe(30)}"
    _fill(person, profile)
    return person


def rewrite(person: Person, profile: Profile, *, at: datetime, actor: Actor) -> bool:
    """Make a locked person say what the profile says; return whether anything changed.

    The status is not touched. Raises Conflict when another listed person has the user name.
    """
    old_keys = _keys(person)
    is_changed, is_revised = _say(person, profile, at=at)
    if not is_changed:
        return False
    revision = Revision("updated", at, actor) if is_revised else None
    if person.user_name_key == old_keys[2]:
        person_rows.update(person, revision)
    else:
        _rename(person, revision)
    if _keys(person) != old_keys:
        adopt_reports(person)
    return True


def rewrite_many(said: Sequence[tuple[Person, Profile]], *, at: datetime, actor: Actor) -> list[Person]:
    """Make locked people say what their profiles say, as `rewrite` for each; return who changed.

    Who keeps their names and numbers is written with the others. Raises what `rewrite` raises.
    """
    changed: list[Person] = []
    revised: list[Person] = []
    unrevised: list[Person] = []
    for person, profile in said:
        if _keys(person) != (profile.external_id, profile.employee_number, key(profile.user_name)):
            changed += [person] if rewrite(person, profile, at=at, actor=actor) else []
            continue
        is_changed, is_revised = _say(person, profile, at=at)
        if is_changed:
            changed.append(person)
            (revised if is_revised else unrevised).append(person)
    person_rows.update_many(revised, Revision("updated", at, actor))
    person_rows.update_many(unrevised, None)
    return changed


def _keys(person: Person) -> tuple[str, str, str]:
    return person.external_id, person.employee_number, person.user_name_key


def _say(person: Person, profile: Profile, *, at: datetime) -> tuple[bool, bool]:
    """Fill a person with what a profile says; tell whether that changes them, and whether it makes a revision."""
    before = person_rows.revised(person)
    old_document, old_hint = person.document, person.manager_hint
    _fill(person, profile)
    if person.manager_hint != old_hint or (person.manager_id is None and person.manager_hint):
        manager_id = resolve_manager(person.manager_hint, source=person.source)
        person.manager_id = manager_id if manager_id != person.id else None
    is_revised = person_rows.revised(person) != before
    is_changed = person.document != old_document or is_revised
    if is_changed:
        person.version += 1
        person.modified_at = at
    return is_changed, is_revised


def says_only_that_they_left(person: Person, profile: Profile) -> bool:
    """Tell whether a profile says of somebody nothing new but that they are not active any more."""
    return not profile.is_active and profile.document == {**person.document, "active": False}


def mark_left(person: Person, *, at: datetime, effective_at: datetime, unlist: bool, actor: Actor) -> None:
    """Write that a locked person left; their sessions end now."""
    person.status = Status.LEFT
    person.left_at = effective_at
    person.leaves_at = None
    person.sessions_end_at = at
    person.is_listed = person.is_listed and not unlist
    _touch(person, at=at, active=False)
    person_rows.update(person, Revision("left", effective_at, actor))


def note_signal(person: Person, *, unlist: bool, at: datetime, actor: Actor) -> None:
    """Keep that the directory says that a locked person is not active, while they stay active here.

    `unlist`: it deleted them, so they disappear from SCIM.
    """
    is_revised = unlist and person.is_listed
    person.is_listed = person.is_listed and not unlist
    _touch(person, at=at, active=False)
    person_rows.update(person, Revision("unlisted", at, actor) if is_revised else None)


def plan_leaving(person: Person, leaves_at: datetime | None) -> None:
    """Write when a locked person will leave, or that they will not. No version moves: no directory sees it."""
    person.leaves_at = leaves_at
    rows("UPDATE identity_person SET leaves_at = %s WHERE id = %s", [leaves_at, person.pk])


def unlist(person: Person, *, at: datetime, actor: Actor) -> None:
    """Write that the directory deleted a locked person who had left before."""
    person.is_listed = False
    _touch(person, at=at, active=False)
    person_rows.update(person, Revision("unlisted", at, actor))


def mark_returned(person: Person, *, source: str, at: datetime, actor: Actor) -> None:
    """Write that a locked person is active again; a new SCIM id when they were no longer listed."""
    if not person.is_listed:
        person.scim_id = uuid.uuid4()
        person.created_at = at
        person.source = source
    person.status = Status.ACTIVE
    person.left_at = None
    person.is_listed = True
    _touch(person, at=at, active=True)
    # Somebody who is listed again takes their name again, which somebody else may have by now.
    _rename(person, Revision("rejoined", at, actor))


def resolve_manager(hint: str, *, source: str) -> int | None:
    """Return the id of the person a directory means: by its id, external id, user name or employee number.

    External ids and employee numbers mean what they mean to the connection that says them (RFC 7643 §3.1): they find
    only people of the same source, and those that no live connection has.
    """
    if not hint:
        return None
    found = row(_MANAGER, {"hint": hint, "key": key(hint), "id": _uuid(hint), "source": source})
    return int(found[0]) if found else None


#: Nobody else's: of the same source, or of one that is no live connection's.
_SEEN = """(source = %(source)s::text OR NOT EXISTS (
    SELECT 1 FROM identity_connection c WHERE c.revoked_at IS NULL AND 'scim:' || c.name = {holder}))"""
_MANAGER = f"""
SELECT id FROM identity_person
WHERE is_listed AND (scim_id = %(id)s OR user_name_key = %(key)s
    OR (external_id = %(hint)s AND external_id <> '' AND {_SEEN.format(holder="identity_person.source")})
    OR (employee_number = %(hint)s AND employee_number <> ''
        AND {_SEEN.format(holder="identity_person.source")}))
ORDER BY scim_id IS DISTINCT FROM %(id)s, external_id <> %(hint)s, user_name_key <> %(key)s, id LIMIT 1
"""  # noqa: S608 - made of constants; values are parameters


def _uuid(text: str) -> uuid.UUID | None:
    try:
        found = uuid.UUID(text)
    except ValueError:
        return None
    return found if str(found) == text.lower() else None


def _names(person: Person) -> set[str]:
    """Return everything that somebody may call a person by as their manager."""
    names = {str(person.scim_id), person.user_name, person.user_name_key, person.external_id, person.employee_number}
    return names - {""}


def adopt_reports(person: Person) -> None:
    """Give a person the reports that named them as manager before they were known."""
    everywhere = {str(person.scim_id), person.user_name, person.user_name_key}
    said = {"names": sorted(_names(person)), "everywhere": sorted(everywhere), "id": person.pk, "source": person.source}
    rows(_ADOPT, said)


# Locked in the order of their ids, as everything locks several people: a change of a group may want the same ones.
_ADOPT = f"""
WITH reports AS MATERIALIZED (
    SELECT id FROM identity_person
    WHERE manager_hint = ANY(%(names)s::text[]) AND manager_hint <> '' AND manager_id IS NULL AND id <> %(id)s
        AND (manager_hint = ANY(%(everywhere)s::text[]) OR {_SEEN.format(holder="%(source)s::text")})
    ORDER BY id FOR NO KEY UPDATE
)
UPDATE identity_person SET manager_id = %(id)s WHERE id IN (SELECT id FROM reports)
"""  # noqa: S608 - made of constants; values are parameters


def _fill(person: Person, profile: Profile) -> None:
    for name in LIMITS:
        setattr(person, name, getattr(profile, name))
    person.user_name_key = key(profile.user_name)
    person.display_name = profile.shown_name()
    person.document = profile.document or document_from_profile(profile)
    person.document_key = normalised(person.document)


def _touch(person: Person, *, at: datetime, active: bool) -> None:
    person.document = {**person.document, "active": active}
    person.document_key = normalised(person.document)
    person.version += 1
    person.modified_at = at


def _rename(person: Person, revision: Revision | None) -> None:
    """Write a row whose user name may be taken. The savepoint keeps the caller's transaction usable."""
    try:
        with transaction.atomic():
            person_rows.update(person, revision)
    except IntegrityError as error:
        if "person_user_name_is_taken_once" in str(error):
            raise Conflict(f"The user name {person.user_name} is already taken.") from error
        raise
