"""From what a reader of the ledger types to the references in it, and from a few letters to the names that begin so."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.db.models import Q

from governance.catalog.models import Application
from governance.identity.models import Person
from governance.ledger.recording import Subject

_MOST = 8


@dataclass(frozen=True, slots=True)
class Known:
    """A name that can be chosen: what goes into the field, and what is shown beside it."""

    value: str
    label: str


def subject_named(text: str) -> Subject | None:
    """Return what is meant: R-2041, kind:reference, a person's address or full name, an application; or None."""
    if number := re.fullmatch(r"[Rr]-(\d{1,12})", text):
        return Subject("request", number[1])
    if named := re.fullmatch(r"([a-z][a-z_]{0,39}):(\S{1,200})", text):
        return Subject(named[1], named[2])
    if person := person_named(text):
        return Subject("person", str(person.ref))
    application = Application.objects.filter(name__iexact=text).first() or Application.objects.filter(slug=text).first()
    return Subject("application", str(application.pk)) if application else None


def person_named(text: str) -> Person | None:
    """Return the person with that user name, address or full name; None when there is none, or more than one."""
    lowered = text.lower()
    found = Person.objects.filter(user_name_key=lowered).first() or Person.objects.filter(email__iexact=text).first()
    if found is not None:
        return found
    named = list(Person.objects.filter(display_name__iexact=text)[:2])
    return named[0] if len(named) == 1 else None


def suggestions(typed: str) -> list[Known]:
    """Return people and applications that are named like `typed`, for readers who may see all of them."""
    people = Person.objects.filter(Q(display_name__icontains=typed) | Q(email__istartswith=typed))
    applications = Application.objects.filter(name__icontains=typed).order_by("name", "id")
    return [
        *(Known(one.email or one.user_name, one.display_name) for one in people.order_by("display_name", "id")[:_MOST]),
        *(Known(name, "Application") for name in applications.values_list("name", flat=True)[:_MOST]),
    ]
