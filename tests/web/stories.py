"""What happened before a page is opened, told through the real actions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction

from governance.access import deciding, grants, requests
from governance.access.models import AccessRequest, Grant, GrantCause
from governance.catalog.models import Entitlement
from governance.core.clock import OPEN_END, now
from governance.identity.models import Person
from tests import cast

HOSTILE = '<img src=x onerror=alert(1)> O\'Brien & "Sons"'


def submit(
    person: Person, role: Entitlement, duration: timedelta | None = timedelta(hours=2), **known: Any
) -> AccessRequest:
    """Return the request of a person for a role."""
    return requests.submit(person, role, cast.ask(duration, **known), actor=cast.acting(person))


def approve(request: AccessRequest, approver: Person) -> AccessRequest:
    """Return the request after this yes."""
    return deciding.approve(request, approver=approver, actor=cast.acting(approver))


def decline(request: AccessRequest, approver: Person, reason: str = "Use the report in Looker.") -> AccessRequest:
    """Return the request after this no."""
    return deciding.deny(request, approver=approver, reason=reason, actor=cast.acting(approver))


@transaction.atomic
def give(person: Person, role: Entitlement, *, ends_in: timedelta | None = timedelta(hours=2)) -> Grant:
    """Return a grant by hand, with an end or without one."""
    at = now()
    new = grants.NewGrant(
        person_id=person.pk,
        entitlement_id=role.pk,
        application_id=role.application_id,
        cause=GrantCause.MANUAL,
        starts_at=at,
        ends_at=OPEN_END if ends_in is None else at + ends_in,
    )
    return grants.start_many([new], at=at, actor=cast.TESTING)[0]
