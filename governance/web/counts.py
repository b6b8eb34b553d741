"""How much open work stands behind each link of the navigation: two statements for each page."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest

from governance.access.models import BreakGlass, EndQuestion, Grant, GrantCause, RuleRun
from governance.access.waiting_sql import Waiting, waiting
from governance.catalog.models import ApplicationOwner
from governance.catalog.policy_proposals import waiting_for_a_second_person
from governance.core import clock, statements
from governance.core.clock import OPEN_END
from governance.exceptions.queries import to_answer as exceptions_of
from governance.exceptions.queries import to_answer_as_owner as exceptions_of_owner
from governance.exceptions.queries import to_answer_for_reports as exceptions_of_reports
from governance.exceptions.queries import to_explain as exceptions_to_explain
from governance.identity.models import Person
from governance.lifecycle.holds_queries import open_holds
from governance.log_reviews.queries import waiting as waiting_log_reviews
from governance.notices import inbox, outgoing
from governance.provisioning.models import Account, Operation, OperationState
from governance.web.actor import person_of
from governance.web.govern.connections_queries import failing, undecided
from governance.web.govern.orphan_queries import unowned
from governance.web.roles import Standing, standing_of


def open_work(request: HttpRequest) -> dict[str, int]:
    """Return the number of open things for each page. Two statements for each request, both prepared."""
    known: dict[str, int] | None = getattr(request, "gatehouse_open_work", None)
    if known is None:
        known = _counted(request)
        request.gatehouse_open_work = known  # type: ignore[attr-defined]
    return known


def waiting_for_reader(request: HttpRequest) -> Waiting:
    """Return the requests that wait for the reader, asked once for each request of the browser.

    So ask when the page is made, after what the reader decided by it. A statement of its own: PostgreSQL plans it once
    and for all as long as it stands alone, and planning takes several times longer than running it.
    """
    known: Waiting | None = getattr(request, "gatehouse_waiting", None)
    if known is None:
        known = waiting(person_of(request))
        request.gatehouse_waiting = known  # type: ignore[attr-defined]
    return known


def _counted(request: HttpRequest) -> dict[str, int]:
    person, standing = person_of(request), standing_of(request)
    counted: dict[str, QuerySet[Any]] = {
        "mine": Grant.objects.filter(
            person=person, starts_at__lte=clock.now(), ends_at__gt=clock.now(), ends_at__lt=OPEN_END
        ).exclude(cause=GrantCause.BIRTHRIGHT),
        # Of everybody: whether it is worth asking who has to answer.
        "unreviewed": BreakGlass.objects.filter(review__isnull=True).exclude(person=person),
        "asked_at_end": EndQuestion.objects.filter(answered_at__isnull=True, kept_until__gt=clock.now()),
    }
    counted["notices"] = inbox.unread(person)
    counted |= {"named_exceptions": exceptions_of(person), "report_exceptions": exceptions_of_reports(person)}
    if standing.is_security_admin or standing.is_auditor or standing.is_owner:
        counted["orphans"] = orphans(person, standing)
    if standing.is_owner:
        counted["owned_exceptions"] = exceptions_of_owner(person)
    if standing.is_security_admin or standing.is_owner:
        counted["operations"] = failed_operations(person, standing)
    if standing.is_security_admin or standing.is_auditor:
        counted["holds"] = open_holds()
        counted["log_reviews"] = waiting_log_reviews()
    if standing.is_security_admin:
        counted["unexplained"] = exceptions_to_explain()
        counted |= {"conflicts": undecided(), "failing": failing(clock.now()), "mail": outgoing.needs_a_look()}
        counted["policies"] = waiting_for_a_second_person(person)
        counted["parked_rules"] = RuleRun.objects.filter(parked_at__isnull=False, finished_at__isnull=True)
    work = dict(zip(counted, statements.counts(counted.values()), strict=True)) | {
        "approvals": len(waiting_for_reader(request))
    }
    return work | {
        "connections": work.get("conflicts", 0) + work.get("failing", 0),
        "control_exceptions": sum(
            work.get(name, 0) for name in ("named_exceptions", "report_exceptions", "owned_exceptions")
        ),
    }


def orphans(person: Person, standing: Standing) -> QuerySet[Account]:
    """Return the accounts that can sign in without a person at work behind them, as far as this person may see."""
    return _within_reach(unowned(), person, sees_all=standing.is_security_admin or standing.is_auditor)


def failed_operations(person: Person, standing: Standing) -> QuerySet[Operation]:
    """Return the orders that failed and that this person may see."""
    return _within_reach(
        Operation.objects.filter(state=OperationState.FAILED), person, sees_all=standing.is_security_admin
    )


def _within_reach(found: QuerySet[Any], person: Person, *, sees_all: bool) -> QuerySet[Any]:
    if sees_all:
        return found
    mine = ApplicationOwner.objects.filter(application=OuterRef("application"), person=person)
    return found.filter(Exists(mine))
