"""Why somebody has something: the page, and drawer, of one grant with its whole chain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from governance.access import why as access
from governance.access.break_glass import WITH_GLASS, reviewers
from governance.access.models import BreakGlass, Grant, GrantCause
from governance.access.queries import is_asked_about
from governance.core.clock import is_open_ended, now
from governance.core.errors import NotAllowed
from governance.identity.models import Person
from governance.provisioning.models import Operation
from governance.web.actor import person_of
from governance.web.govern.lines import Names, line_of
from governance.web.govern.pages import show
from governance.web.govern.reach import reach_of
from governance.web.govern.reasons import ICONS, order_at, order_words
from governance.web.kinds import kind_of
from governance.web.roles import employee_page


@dataclass(frozen=True, slots=True)
class Order:
    """An order and every state it went through."""

    row: Operation
    words: str
    at: datetime


#: Revisions that move an end; any other ends it.
MOVES = ("extended", "shortened")


@employee_page
@require_GET
def why(request: HttpRequest, grant_id: int) -> HttpResponse:
    """Show the chain behind one grant to the person who has it, and to those who see the application."""
    grant = access.chained(grant_id)
    require_sight(request, grant)
    sees_ledger = reach_of(request).applications is None
    found = access.why(grant, at=now(), with_entries=sees_ledger)
    governs = reach_of(request).sees(grant.application_id)
    context = {
        "page": "mine" if grant.person_id == person_of(request).pk else "reach",
        "why": found,
        "grant": grant,
        "kind": _kind(found),
        "icon": ICONS[GrantCause(grant.cause)],
        "given": order_of(grant.give_operation),
        "taken": order_of(grant.take_operation),
        "others": [(one, kind_of(one), not is_open_ended(one.ends_at)) for one in found.others],
        "lines": [line_of(entry, _names(found)) for entry in found.entries],
        "sees_ledger": sees_ledger,
        "governs": governs,
        "is_mine": grant.person_id == person_of(request).pk,
    }
    return show(request, "govern/why.html", "panel", context)


def _kind(found: access.Why) -> str:
    """Return the kind of access it was: one without an end stays that when it was ended."""
    grant, before = found.grant, found.changes[-2] if len(found.changes) > 1 else None
    was_open = (
        found.has_ended and before is not None and before.ends_at is None and found.changes[-1].change not in MOVES
    )
    return "standing" if was_open and kind_of(grant) == "temporary" else kind_of(grant)


def require_sight(request: HttpRequest, grant: Grant) -> None:
    """Raise NotAllowed unless it is one's own, one's report's, in an application within reach, or asked about.

    Whoever is asked about a request sees what the person has there already, and so may know why.
    """
    person = person_of(request)
    if person.pk in (grant.person_id, grant.person.manager_id):
        return
    if reach_of(request).sees(grant.application_id) or is_asked_about(person, grant) or _reviews(person, grant):
        return
    raise NotAllowed(
        f"Why somebody has access is shown to themselves, their manager, the owners of {grant.application.name},"
        " whoever is asked about a request of theirs there, security administrators and auditors."
    )


def _reviews(person: Person, grant: Grant) -> bool:
    """Tell whether the grant was an emergency that this person is to review."""
    if grant.cause != GrantCause.BREAK_GLASS:
        return False
    return any(
        one.pk == person.pk for one in reviewers(BreakGlass.objects.select_related(*WITH_GLASS).get(grant=grant))
    )


def order_of(order: Operation | None) -> Order | None:
    """Return an order in words, none when there is none."""
    return Order(order, order_words(order), order_at(order)) if order else None


def _names(found: access.Why) -> Names:
    """Return the names that entries about one grant need, without a further statement."""
    grant = found.grant
    return Names(
        {
            "person": {**found.actors, str(grant.person.ref): grant.person.display_name},
            "entitlement": {str(grant.entitlement_id): grant.entitlement.name},
            "application": {str(grant.application_id): grant.application.name},
        }
    )
