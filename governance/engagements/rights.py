"""Who may do what in an engagement. Security administrators are its hosts; auditors and its guests look and answer."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, NotAllowed
from governance.engagements import events
from governance.engagements.models import Engagement, Guest
from governance.identity.models import RoleName
from governance.identity.queries import is_guest, roles_of
from governance.ledger.recording import Subject, record

_ENDED = "This engagement has ended. Ask whoever invited you to extend it."
_NOT_YOURS = "You were not invited to this engagement."


def subject_of(engagement: Engagement) -> Subject:
    """Return what ledger entries about the engagement name."""
    return Subject("engagement", str(engagement.ref))


def has_ended(engagement: Engagement, at: datetime) -> bool:
    """Tell whether its guests see nothing of it any more."""
    return engagement.closed_at is not None or engagement.ends_at <= at


def check_host(actor: Actor) -> None:
    """Raise NotAllowed unless the actor is a security administrator."""
    if actor.person_id is None or RoleName.SECURITY_ADMIN.value not in roles_of(actor.person_id):
        raise NotAllowed("Engagements are opened and answered by security administrators.")


def check_may_read(engagement: Engagement, actor: Actor) -> None:
    """Raise NotAllowed unless the actor is a live guest of it, an auditor or a security administrator.

    That a guest was refused is recorded, in a transaction of its own.
    """
    refusal = _refusal(engagement, actor)
    if refusal:
        refuse(engagement, refusal, actor=actor)


def check_may_audit(engagement: Engagement, actor: Actor) -> None:
    """Raise NotAllowed unless the actor audits it: a live guest or an auditor. Raises Conflict once it is closed."""
    check_may_read(engagement, actor)
    if not is_guest(_person_id(actor)) and RoleName.AUDITOR.value not in roles_of(_person_id(actor)):
        raise NotAllowed("This is for the auditors of the engagement.")
    check_runs(engagement)


def check_runs(engagement: Engagement) -> None:
    """Raise Conflict once the engagement is closed."""
    if engagement.closed_at is not None:
        raise Conflict("This engagement is closed.")


def comes_from_outside(actor: Actor) -> bool:
    """Tell whether the actor is a guest."""
    return actor.person_id is not None and is_guest(actor.person_id)


def refuse(engagement: Engagement, why: str, *, actor: Actor) -> None:
    """Record that somebody asked for what the engagement does not give them, and raise NotAllowed."""
    with transaction.atomic():
        record(events.ENGAGEMENT_REFUSED, actor=actor, subjects=[subject_of(engagement)])
    raise NotAllowed(why)


def _refusal(engagement: Engagement, actor: Actor) -> str:
    person_id = _person_id(actor)
    if not is_guest(person_id):
        may = {RoleName.SECURITY_ADMIN.value, RoleName.AUDITOR.value} & roles_of(person_id)
        return "" if may else "Engagements are for auditors and security administrators."
    mine = Guest.objects.filter(engagement=engagement, person_id=person_id, withdrawn_at__isnull=True)
    if not mine.exists():
        return _NOT_YOURS
    return _ENDED if has_ended(engagement, now()) else ""


def _person_id(actor: Actor) -> int:
    if actor.person_id is None:
        raise NotAllowed("Engagements are for people.")
    return actor.person_id
