"""The writer of guests: people from outside who sign in and are nobody's employee.

They are in no directory, hold no access, match no condition, and have no role.
"""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Invalid
from governance.identity import events
from governance.identity.models import Person, Status
from governance.identity.profiles import key
from governance.ledger.recording import Subject, record

#: What a guest is said to come from.
SOURCE = "engagement"
LONGEST_NAME = 120


def check_guest(email: str, name: str) -> None:
    """Raise Invalid naming `email` or `name` for what no guest can be called."""
    problems = {}
    try:
        validate_email(email)
    except ValidationError:
        problems["email"] = "Write an e-mail address, like ada@example.com."
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        problems["name"] = f"Write a name of 1 to {LONGEST_NAME} characters."
    if problems:
        raise Invalid(problems)


def guest_by_email(email: str) -> Person | None:
    """Return the guest with this address, in any letter case."""
    return Person.objects.filter(user_name_key=key(email), status=Status.GUEST).first()


def works_here(email: str) -> Person | None:
    """Return who works here under this address or user name, in any letter case."""
    active = Person.objects.filter(status=Status.ACTIVE)
    return active.filter(user_name_key=key(email)).first() or active.filter(email__iexact=email.strip()).first()


@transaction.atomic
def add_guest(email: str, name: str, *, actor: Actor) -> Person:
    """Return a new guest, who signs in with this address once they have a password. Raises Invalid."""
    check_guest(email, name)
    if works_here(email) is not None or guest_by_email(email) is not None:
        raise Invalid({"email": "Somebody here has this address."})
    at = now()
    person = Person(
        user_name=email.strip(),
        user_name_key=key(email),
        email=email.strip(),
        display_name=name.strip(),
        person_type="Guest",
        status=Status.GUEST,
        # No directory lists them, and none may find them.
        is_listed=False,
        source=SOURCE,
        joined_at=at,
        created_at=at,
        modified_at=at,
    )
    person.set_unusable_password()
    person.save()
    record(events.GUEST_ADDED, actor=actor, subjects=[Subject("person", str(person.ref))])
    return person
