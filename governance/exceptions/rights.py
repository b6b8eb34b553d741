"""Who may see an exception, who may answer for it, and who may carry its risk."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery

from governance.catalog.models import ApplicationOwner
from governance.core.actor import Actor, ActorKind
from governance.core.errors import NotAllowed, NotFound
from governance.exceptions.models import ControlException, ReportOwner
from governance.identity.models import Person, RoleName, Status
from governance.identity.queries import roles_of

#: The condition of exceptions for which nobody is named who is at work.
NOBODY_NAMED = Q(owner__isnull=True) | ~Q(owner__status=Status.ACTIVE)


def answered_by(person_id: int) -> Q:
    """Return the condition of the exceptions that somebody answers for.

    That is whoever was named. Where nobody was, or they are no longer at work, the owners of the application; where
    there are none at work, whoever answers for the report.
    """
    owns = application_owners().filter(person_id=person_id)
    for_report = report_owners().filter(owner_id=person_id)
    by_default = Q(Exists(owns)) | (Q(~Exists(application_owners())) & Q(Exists(for_report)))
    return Q(owner_id=person_id) | (NOBODY_NAMED & by_default)


def application_owners() -> QuerySet[ApplicationOwner]:
    """Return who owns the application of the exception of the query around it, and is at work."""
    return ApplicationOwner.objects.filter(application=OuterRef("application"), person__status=Status.ACTIVE)


def report_owners() -> QuerySet[ReportOwner]:
    """Return who answers for the report of the exception of the query around it, and is at work."""
    newest = ReportOwner.objects.filter(report=OuterRef("report")).order_by("-id").values("id")[:1]
    holding = ReportOwner.objects.annotate(newest=Subquery(newest)).filter(id=F("newest"))
    return holding.filter(report=OuterRef("report"), owner__status=Status.ACTIVE)


@dataclass(frozen=True, slots=True)
class Rights:
    """What an actor may do with one exception. `why_not_accept` is empty when they may carry its risk."""

    may_see: bool
    may_answer: bool
    why_not_accept: str


def rights_in(found: ControlException, actor: Actor) -> Rights:
    """Return what an actor may do with an exception. Two statements at most."""
    roles = _roles(actor)
    is_admin = RoleName.SECURITY_ADMIN.value in roles
    answers = is_admin or _answers(found, actor)
    return Rights(
        may_see=answers or RoleName.AUDITOR.value in roles,
        may_answer=answers,
        why_not_accept=_why_not_accept(found, actor, is_admin=is_admin),
    )


def check_may_see(found: ControlException, actor: Actor) -> Rights:
    """Return what an actor may do. Raises NotFound unless they see all exceptions or answer for this one."""
    rights = rights_in(found, actor)
    if not rights.may_see:
        raise NotFound("There is no such exception.")
    return rights


def check_may_answer(found: ControlException, actor: Actor) -> None:
    """Raise NotFound for whoever may not know of it, and NotAllowed for whoever may only look."""
    if not check_may_see(found, actor).may_answer:
        raise NotAllowed("Exceptions are answered by whoever answers for them and by security administrators.")


def check_may_accept(found: ControlException, actor: Actor) -> None:
    """Raise NotFound for whoever may not know of it, and NotAllowed for whoever may not carry its risk."""
    refusal = check_may_see(found, actor).why_not_accept
    if refusal:
        raise NotAllowed(refusal)


def sees_all(actor: Actor) -> bool:
    """Tell whether an actor sees every exception: security administrators and auditors do."""
    return bool({RoleName.SECURITY_ADMIN.value, RoleName.AUDITOR.value} & _roles(actor))


def is_security(actor: Actor) -> bool:
    """Tell whether the actor administers security, or is a command on the server."""
    return RoleName.SECURITY_ADMIN.value in _roles(actor)


def _roles(actor: Actor) -> frozenset[str]:
    if actor.kind == ActorKind.SYSTEM:
        return frozenset({RoleName.SECURITY_ADMIN.value})
    return roles_of(actor.person_id) if actor.person_id is not None else frozenset()


def _why_not_accept(found: ControlException, actor: Actor, *, is_admin: bool) -> str:
    if not is_admin:
        return "Risks are accepted by security administrators."
    if found.person_id is not None and found.person_id == actor.person_id:
        return "It is about yourself: somebody else has to accept the risk."
    return ""


def _answers(found: ControlException, actor: Actor) -> bool:
    if actor.person_id is None:
        return False
    at_work = Person.objects.filter(pk=actor.person_id, status=Status.ACTIVE)
    return ControlException.objects.filter(answered_by(actor.person_id), Exists(at_work), pk=found.pk).exists()
