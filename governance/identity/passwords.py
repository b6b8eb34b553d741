"""The writer of passwords, for people who do not sign in through their identity provider."""

from __future__ import annotations

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid
from governance.identity import events
from governance.identity.models import Person
from governance.ledger.recording import Subject, record


@transaction.atomic
def set_password(person: Person, password: str, *, actor: Actor) -> None:
    """Give a person a new password; every session of theirs ends.

    Raises Invalid when it is too weak and Conflict for somebody who left.
    """
    if not person.may_sign_in:
        raise Conflict(f"{person.display_name} left and cannot sign in.")
    try:
        validate_password(password, person)
    except ValidationError as error:
        raise Invalid({"password": error.messages}) from error
    person.set_password(password)
    person.sessions_end_at = now()
    person.save(update_fields=["password", "sessions_end_at"])
    record(events.PASSWORD_SET, actor=actor, subjects=[Subject("person", str(person.ref))])
