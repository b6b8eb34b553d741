"""Which of what waits for somebody is looked at: the same filters for the page and for scripts."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from governance.access.models import AccessRequest
from governance.access.waiting_sql import waits_for
from governance.identity.models import Person

#: Asked themselves, or only in the place of somebody who is away or handed it over.
MINE, DEPUTY = "mine", "deputy"
WHOSE = (MINE, DEPUTY)


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What narrows a list of requests that wait; what is empty narrows nothing."""

    #: The slug of an application.
    application: str = ""
    #: A part of the name, or the whole address, of who is to get the access or asks for it.
    person: str = ""
    #: The reference of one of them.
    person_ref: uuid.UUID | None = None
    #: The risk of the role.
    risk: int | None = None
    #: Only what was asked before this instant.
    before: datetime | None = None
    #: MINE or DEPUTY.
    whose: str = ""


def narrowed(waiting: QuerySet[AccessRequest], by: Narrowing, *, reader: Person) -> QuerySet[AccessRequest]:
    """Return those of what waits for the reader that are looked at."""
    if by.application:
        waiting = waiting.filter(entitlement__application__slug=by.application)
    if by.person:
        waiting = waiting.filter(_is_about("person", by.person) | _is_about("requester", by.person))
    if by.person_ref is not None:
        waiting = waiting.filter(Q(person__ref=by.person_ref) | Q(requester__ref=by.person_ref))
    if by.risk is not None:
        waiting = waiting.filter(entitlement__risk=by.risk)
    if by.before is not None:
        waiting = waiting.filter(created_at__lt=by.before)
    if by.whose == MINE:
        return waiting.filter(waits_for(reader, themselves=True))
    return waiting.exclude(waits_for(reader, themselves=True)) if by.whose == DEPUTY else waiting


def _is_about(who: str, text: str) -> Q:
    return Q(**{f"{who}__display_name__icontains": text}) | Q(**{f"{who}__email__iexact": text})
