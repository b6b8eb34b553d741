"""How far a leaver's removals are, application by application, from the signal to the read-back. Reads only.

Nothing is said before it is true: ordered, sent and read back are three instants, and an account that is seen without
an order is said to be there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Max, Q

from governance.catalog.models import Application
from governance.core.clock import now
from governance.identity.models import Person, Status
from governance.identity.queries import names_by_ref
from governance.lifecycle.models import Handover, HeirRule
from governance.provisioning.models import Account, Operation, OperationKind, OperationState

#: Done as far as it can be: read back, or ticked off by a person where nothing can be read.
_DONE = Q(state=OperationState.VERIFIED) | Q(confirmed_by__isnull=False)


@dataclass(frozen=True, slots=True)
class Removal:
    """One order to take something away. Seconds count from the signal; None: not yet."""

    role: str
    state: str
    ordered_after: float
    sent_after: float | None
    read_back_after: float | None
    cause: str
    next_step: str
    #: A person said that it was done by hand; nothing can read it back.
    by_hand: bool
    #: The grant that the order takes back; None for one without.
    grant_id: int | None


@dataclass(slots=True)
class Progress:
    """What leaving took from one application so far."""

    application: Application
    removals: list[Removal] = field(default_factory=list)
    #: Accounts that can still sign in although no order is under way for them.
    unexplained: list[Account] = field(default_factory=list)

    @property
    def state(self) -> str:
        """Return how far the whole is: as far as its slowest part."""
        states = [one.state for one in self.removals]
        if OperationState.FAILED in states:
            return "failed"
        if self.unexplained:
            return "seen"
        if all(state == OperationState.VERIFIED for state in states):
            return "verified"
        if all(one.by_hand or one.state == OperationState.VERIFIED for one in self.removals):
            return "by_hand"
        return "delivered" if all(one.sent_after is not None for one in self.removals) else "ordered"

    @property
    def read_back_after(self) -> float | None:
        """Return how many seconds after the signal the last of it was read back; None while any is not."""
        times = [one.read_back_after for one in self.removals]
        known = [one for one in times if one is not None]
        return max(known) if known and len(known) == len(times) else None


@dataclass(frozen=True, slots=True)
class Line:
    """A leaver in the list."""

    person: Person
    applications: int
    ordered: int
    #: Read back, or ticked off by a person where nothing can be read.
    done: int
    failed: int
    read_back_after: float | None
    undecided: int

    @property
    def state(self) -> str:
        """Return how far the whole is."""
        if self.failed:
            return "failed"
        if not self.ordered:
            return "nothing"
        if self.done < self.ordered:
            return "ordered"
        return "by_hand" if self.read_back_after is None else "verified"


def progress_of(person: Person, *, within: Collection[int] | None = None) -> list[Progress]:
    """Return how far the removals of a leaver are, what is not done first. Two statements.

    `within`: only these applications.
    """
    if person.left_at is None:
        return []
    found: dict[int, Progress] = {}
    for order in _removals([person], within).select_related("application", "entitlement"):
        part = found.setdefault(order.application_id, Progress(order.application))
        part.removals.append(_removal(order, since=person.left_at))
    for account in _present(person, within):
        part = found.setdefault(account.application_id, Progress(account.application))
        if not any(one.state not in (OperationState.VERIFIED, OperationState.FAILED) for one in part.removals):
            part.unexplained.append(account)
    order_of = {"failed": 0, "seen": 1, "ordered": 2, "delivered": 3, "by_hand": 4, "verified": 5}
    return sorted(found.values(), key=lambda one: (order_of[one.state], one.application.name, one.application.pk))


def lines_of(people: Sequence[Person]) -> list[Line]:
    """Return the lines of these leavers, in their order. Two statements."""
    counted = _counted(people)
    open_things = Handover.objects.filter(person__in=people, settled_at__isnull=True).filter(
        rule__in=[HeirRule.NOBODY, HeirRule.SECURITY]
    )
    undecided = dict(open_things.values_list("person").annotate(number=Count("pk")).order_by())
    return [_line(person, counted.get(person.pk, {}), undecided.get(person.pk, 0)) for person in people]


def _line(person: Person, counted: Mapping[str, Any], undecided: int) -> Line:
    last, ordered, done = counted.get("last"), counted.get("ordered", 0), counted.get("done", 0)
    is_read_back = last is not None and counted.get("verified", 0) == ordered and person.left_at is not None
    return Line(
        person=person,
        applications=counted.get("applications", 0),
        ordered=ordered,
        done=done,
        failed=counted.get("failed", 0),
        read_back_after=_seconds(person.left_at, last) if is_read_back else None,
        undecided=undecided,
    )


def _counted(people: Sequence[Person]) -> dict[int, dict[str, Any]]:
    # By itself, so that PostgreSQL takes the index by person instead of looking through all orders.
    rows = (
        _removals(people, None)
        .order_by()
        .values("person_id")
        .annotate(
            ordered=Count("pk"),
            applications=Count("application", distinct=True),
            done=Count("pk", filter=_DONE),
            verified=Count("pk", filter=Q(state=OperationState.VERIFIED)),
            failed=Count("pk", filter=Q(state=OperationState.FAILED)),
            last=Max("verified_at"),
        )
    )
    return {row["person_id"]: row for row in rows}


def _removals(people: Iterable[Person], within: Collection[int] | None) -> Any:
    """Return the removals that leaving ordered, and those that were under way when they left."""
    late = Q(ordered_at__gte=F("person__left_at")) | ~Q(state=OperationState.VERIFIED)
    found = Operation.objects.filter(late, person_id__in=[one.pk for one in people], kind=OperationKind.TAKE)
    if within is not None:
        found = found.filter(application_id__in=within)
    return found.order_by("application__name", "id")


def _present(person: Person, within: Collection[int] | None) -> Any:
    found = Account.objects.filter(person=person, gone_at__isnull=True, is_active=True).select_related("application")
    if within is not None:
        found = found.filter(application_id__in=within)
    return found.order_by("application__name", "id")


def _removal(order: Operation, *, since: datetime) -> Removal:
    kind, _, number = order.origin.partition(":")
    return Removal(
        role=order.entitlement.name,
        state=order.state,
        ordered_after=_seconds(since, order.ordered_at) or 0.0,
        sent_after=_seconds(since, order.delivered_at),
        read_back_after=_seconds(since, order.verified_at),
        cause=order.last_error,
        next_step=order.next_step,
        by_hand=order.confirmed_by_id is not None,
        grant_id=int(number) if kind == "grant" and number.isdigit() else None,
    )


def _seconds(since: datetime | None, until: datetime | None) -> float | None:
    return max(0.0, (until - since).total_seconds()) if since is not None and until is not None else None


def handovers_of(person: Person) -> list[Handover]:
    """Return what a leaver answered for, what nobody decided about first; people among it by their names."""
    found = list(Handover.objects.filter(person=person).select_related("heir", "settled_by").order_by("id"))
    name_reports(found)
    return sorted(found, key=lambda one: (not is_undecided(one), one.pk or 0))


def name_reports(found: Sequence[Handover]) -> None:
    """Put the names of people where their references stand. One statement, or none."""
    refs = [one.subject_ref for one in found if one.kind in ("report", "deputy")]
    names = names_by_ref(refs) if refs else {}
    for one in found:
        one.subject_name = names.get(one.subject_ref, one.subject_name)


def is_undecided(one: Handover) -> bool:
    """Tell whether somebody still has to decide who answers for it."""
    return one.settled_at is None and one.rule in (HeirRule.NOBODY, HeirRule.SECURITY)


def leavers() -> Any:
    """Return everybody who left, as a query."""
    return Person.objects.filter(status=Status.LEFT)


def planned() -> list[Person]:
    """Return who will leave, the next first."""
    found = Person.objects.filter(leaves_at__isnull=False, status=Status.ACTIVE).select_related("manager")
    return list(found.order_by("leaves_at", "pk")[:500])


def seconds_until(person: Person) -> float:
    """Return in how many seconds a planned leave is due."""
    return (person.leaves_at - now()).total_seconds() if person.leaves_at is not None else 0.0
