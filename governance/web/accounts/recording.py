"""The writers of ledger entries about signing in and out."""

from __future__ import annotations

from django.db import transaction

from governance.core.actor import Actor, ActorKind, Door
from governance.identity.models import Person
from governance.ledger.recording import Subject, record
from governance.web.accounts import events

#: Who tried to sign in is not known until they have.
NOBODY_YET = "sign-in"


def as_actor(person: Person) -> Actor:
    """Return the person at the sign-in page as an actor."""
    return Actor(ActorKind.PERSON, str(person.ref), Door.WEB, person_id=person.pk)


@transaction.atomic
def succeeded(person: Person, *, actor: Actor) -> None:
    """Record that somebody signed in."""
    record(events.LOGIN_SUCCEEDED, actor=actor, subjects=[_person(person)], data={"method": "password"})


@transaction.atomic
def failed(person: Person | None, *, because: str) -> None:
    """Record that somebody could not sign in. An address that belongs to nobody is not written down."""
    subjects = [Subject("login", NOBODY_YET) if person is None else _person(person)]
    actor = Actor(ActorKind.SYSTEM, NOBODY_YET, Door.WEB)
    record(events.LOGIN_FAILED, actor=actor, subjects=subjects, data={"because": because})


@transaction.atomic
def ended(person: Person, *, actor: Actor) -> None:
    """Record that somebody signed out."""
    record(events.LOGIN_ENDED, actor=actor, subjects=[_person(person)])


@transaction.atomic
def confirmed(person: Person, *, actor: Actor) -> None:
    """Record that somebody gave their password again before something that needs it."""
    record(events.LOGIN_CONFIRMED, actor=actor, subjects=[_person(person)])


def _person(person: Person) -> Subject:
    return Subject("person", str(person.ref))
