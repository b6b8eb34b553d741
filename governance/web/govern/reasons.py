"""Why somebody has something, in words: the reason, who said yes, and how the order went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.urls import NoReverseMatch, reverse

from governance.access.models import AccessRequest, Approval, Grant, GrantCause
from governance.access.queries import covering
from governance.catalog.models import Application, Entitlement
from governance.core.clock import is_open_ended
from governance.identity.models import Person
from governance.provisioning.models import Holding, Operation, OperationKind, OperationState

ICONS = {
    GrantCause.BIRTHRIGHT: "shield-check",
    GrantCause.REQUEST: "send",
    GrantCause.BREAK_GLASS: "siren",
    GrantCause.MANUAL: "hand",
    GrantCause.IMPORTED: "archive",
}
#: An order in words, for giving and for taking. Only a read-back says that it is so.
ORDER_WORDS = {
    (OperationKind.GIVE, OperationState.WAITING): "Ordered",
    (OperationKind.GIVE, OperationState.SENDING): "Being sent",
    (OperationKind.GIVE, OperationState.DELIVERED): "Sent, not read back yet",
    (OperationKind.GIVE, OperationState.VERIFIED): "There, read back",
    (OperationKind.GIVE, OperationState.FAILED): "Not given",
    (OperationKind.TAKE, OperationState.WAITING): "Removal ordered",
    (OperationKind.TAKE, OperationState.SENDING): "Removal being sent",
    (OperationKind.TAKE, OperationState.DELIVERED): "Removal sent, not read back yet",
    (OperationKind.TAKE, OperationState.VERIFIED): "Gone, read back",
    (OperationKind.TAKE, OperationState.FAILED): "The removal failed",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One yes on the way to a grant."""

    approver: Person | None
    reason: str
    waited: timedelta


@dataclass(frozen=True, slots=True)
class Why:
    """One reason for access, as the pages tell it."""

    grant_id: int
    icon: str
    title: str
    href: str
    note: str
    ticket: str
    at: datetime
    answers: tuple[Answer, ...] = ()
    order: Operation | None = None

    @property
    def order_words(self) -> str:
        """Return how far the order has come."""
        return order_words(self.order) if self.order else ""

    @property
    def order_at(self) -> datetime | None:
        """Return when it came so far."""
        return None if self.order is None else order_at(self.order)


@dataclass(slots=True)
class RolePart:
    """One role of one person in one application: every reason, what waits, and whether it was seen there."""

    role: Entitlement
    grants: list[Grant] = field(default_factory=list)
    reasons: list[Why] = field(default_factory=list)
    waiting: list[AccessRequest] = field(default_factory=list)
    seen_since: datetime | None = None

    @property
    def kind(self) -> str:
        """Return the kind of access in the matrix."""
        kinds = [kind_of(grant) for grant in self.grants]
        for kind in ("breakglass", "temporary", "standing", "birthright"):
            if kind in kinds:
                return kind
        return "drift" if self.seen_since else "pending"

    @property
    def ends_at(self) -> datetime | None:
        """Return when the last reason ends; none when one has no end, or when there is no reason."""
        ends = [grant.ends_at for grant in self.grants]
        return None if not ends or any(map(is_open_ended, ends)) else max(ends)


def kind_of(grant: Grant) -> str:
    """Return the kind of access that a grant is."""
    if grant.cause == GrantCause.BIRTHRIGHT:
        return "birthright"
    if grant.cause == GrantCause.BREAK_GLASS:
        return "breakglass"
    return "standing" if is_open_ended(grant.ends_at) else "temporary"


def parts(person: Person, application: Application, *, at: datetime) -> list[RolePart]:
    """Return what a person has, waits for and was seen with in an application. Four statements."""
    grants = list(_grants(person, application, at))
    answers = answers_of(grants)
    found: dict[int, RolePart] = {}
    for grant in grants:
        part = found.setdefault(grant.entitlement_id, RolePart(grant.entitlement))
        part.grants.append(grant)
        part.reasons.append(why(grant, answers.get(grant.request_id or 0, ())))
    for request in _waiting(person, application, at):
        found.setdefault(request.entitlement_id, RolePart(request.entitlement)).waiting.append(_linked(request))
    for holding in _seen(person, application, at):
        part = found.setdefault(holding.entitlement_id, RolePart(holding.entitlement))
        part.seen_since = min(part.seen_since or holding.first_seen_at, holding.first_seen_at)
    return sorted(found.values(), key=lambda part: (-part.role.risk, part.role.name))


def why(grant: Grant, answers: Iterable[Answer] = ()) -> Why:
    """Return the reason behind a grant, in words."""
    request, rule = grant.request, grant.rule_version
    title, href, note, ticket = grant.get_cause_display(), "", "", ""
    if request is not None:
        title, href = f"Request R-{request.number}", request_address(request.number)
        note, ticket = request.reason, request.ticket
    elif rule is not None:
        title, href = f"Rule “{rule.rule.name}”", reverse("policies")
    return Why(
        grant.pk,
        ICONS[GrantCause(grant.cause)],
        title,
        href,
        note,
        ticket,
        grant.starts_at,
        tuple(answers),
        grant.give_operation,
    )


def answers_of(grants: Sequence[Grant]) -> dict[int, tuple[Answer, ...]]:
    """Return who said yes, by request. One statement."""
    asked = {grant.request_id: grant.request.created_at for grant in grants if grant.request is not None}
    found: dict[int, list[Answer]] = defaultdict(list)
    if asked:
        given = Approval.objects.filter(request_id__in=asked, approved=True).select_related("approver")
        for one in given.order_by("stage"):
            waited = one.decided_at - asked[one.request_id]
            found[one.request_id].append(Answer(one.approver, one.reason, waited))
    return {request_id: tuple(answers) for request_id, answers in found.items()}


def order_words(order: Operation) -> str:
    """Return how far an order has come, in words."""
    if order.confirmed_by_id is not None:
        return "Ticked off by hand, not read back"
    return ORDER_WORDS[OperationKind(order.kind), OperationState(order.state)]


def order_at(order: Operation) -> datetime:
    """Return when an order came as far as it is."""
    return order.verified_at or order.failed_at or order.delivered_at or order.ordered_at


def request_address(number: int) -> str:
    """Return the address of a request's page."""
    try:
        return reverse("request", args=[number])
    except NoReverseMatch:
        return ""


def _grants(person: Person, application: Application, at: datetime) -> Any:
    return (
        Grant.objects.filter(covering(at), person=person, application=application)
        .select_related("entitlement", "request", "rule_version__rule", "give_operation")
        .order_by("ends_at", "id")
    )


def _waiting(person: Person, application: Application, at: datetime) -> Any:
    open_then = Q(closed_at__isnull=True) | Q(closed_at__gt=at)
    return AccessRequest.objects.filter(
        open_then, person=person, entitlement__application=application, created_at__lte=at
    ).select_related("entitlement")


def _seen(person: Person, application: Application, at: datetime) -> Any:
    still = Q(gone_at__isnull=True) | Q(gone_at__gt=at)
    return Holding.objects.filter(
        still, account__person=person, account__application=application, first_seen_at__lte=at
    ).select_related("entitlement")


def _linked(request: AccessRequest) -> AccessRequest:
    request.href = request_address(request.number)  # type: ignore[attr-defined]
    return request
