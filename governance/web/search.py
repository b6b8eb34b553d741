"""What the palette finds: pages of the navigation, people, applications and requests within the reader's reach."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse

from governance.catalog.models import Application
from governance.identity.models import Person
from governance.web import shell
from governance.web.actor import person_of
from governance.web.my_work.following import visible_requests
from governance.web.roles import standing_of

_MOST = 6


@dataclass(frozen=True, slots=True)
class Hit:
    """One line of the results."""

    group: str
    name: str
    note: str
    href: str
    icon: str


def find(request: HttpRequest, question: str) -> list[Hit]:
    """Return what matches, grouped; with no question the pages one can go to."""
    hits = list(_pages(request, question))
    if not question:
        return hits
    return [*_requests(request, question), *_applications(request, question), *_people(request, question), *hits]


def _pages(request: HttpRequest, question: str) -> Iterator[Hit]:
    links = [shown.link for _, group in shell.nav(request) for shown in group]
    for link in links:
        if question.casefold() in link.name.casefold():
            yield Hit("Go to", link.name, "", link.href, link.icon)


def _requests(request: HttpRequest, question: str) -> Iterable[Hit]:
    number = re.fullmatch(r"[Rr]-?(\d{1,12})|(\d{1,12})", question)
    if number is None:
        return []
    wanted = int(number[1] or number[2])
    found = (
        visible_requests(person_of(request), standing_of(request))
        .filter(number=wanted)
        .select_related("entitlement__application", "person")
    )
    return [
        Hit("Requests", f"R-{one.number}", f"{one.entitlement.application.name}, {one.person.display_name}",
            reverse("request", args=[one.number]), "send")
        for one in found
    ]  # fmt: skip


def _applications(request: HttpRequest, question: str) -> Iterator[Hit]:
    me, standing = person_of(request), standing_of(request)
    found = Application.objects.filter(retired_at__isnull=True, name__icontains=question).order_by("name", "id")[:_MOST]
    applications = list(found)
    governed = _governed(standing.is_security_admin or standing.is_auditor, me, applications)
    for one in applications:
        if one.pk in governed:
            yield Hit("Applications", one.name, "Who has access, roles, owners", f"/applications/{one.slug}/", "plug")
    for one in applications:
        yield Hit("Request access", one.name, one.description, reverse("request_access", args=[one.slug]), "send")


def _governed(sees_all: bool, me: Person, applications: list[Application]) -> set[int]:
    if sees_all:
        return {one.pk for one in applications}
    ids = [one.pk for one in applications]
    return set(me.ownerships.filter(application__in=ids).values_list("application_id", flat=True))


def _people(request: HttpRequest, question: str) -> Iterable[Hit]:
    me, standing = person_of(request), standing_of(request)
    if standing.is_security_admin or standing.is_auditor:
        reach = Person.objects.all()
    elif standing.is_owner:
        reach = Person.objects.filter(grants__application__ownerships__person=me).distinct()
    else:
        return []
    named = Q(display_name__icontains=question) | Q(email__istartswith=question) | Q(user_name_key__startswith=question)
    return [
        Hit("People", one.display_name, ", ".join(filter(None, [one.title, one.department])),
            f"/people/{one.ref}/", "user")
        for one in reach.filter(named).order_by("display_name", "id")[:_MOST]
    ]  # fmt: skip
