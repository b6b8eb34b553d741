"""Questions about orders, accounts and readings."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max, Min, Q, QuerySet

from governance.core.clock import now
from governance.identity.models import Person
from governance.provisioning.models import Account, Connector, ConnectorKind, Operation, OperationState, SyncRun

OPEN = (OperationState.WAITING, OperationState.SENDING, OperationState.DELIVERED)


@dataclass(frozen=True, slots=True)
class Freshness:
    """When an application was last read as a whole, and why not since."""

    application_id: int
    name: str
    complete_at: datetime | None
    tried_at: datetime | None


def operations_for_person(person: Person, *, limit: int = 100) -> list[Operation]:
    """Return the latest orders about a person."""
    found = Operation.objects.filter(person=person).select_related("application", "entitlement")
    return list(found.order_by("-id")[:limit])


def open_operations() -> QuerySet[Operation]:
    """Return the orders that are under way, those ticked off by hand left out; the oldest first."""
    return (
        Operation.objects.filter(state__in=OPEN, confirmed_by__isnull=True)
        .select_related("application__connector", "entitlement", "person")
        .order_by("ordered_at", "id")
    )


def failed_operations() -> QuerySet[Operation]:
    """Return the orders that failed, the latest first."""
    failed = Operation.objects.filter(state=OperationState.FAILED)
    return failed.select_related("application__connector", "entitlement", "person").order_by("-failed_at", "-id")


def progress_of(operation_ids: Collection[int]) -> dict[int, Operation]:
    """Return orders by id, for pages that show how far each has come. One statement."""
    return Operation.objects.in_bulk(list(operation_ids))


def accounts_of(person: Person) -> list[Account]:
    """Return the accounts of a person with what is seen on them, present ones first."""
    found = Account.objects.filter(person=person).select_related("application")
    return list(found.prefetch_related("holdings__entitlement").order_by("gone_at", "application__name", "id"))


def orphan_accounts() -> QuerySet[Account]:
    """Return the accounts nobody is known for, the oldest first."""
    orphans = Account.objects.filter(person__isnull=True, gone_at__isnull=True)
    return orphans.select_related("application").order_by("first_seen_at", "id")


def delivery_lag_seconds() -> float:
    """Return for how long the oldest order has been due that a worker could send now; 0 when none is."""
    at = now()
    able = Q(application__connector__disabled_at__isnull=True) & (
        Q(application__connector__circuit_retry_at__isnull=True) | Q(application__connector__circuit_retry_at__lte=at)
    )
    due = (
        Operation.objects.filter(able, state=OperationState.WAITING, next_attempt_at__lte=at, attempts=0)
        .filter(application__connector__isnull=False)
        .exclude(application__connector__kind=ConnectorKind.MANUAL)
        .aggregate(oldest=Min("next_attempt_at"))["oldest"]
    )
    return max(0.0, (at - due).total_seconds()) if due else 0.0


def sync_freshness() -> list[Freshness]:
    """Return how fresh the readings of each application with a connector are. Two statements."""
    connectors = Connector.objects.exclude(kind=ConnectorKind.MANUAL).select_related("application")
    runs = {
        row["application_id"]: row
        for row in SyncRun.objects.values("application_id").annotate(
            tried_at=Max("started_at"), complete_at=Max("started_at", filter=Q(is_complete=True))
        )
    }
    nothing = {"tried_at": None, "complete_at": None}
    return [
        Freshness(row.application_id, row.application.name, run["complete_at"], run["tried_at"])
        for row in connectors.order_by("application__name")
        for run in [runs.get(row.application_id, nothing)]
    ]
