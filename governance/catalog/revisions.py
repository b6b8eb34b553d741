"""What applications and entitlements say of themselves, kept for questions about the past. Insert-only."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db.models import Max

from governance.catalog.models import Application, ApplicationRevision, Entitlement, EntitlementRevision
from governance.core.actor import Actor
from governance.core.tables import insert_rows

#: The change of the last revision of what is retired.
RETIRED = "retired"
#: What is kept of each. The database writes the first revision with the row, from the same columns.
ABOUT_APPLICATIONS = ("name", "risk", "data_classes")
ABOUT_ENTITLEMENTS = ("name", "sentence", "risk", "data_classes", "is_privileged")


def revise_application(application: Application, *, at: datetime, actor: Actor) -> None:
    """Write down what a locked application says from now on."""
    last = ApplicationRevision.objects.filter(application=application).aggregate(last=Max("number"))["last"] or 0
    said = {name: getattr(application, name) for name in ABOUT_APPLICATIONS}
    insert_rows(ApplicationRevision, [{"application_id": application.pk, **said, **_known(last + 1, at, actor)}])


def revise_entitlement(entitlement: Entitlement, *, at: datetime, actor: Actor) -> None:
    """Write down what a locked entitlement says from now on."""
    last = EntitlementRevision.objects.filter(entitlement=entitlement).aggregate(last=Max("number"))["last"] or 0
    said = {name: getattr(entitlement, name) for name in ABOUT_ENTITLEMENTS}
    insert_rows(EntitlementRevision, [{"entitlement_id": entitlement.pk, **said, **_known(last + 1, at, actor)}])


def revise_retired(entitlements: Collection[Entitlement], *, at: datetime, actor: Actor) -> None:
    """Write down of locked entitlements that they are retired, and in which act. Two statements, however many."""
    found = EntitlementRevision.objects.filter(entitlement__in=entitlements).order_by().values("entitlement_id")
    last = dict(found.annotate(last=Max("number")).values_list("entitlement_id", "last"))
    insert_rows(
        EntitlementRevision,
        [
            {
                "entitlement_id": one.pk,
                **{name: getattr(one, name) for name in ABOUT_ENTITLEMENTS},
                **_known(last.get(one.pk, 0) + 1, at, actor, RETIRED),
            }
            for one in entitlements
        ],
    )


def _known(number: int, at: datetime, actor: Actor, change: str = "changed") -> dict[str, object]:
    return {
        "number": number,
        "effective_at": at,
        "recorded_at": at,
        "change": change,
        "correlation_id": actor.correlation_id,
    }
