"""Who may decide about what is kept of people."""

from __future__ import annotations

from governance.core.actor import Actor, ActorKind
from governance.core.errors import NotAllowed
from governance.identity.models import RoleName
from governance.identity.queries import roles_of


def check_may_decide(actor: Actor) -> None:
    """Raise NotAllowed unless the actor is a security administrator, or a command on the server."""
    if actor.kind == ActorKind.SYSTEM:
        return
    if actor.person_id is None or RoleName.SECURITY_ADMIN.value not in roles_of(actor.person_id):
        raise NotAllowed("What is kept of people is decided by security administrators.")


def check_may_be_one_of_two(actor: Actor) -> None:
    """Raise NotAllowed unless the actor is a person who may decide: what takes two takes no command on the server."""
    check_may_decide(actor)
    if actor.person_id is None:
        raise NotAllowed("Two people decide this, each under their own name.")
