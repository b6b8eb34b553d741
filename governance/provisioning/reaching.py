"""From rows to connectors: how an application is reached, and what an order is about in the connector's words."""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings
from django.db.models import Q

from governance.catalog.models import Entitlement, EntitlementKind
from governance.identity.models import Person
from governance.provisioning.connectors.base import AccountWanted, Closing, Connector, EntitlementWanted, HeldAs, Target
from governance.provisioning.connectors.scim2 import Scim2Connector
from governance.provisioning.models import Account, Operation
from governance.provisioning.models import Connector as ConnectorRow
from governance.provisioning.secrets import decrypt

_HELD_AS = {
    EntitlementKind.GROUP: HeldAs.GROUP,
    EntitlementKind.ROLE: HeldAs.ROLE,
    EntitlementKind.LICENCE: HeldAs.ENTITLEMENT,
    EntitlementKind.PERMISSION: HeldAs.ENTITLEMENT,
}


def connector_for(row: ConnectorRow) -> Connector:
    """Return the connector of an application; one and the same, with its open connections, while its settings stay.

    Raises SecretUnreadable.
    """
    options = tuple(sorted(row.options.items()))
    return _connected(row.base_url, row.secret_encrypted, options, row.timeout_seconds)


@lru_cache(maxsize=256)
def _connected(
    base_url: str, secret_encrypted: str, options: tuple[tuple[str, object], ...], timeout_seconds: int
) -> Connector:
    return Scim2Connector(
        Target(
            base_url=base_url,
            secret=decrypt(secret_encrypted),
            options=dict(options),
            timeout_seconds=timeout_seconds,
            allows_loopback=not settings.ENVIRONMENT.is_production,
        )
    )


def account_wanted(person: Person, application_id: int) -> AccountWanted:
    """Return the account of a person as an application should know it. Two statements."""
    known = Account.objects.filter(person=person, application_id=application_id, gone_at__isnull=True)
    mine = known.order_by("-is_active", "id").first()
    looks_like = Q(user_name__iexact=person.user_name)
    if person.email:
        looks_like |= Q(email__iexact=person.email) | Q(user_name__iexact=person.email)
    others = Account.objects.filter(
        looks_like, application_id=application_id, person__isnull=False, gone_at__isnull=True
    )
    return AccountWanted(
        user_name=person.user_name,
        external_id=str(person.ref),
        display_name=person.display_name,
        given_name=person.given_name,
        family_name=person.family_name,
        email=person.email,
        known_id=mine.target_id if mine else "",
        taken_ids=frozenset(others.exclude(person=person).values_list("target_id", flat=True)),
    )


def entitlement_wanted(entitlement: Entitlement) -> EntitlementWanted:
    """Return an entitlement in the connector's words."""
    return EntitlementWanted(_HELD_AS[EntitlementKind(entitlement.kind)], entitlement.target_ref)


def closing(operation: Operation, row: ConnectorRow) -> Closing:
    """Return what to do with the account when an order leaves nothing in it.

    Options: `closes_accounts` is "deactivate" (default), "delete" or "keep".
    """
    how = str(row.options.get("closes_accounts", "deactivate")) if operation.closes_account else "keep"
    return Closing(deactivates=how == "deactivate", deletes=how == "delete")
