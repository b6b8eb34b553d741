"""Drift: what is seen and not granted, and what is granted and not seen. The difference of wanted and observed."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from governance.access.models import Grant
from governance.access.queries import WITH_GRANT, covering
from governance.provisioning.models import Holding, OperationState, SyncRun

#: Orders that are still on their way: what they will change is not drift yet.
ON_THE_WAY = (OperationState.WAITING, OperationState.SENDING, OperationState.DELIVERED)


def seen_not_granted(at: datetime) -> QuerySet[Holding]:
    """Return what was last seen on accounts of people without a grant that covers it, the most harmful first."""
    reason = Grant.objects.filter(
        covering(at), person_id=OuterRef("account__person_id"), entitlement_id=OuterRef("entitlement_id")
    )
    return (
        Holding.objects.filter(~Exists(reason), gone_at__isnull=True, account__person__isnull=False)
        .select_related("account__person", "account__application", "entitlement")
        .order_by("-entitlement__is_privileged", "-entitlement__risk", "first_seen_at", "id")
    )


def granted_not_seen(at: datetime) -> QuerySet[Grant]:
    """Return grants in force that a complete reading, begun after they were given, did not show."""
    held = Holding.objects.filter(
        account__person_id=OuterRef("person_id"), entitlement_id=OuterRef("entitlement_id"), gone_at__isnull=True
    )
    read_since = SyncRun.objects.filter(
        application_id=OuterRef("application_id"), is_complete=True, started_at__gt=OuterRef("starts_at")
    )
    done = Q(give_operation__isnull=True) | ~Q(give_operation__state__in=ON_THE_WAY)
    return (
        Grant.objects.filter(covering(at), done)
        .filter(~Exists(held), Exists(read_since))
        .select_related(*WITH_GRANT)
        .order_by("-entitlement__is_privileged", "-entitlement__risk", F("starts_at").asc(), "id")
    )
