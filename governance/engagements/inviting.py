"""The writers of guests: invite, withdraw, and accept by the link."""

from __future__ import annotations

import secrets
from datetime import timedelta

from django.db import transaction

from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid, NotFound
from governance.engagements import events
from governance.engagements.models import Engagement, Guest
from governance.engagements.rights import check_host, check_runs, has_ended, subject_of
from governance.identity.guests import add_guest, check_guest, guest_by_email, works_here
from governance.identity.models import Person
from governance.identity.passwords import set_password
from governance.identity.roles import digest
from governance.ledger.recording import Subject, record

#: A link that nobody followed by then is of no use to whoever finds it.
LINK_LASTS = timedelta(days=14)


@transaction.atomic
def invite(engagement: Engagement, email: str, name: str, *, actor: Actor) -> tuple[Guest, str]:
    """Invite somebody from outside; return the invitation and the token of its link, which is not kept.

    Raises Invalid naming `email` or `name`, Conflict and NotAllowed.
    """
    check_host(actor)
    check_runs(engagement)
    check_guest(email, name)
    colleague = works_here(email)
    if colleague is not None:
        raise Invalid({"email": f"{colleague.display_name} works here. Give them the role of auditor instead."})
    if engagement.guests.filter(email__iexact=email.strip(), withdrawn_at__isnull=True).exists():
        raise Invalid({"email": "This address is invited already. Withdraw that invitation to send another."})
    token, at = secrets.token_urlsafe(32), now()
    guest = Guest.objects.create(
        engagement=engagement,
        name=name.strip(),
        email=email.strip(),
        token_digest=digest(token),
        invited_at=at,
        invited_by_ref=actor.ref,
        expires_at=at + LINK_LASTS,
    )
    record(events.GUEST_INVITED, actor=actor, subjects=[subject_of(engagement), Subject("guest", str(guest.pk))])
    return guest, token


@transaction.atomic
def withdraw(guest: Guest, *, actor: Actor) -> None:
    """Take an invitation back: its link and its guest no longer get in. Raises Conflict and NotAllowed."""
    check_host(actor)
    changed = Guest.objects.filter(pk=guest.pk, withdrawn_at__isnull=True).update(withdrawn_at=now())
    if not changed:
        raise Conflict("This invitation was withdrawn already.")
    subjects = [subject_of(guest.engagement), Subject("guest", str(guest.pk))]
    record(events.GUEST_WITHDRAWN, actor=actor, subjects=subjects)


def invitation(token: str) -> Guest:
    """Return the invitation behind a link. Raises NotFound when it is used, withdrawn, over, or never was."""
    guest = Guest.objects.select_related("engagement").filter(token_digest=digest(token)).first()
    at = now()
    if guest is None or guest.accepted_at or guest.withdrawn_at or guest.expires_at <= at:
        raise NotFound("This invitation was used, withdrawn or is too old. Ask whoever sent it for another.")
    if has_ended(guest.engagement, at):
        raise NotFound("The engagement of this invitation has ended.")
    return guest


def needs_new_password(guest: Guest) -> bool:
    """Tell whether whoever accepts has no password here yet."""
    return guest_by_email(guest.email) is None


@transaction.atomic
def accept(token: str, *, password: str, actor: Actor) -> Person:
    """Take up an invitation and return who came; a new guest gets this password, a known one proves theirs.

    Raises NotFound as `invitation` does, Conflict when somebody else was faster, and Invalid naming `password`.
    """
    guest = invitation(token)
    person = guest_by_email(guest.email)
    if person is None:
        person = add_guest(guest.email, guest.name, actor=actor)
        set_password(person, password, actor=actor)
    elif not person.check_password(password):
        raise Invalid({"password": "That is not your password here."})
    changed = Guest.objects.filter(pk=guest.pk, accepted_at__isnull=True, withdrawn_at__isnull=True).update(
        person=person, accepted_at=now()
    )
    if not changed:
        raise Conflict("This invitation was used already.")
    subjects = [subject_of(guest.engagement), Subject("person", str(person.ref)), Subject("guest", str(guest.pk))]
    record(events.INVITATION_ACCEPTED, actor=actor, subjects=subjects)
    return person
