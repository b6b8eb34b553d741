"""Who may see an exception, who may answer for it, and who may carry its risk."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q

from governance.catalog.models import ApplicationOwner
from governance.core.actor import Actor, ActorKind
from governance.core.errors import NotAllowed, NotFound
from governance.exceptions.models import ControlException
from governance.identity.models import Person, RoleName, Status
from governance.identity.queries import roles_of

_NOWHERE = "There is no such exception."


def answered_by(person_id: int) -> Q:
    """Return the condition of the exceptions that somebody answers for.

    That is whoever was named. Where nobody was, or they are no longer at work, the owners of the application.
    """
    owns = ApplicationOwner.objects.filter(
        application=OuterRef("application"), person_id=person_id, person__status=Status.ACTIVE
    )
    nobody_named = Q(owner__isnull=True) | ~Q(owner__status=Status.ACTIVE)
    return Q(owner_id=person_id) | (nobody_named & Q(Exists(owns)))


def sees_all(actor: Actor) -> bool:
    """Tell whether an actor sees every exception: security administrators and auditors do."""
    return actor.person_id is not None and bool(
        {RoleName.SECURITY_ADMIN.value, RoleName.AUDITOR.value} & roles_of(actor.person_id)
    )


def check_may_see(found: ControlException, actor: Actor) -> None:
    """Raise NotFound unless the actor sees all exceptions or answers for this one."""
    if not sees_all(actor) and not _answers(found, actor):
        raise NotFound(_NOWHERE)


def may_answer(found: ControlException, actor: Actor) -> bool:
    """Tell whether an actor may say who answers for an exception, why it is there and until when it is fixed."""
    return is_security(actor) or _answers(found, actor)


def check_may_answer(found: ControlException, actor: Actor) -> None:
    """Raise NotFound for whoever may not know of it, and NotAllowed for whoever may only look."""
    check_may_see(found, actor)
    if not may_answer(found, actor):
        raise NotAllowed("Exceptions are answered by whoever answers for them and by security administrators.")


def why_not_accept(found: ControlException, actor: Actor) -> str:
    """Return why an actor may not carry the risk of an exception; empty when they may."""
    if not is_security(actor):
        return "Risks are accepted by security administrators."
    if found.person_id is not None and found.person_id == actor.person_id:
        return "It is about yourself: somebody else has to accept the risk."
    return ""


def is_security(actor: Actor) -> bool:
    """Tell whether the actor administers security, or is a command on the server."""
    if actor.kind == ActorKind.SYSTEM:
        return True
    return actor.person_id is not None and RoleName.SECURITY_ADMIN.value in roles_of(actor.person_id)


def _answers(found: ControlException, actor: Actor) -> bool:
    if actor.person_id is None:
        return False
    if not Person.objects.filter(pk=actor.person_id, status=Status.ACTIVE).exists():
        return False
    return ControlException.objects.filter(answered_by(actor.person_id), pk=found.pk).exists()
