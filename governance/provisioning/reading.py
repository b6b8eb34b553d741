"""Reads whole applications: which accounts there are and what is seen on them, with the proof of how much was read.

An answer that is empty, or half of what was known, or broken off, never makes anything "gone" (promise 10): the run is
kept as incomplete with its cause.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max, Q

from governance.catalog.models import Application, Entitlement
from governance.core.actor import Actor
from governance.core.clock import now
from governance.ledger.recording import Subject, record
from governance.provisioning import events, seen
from governance.provisioning.connectors.base import (
    AccountSeen,
    AccountsPage,
    CallFailed,
    Connector,
    EntitlementWanted,
)
from governance.provisioning.models import Account, ConnectorKind, SyncRun
from governance.provisioning.models import Connector as ConnectorRow
from governance.provisioning.reaching import connector_for, entitlement_wanted
from governance.provisioning.secrets import SecretUnreadable

#: An application is read this often, and one reading may take this long.
EVERY = timedelta(minutes=15)
_CLAIM = timedelta(minutes=30)
#: A population that shrank below this share of what was known is not believed without a person.
_BELIEVED_SHARE = 0.5


@dataclass(slots=True)
class Reading:
    """What one reading received."""

    accounts: dict[str, AccountSeen] = field(default_factory=dict)
    holdings: set[tuple[str, int]] = field(default_factory=set)
    #: Entitlements whose holders were all listed.
    listed: set[int] = field(default_factory=set)
    pages: int = 0
    announced: int | None = None
    error: str = ""

    def digest(self) -> str:
        """Return SHA-256 over the sorted ids of the accounts received, hexadecimal."""
        return hashlib.sha256("\n".join(sorted(self.accounts)).encode()).hexdigest()


def read_due() -> int:
    """Read the applications whose reading is due or was asked for; return how many. Each is read by one worker."""
    at = now()
    latest = SyncRun.objects.values("application_id").annotate(last=Max("started_at")).filter(last__gt=at - EVERY)
    fresh = [row["application_id"] for row in latest]
    due = (
        ConnectorRow.objects.exclude(kind=ConnectorKind.MANUAL)
        .filter(disabled_at__isnull=True)
        .filter(Q(read_requested_at__isnull=False) | ~Q(application_id__in=fresh))
        .select_related("application")
    )
    claimed = (row for row in due if _claimed(row, at))
    return len([read_application(row.application) for row in claimed])


def read_application(application: Application) -> SyncRun:
    """Read an application now and write what was seen; return the run with its proof."""
    row = ConnectorRow.objects.get(application=application)
    started_at = now()
    entitlements = {
        entitlement_wanted(one): one.pk
        for one in Entitlement.objects.filter(application=application, retired_at__isnull=True)
    }
    try:
        received = _receive(connector_for(row), entitlements)
    except SecretUnreadable as unreadable:
        received = Reading(error=str(unreadable))
    run = _write(application, received, started_at)
    ConnectorRow.objects.filter(pk=row.pk).update(reading_until=None)
    return run


def _claimed(row: ConnectorRow, at: datetime) -> bool:
    free = ConnectorRow.objects.filter(pk=row.pk).filter(Q(reading_until__isnull=True) | Q(reading_until__lte=at))
    return bool(free.update(reading_until=at + _CLAIM, read_requested_at=None))


def _receive(connector: Connector, entitlements: dict[EntitlementWanted, int]) -> Reading:
    received = Reading()
    try:
        for page in connector.read_all(list(entitlements)):
            received.pages += 1
            if isinstance(page, AccountsPage):
                received.announced = page.announced
                received.accounts |= {account.target_id: account for account in page.accounts}
                received.holdings |= {(holder, entitlements[wanted]) for holder, wanted in page.holdings}
            elif page.account_ids is not None:
                received.holdings |= {(holder, entitlements[page.entitlement]) for holder in page.account_ids}
                received.listed.add(entitlements[page.entitlement])
    except CallFailed as failed:
        received.error = failed.outcome.cause
    valued = {pk for wanted, pk in entitlements.items() if wanted.held_as != "group"}
    received.listed |= valued if not received.error else set()
    return received


@transaction.atomic
def _write(application: Application, received: Reading, started_at: datetime) -> SyncRun:
    problem = received.error or _not_believed(application, received)
    at = now()
    seen.write_accounts(application, received.accounts.values(), at=at)
    seen.write_holdings(application, received.holdings, at=at)
    if not problem:
        seen.mark_gone(application, received.listed, not_seen_since=started_at, at=at)
    seen.link_people(application)
    run = SyncRun.objects.create(
        application=application,
        started_at=started_at,
        finished_at=now(),
        pages=received.pages,
        announced=received.announced,
        received=len(received.accounts),
        holdings_received=len(received.holdings),
        digest=received.digest(),
        is_complete=not problem,
        error=problem[:500],
    )
    record(
        events.APPLICATION_READ,
        actor=Actor.system("reading"),
        subjects=[Subject("application", str(application.pk)), Subject("sync_run", str(run.pk))],
        data={
            "complete": run.is_complete,
            "announced": run.announced,
            "received": run.received,
            "holdings": run.holdings_received,
            "digest": run.digest,
        },
    )
    return run


def _not_believed(application: Application, received: Reading) -> str:
    """Return why this is not the whole population; empty when it is."""
    if received.announced is not None and received.announced != len(received.accounts):
        return f"{application.name} announced {received.announced} accounts and sent {len(received.accounts)}."
    known = Account.objects.filter(application=application, gone_at__isnull=True).count()
    if len(received.accounts) < known * _BELIEVED_SHARE:
        return (
            f"{application.name} sent {len(received.accounts)} accounts where {known} were known. "
            "Nothing was marked as gone. Check the application, then read it again."
        )
    return ""
