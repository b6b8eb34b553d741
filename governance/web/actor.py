"""The person at the page, as the actor that every action wants."""

from __future__ import annotations

from typing import cast

from django.http import HttpRequest

from governance.core.actor import Actor, ActorKind, Door
from governance.identity.models import Person


def person_of(request: HttpRequest) -> Person:
    """Return the signed-in person. Views behind `roles.needs` and `roles.employee_page` always have one."""
    return cast("Person", request.user)


def actor_of(request: HttpRequest) -> Actor:
    """Return the signed-in person as an actor; the same one (and correlation id) all through one request."""
    known: Actor | None = getattr(request, "gatehouse_actor", None)
    if known is None:
        person = person_of(request)
        known = Actor(ActorKind.PERSON, str(person.ref), Door.WEB, person_id=person.pk)
        request.gatehouse_actor = known  # type: ignore[attr-defined]
    return known
