"""Grants as rows of a table: kind, reason, state of the order, whether it was seen. Two further statements in all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Q

from governance.access.asof import Reason
from governance.access.models import Grant
from governance.access.queries import WITH_GRANT
from governance.catalog.models import Application, Entitlement
from governance.core.clock import OPEN_END, is_open_ended
from governance.identity.models import Person
from governance.provisioning.models import Holding, Operation, OperationKind, OperationState
from governance.web.govern.reasons import Why, answers_of, kind_of, order_words, why


@dataclass(frozen=True, slots=True)
class GrantRow:
    """One row. `holding` is what was seen of it in the application, when it was."""

    grant: Grant
    kind: str
    why: Why
    holding: Holding | None

    @property
    def has_end(self) -> bool:
        """Tell whether it ends by itself."""
        return not is_open_ended(self.grant.ends_at)

    @property
    def approvers(self) -> str:
        """Return who said yes, in order."""
        return ", ".join(one.approver.display_name if one.approver else "the policy" for one in self.why.answers)


@dataclass(frozen=True, slots=True)
class DriftRow:
    """A role that was seen on somebody's account without a grant."""

    person: Person
    application: Application
    role: Entitlement
    holding: Holding
    #: The order that is to take it away, when there is one that is not read back.
    removal: Operation | None = None

    @property
    def removal_words(self) -> str:
        """Return how far its removal is."""
        return order_words(self.removal) if self.removal else ""


def rows_of(grants: Sequence[Grant], at: datetime) -> list[GrantRow]:
    """Return grants (read with `queries.WITH_GRANT`) as rows, in their order; `at` is when they are looked at."""
    answers = answers_of(grants)
    seen = _seen(grants, at)
    return [
        GrantRow(
            grant,
            kind_of(grant),
            why(grant, answers.get(grant.request_id or 0, ())),
            seen.get((grant.person_id, grant.entitlement_id)),
        )
        for grant in grants
    ]


def believed(reasons: Sequence[Reason]) -> list[Grant]:
    """Return the grants of these reasons, in their order, with the intervals that were believed. One statement."""
    known = Grant.objects.select_related(*WITH_GRANT).in_bulk([one.grant_id for one in reasons])
    for one in reasons:
        known[one.grant_id].starts_at = one.starts_at
        known[one.grant_id].ends_at = one.ends_at or OPEN_END
    return [known[one.grant_id] for one in reasons]


def unexplained(holdings: Sequence[Holding]) -> list[DriftRow]:
    """Return holdings without a grant as rows. They must be read with their account, person and application."""
    return [
        DriftRow(one.account.person, one.account.application, one.entitlement, one)
        for one in holdings
        if one.account.person is not None
    ]


def with_removals(rows: Sequence[DriftRow]) -> list[DriftRow]:
    """Return the rows with the removals that are under way. One statement."""
    orders = Operation.objects.filter(
        kind=OperationKind.TAKE,
        person_id__in={row.person.pk for row in rows},
        entitlement_id__in={row.role.pk for row in rows},
    ).exclude(state=OperationState.VERIFIED)
    known = {(one.person_id, one.entitlement_id): one for one in orders.order_by("id")}
    return [replace(row, removal=known.get((row.person.pk, row.role.pk))) for row in rows]


def _seen(grants: Sequence[Grant], at: datetime) -> dict[tuple[int, int], Holding]:
    if not grants:
        return {}
    wanted = Q(
        account__person_id__in={grant.person_id for grant in grants},
        entitlement_id__in={grant.entitlement_id for grant in grants},
    )
    still = Q(gone_at__isnull=True) | Q(gone_at__gt=at)
    found = Holding.objects.filter(wanted, still, first_seen_at__lte=at).select_related("account")
    return {(one.account.person_id, one.entitlement_id): one for one in found if one.account.person_id is not None}
