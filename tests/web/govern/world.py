"""What was seen in applications, written as a reading would write it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from governance.catalog.models import Application, Entitlement
from governance.core.clock import now
from governance.identity.models import Person
from governance.provisioning.models import (
    Account,
    Connector,
    ConnectorKind,
    Holding,
    Operation,
    OperationKind,
    OperationState,
    SyncRun,
)


def account(application: Application, name: str, *, person: Person | None = None, **known: Any) -> Account:
    """Return an account that was seen an hour ago for the first time."""
    at = now()
    seen = {"target_id": f"id-{name}", "first_seen_at": at - timedelta(hours=1), "confirmed_at": at}
    return Account.objects.create(application=application, user_name=name, person=person, **seen | known)


def holding(on: Account, role: Entitlement, *, since: datetime | None = None) -> Holding:
    """Return a role seen on an account."""
    since = since or on.first_seen_at
    return Holding.objects.create(account=on, entitlement=role, first_seen_at=since, confirmed_at=max(now(), since))


def reading(application: Application, *, ago: timedelta = timedelta(minutes=5), **known: Any) -> SyncRun:
    """Return a complete reading of an application that a connector reaches."""
    at = now() - ago
    Connector.objects.get_or_create(
        application=application,
        defaults={"kind": ConnectorKind.SCIM2, "base_url": "https://apps.example/v2", "created_at": at},
    )
    proof = {"started_at": at, "finished_at": at, "is_complete": True, "announced": 1, "received": 1, "pages": 1}
    return SyncRun.objects.create(application=application, **proof | known)


def order(person: Person, role: Entitlement, state: str = OperationState.WAITING, **known: Any) -> Operation:
    """Return an order about a person and a role."""
    at = now()
    times: dict[str, Any] = {"ordered_at": at, "next_attempt_at": at}
    if state == OperationState.FAILED:
        times |= {"failed_at": at, "last_error": "The token expired.", "next_step": "Renew the token."}
    if state == OperationState.VERIFIED:
        times |= {"delivered_at": at, "verified_at": at}
    kind = known.pop("kind", OperationKind.TAKE)
    return Operation.objects.create(
        application=role.application,
        person=person,
        entitlement=role,
        kind=kind,
        state=state,
        origin="test",
        idempotency_key=f"{kind}:{person.pk}:{role.pk}:{state}:{at.timestamp()}",
        correlation_id="0" * 32,
        **times | known,
    )
