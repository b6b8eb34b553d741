"""What would happen if somebody left now: every application and order, what is shared, what has no heir. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import F

from governance.access.models import Grant
from governance.catalog.models import Application
from governance.core.clock import now
from governance.identity.models import Person
from governance.lifecycle import handing_over
from governance.lifecycle.models import Handover
from governance.lifecycle.tracking import is_undecided
from governance.provisioning.models import Account, AccountKind, Connector, ConnectorKind


@dataclass(frozen=True, slots=True)
class WouldTake:
    """One order that leaving would give. Without one, the grant only ends: nothing was ever ordered for it."""

    role: str
    is_ordered: bool
    begins_at: datetime | None


@dataclass(frozen=True, slots=True)
class WouldHappen:
    """What would happen in one application."""

    application: Application
    orders: tuple[WouldTake, ...]
    accounts: tuple[Account, ...]
    #: Somebody works the application by hand: the order waits for a person.
    by_hand: bool
    #: Its connector is switched off or its circuit is open: the order waits until it is back.
    is_stuck: bool

    @property
    def unexplained(self) -> bool:
        """Tell whether an account is there that no grant explains; leaving orders nothing for it."""
        return bool(self.accounts) and not self.orders


@dataclass(frozen=True, slots=True)
class Drill:
    """What would happen if a person left at `at`."""

    person: Person
    at: datetime
    applications: tuple[WouldHappen, ...]
    #: Accounts that several people use: taking one person's access does not change what others know.
    shared: tuple[Account, ...]
    handovers: tuple[Handover, ...]
    #: Slug and name of each policy that names the person at a stage.
    policies: tuple[tuple[str, str], ...]
    requests: int
    tokens: int

    @property
    def orders(self) -> int:
        """Return how many removals would be ordered."""
        return sum(order.is_ordered for part in self.applications for order in part.orders)

    @property
    def without_heir(self) -> tuple[Handover, ...]:
        """Return what somebody would have to decide about."""
        return tuple(one for one in self.handovers if is_undecided(one))


def drill(person: Person) -> Drill:
    """Return what would happen if an active person left now. Four statements."""
    at = now()
    answered = handing_over.answered_for(person)
    grants: dict[int, list[Grant]] = {}
    applications: dict[int, Application] = {}
    accounts: dict[int, list[Account]] = {}
    running = Grant.objects.filter(person=person, ends_at__gt=at).filter(ends_at__gt=F("starts_at"))
    for grant in running.select_related("application__connector", "entitlement").order_by("entitlement__name", "pk"):
        grants.setdefault(grant.application_id, []).append(grant)
        applications[grant.application_id] = grant.application
    present = Account.objects.filter(person=person, gone_at__isnull=True, is_active=True)
    for account in present.select_related("application__connector").order_by("pk"):
        accounts.setdefault(account.application_id, []).append(account)
        applications[account.application_id] = account.application
    by_hand, stuck = _connectors(applications, at)
    return Drill(
        person=person,
        at=at,
        applications=tuple(
            WouldHappen(
                application=applications[key],
                orders=tuple(_orders(grants.get(key, []))),
                accounts=tuple(accounts.get(key, [])),
                by_hand=key in by_hand,
                is_stuck=key in stuck,
            )
            for key in sorted(applications, key=lambda key: (applications[key].name, key))
        ),
        shared=tuple(one for found in accounts.values() for one in found if one.kind != AccountKind.HUMAN),
        handovers=tuple(sorted(answered.handovers, key=lambda one: not is_undecided(one))),
        policies=answered.policies,
        requests=answered.requests,
        tokens=answered.tokens,
    )


def _orders(grants: list[Grant]) -> list[WouldTake]:
    """Return one order for each role, however many reasons there are for it."""
    orders: dict[int, WouldTake] = {}
    for grant in grants:
        known = orders.get(grant.entitlement_id)
        is_ordered = grant.start_ordered_at is not None or (known is not None and known.is_ordered)
        orders[grant.entitlement_id] = WouldTake(
            grant.entitlement.name, is_ordered, None if is_ordered else grant.starts_at
        )
    return list(orders.values())


def _connectors(applications: dict[int, Application], at: datetime) -> tuple[set[int], set[int]]:
    found: dict[int, Connector] = {
        key: one.connector for key, one in applications.items() if getattr(one, "connector", None) is not None
    }
    by_hand = {key for key in applications if key not in found or found[key].kind == ConnectorKind.MANUAL}
    stuck = {
        key
        for key, one in found.items()
        if one.disabled_at is not None or (one.circuit_retry_at is not None and one.circuit_retry_at > at)
    }
    return by_hand, stuck - by_hand
