"""The writers of people. Called by lifecycle and by roles; they change identity only and record nothing themselves."""

from __future__ import annotations

import contextlib
import uuid
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Max, Q

from governance.core.actor import Actor
from governance.core.errors import Conflict, Invalid
from governance.identity.models import Person, PersonRevision, Status
from governance.identity.profiles import LIMITS, Profile, document_from_profile, key, normalised

#: Fields of a person that a revision keeps, and that therefore make one when they change.
REVISED = ("user_name", "display_name", "email", "title", "department", "person_type", "manager_id", "status")


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
    """Return somebody who left, is no longer listed, and comes back with this profile; locked."""
    same = Q(user_name_key=key(profile.user_name))
    if profile.external_id:
        same |= Q(external_id=profile.external_id, source=source)
    return (
        Person.objects.select_for_update(no_key=True)
        .filter(same, is_listed=False, status=Status.LEFT)
        .order_by("-left_at")
        .first()
    )


def add(profile: Profile, *, source: str, at: datetime, actor: Actor) -> Person:
    """Insert a person and the first revision.

    Raises Conflict when a listed person already has the user name.
    """
    person = Person(source=source, joined_at=at, created_at=at, modified_at=at, status=Status.ACTIVE)
    person.set_unusable_password()
    _fill(person, profile)
    person.manager_id = resolve_manager(profile.manager_hint)
    _guarded(person, insert=True)
    _revise(person, change="joined", effective_at=at, at=at, actor=actor, number=1)
    adopt_reports(person)
    return person


def rewrite(person: Person, profile: Profile, *, at: datetime, actor: Actor) -> bool:
    """Make a locked person say what the profile says; return whether anything changed.

    The status is not touched. Raises Conflict when another listed person has the user name.
    """
    before = _revised_values(person)
    old_document, old_hint = person.document, person.manager_hint
    old_keys = (person.external_id, person.employee_number, person.user_name_key)
    _fill(person, profile)
    if person.manager_hint != old_hint or (person.manager_id is None and person.manager_hint):
        manager_id = resolve_manager(person.manager_hint)
        person.manager_id = manager_id if manager_id != person.id else None
    if person.document == old_document and _revised_values(person) == before:
        return False
    person.version += 1
    person.modified_at = at
    _guarded(person, insert=False)
    if _revised_values(person) != before:
        _revise(person, change="updated", effective_at=at, at=at, actor=actor)
    if (person.external_id, person.employee_number, person.user_name_key) != old_keys:
        adopt_reports(person)
    return True


def mark_left(person: Person, *, at: datetime, effective_at: datetime, unlist: bool, actor: Actor) -> None:
    """Write that a locked person left; their sessions end now."""
    person.status = Status.LEFT
    person.left_at = effective_at
    person.sessions_end_at = at
    person.is_listed = person.is_listed and not unlist
    _touch(person, at=at, active=False)
    _revise(person, change="left", effective_at=effective_at, at=at, actor=actor)


def unlist(person: Person, *, at: datetime, actor: Actor) -> None:
    """Write that the directory deleted a locked person who had left before."""
    person.is_listed = False
    _touch(person, at=at, active=False)
    _revise(person, change="unlisted", effective_at=at, at=at, actor=actor)


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
    _revise(person, change="rejoined", effective_at=at, at=at, actor=actor)


def resolve_manager(hint: str) -> int | None:
    """Return the id of the person a directory means: by its id, external id, user name or employee number."""
    if not hint:
        return None
    same = Q(external_id=hint) | Q(user_name_key=key(hint)) | Q(employee_number=hint)
    with contextlib.suppress(ValueError):
        same |= Q(scim_id=uuid.UUID(hint))
    found = list(Person.objects.filter(same, is_listed=True).order_by("id")[:10])
    ranks = (
        lambda person: str(person.scim_id) == hint.lower(),
        lambda person: person.external_id == hint,
        lambda person: person.user_name_key == key(hint),
        lambda person: person.employee_number == hint,
    )
    return next((person.id for rank in ranks for person in found if rank(person)), None)


def adopt_reports(person: Person) -> None:
    """Give a person the reports that named them as manager before they were known."""
    names = [str(person.scim_id), person.external_id, person.user_name, person.user_name_key, person.employee_number]
    Person.objects.filter(manager_hint__in=[name for name in names if name], manager__isnull=True).exclude(
        id=person.id
    ).update(manager=person)


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
    _guarded(person, insert=False)


def _guarded(person: Person, *, insert: bool) -> None:
    try:
        with transaction.atomic():
            person.save(force_insert=insert, force_update=not insert)
    except IntegrityError as error:
        if "person_user_name_is_taken_once" in str(error):
            raise Conflict(f"The user name {person.user_name} is already taken.") from error
        raise


def _revised_values(person: Person) -> tuple[object, ...]:
    return tuple(getattr(person, name) for name in REVISED)


def _revise(
    person: Person, *, change: str, effective_at: datetime, at: datetime, actor: Actor, number: int | None = None
) -> None:
    if number is None:
        last = PersonRevision.objects.filter(person=person).aggregate(last=Max("number"))["last"]
        number = (last or 0) + 1
    PersonRevision.objects.create(
        person=person,
        number=number,
        effective_at=effective_at,
        recorded_at=at,
        change=change,
        actor_ref=actor.ref,
        correlation_id=actor.correlation_id,
        **{name: getattr(person, name) for name in REVISED},
    )
