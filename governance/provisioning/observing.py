"""The writers of what was seen: accounts and holdings, from a read-back about one person. Gone ones stay as rows."""

from __future__ import annotations

from datetime import datetime

from governance.provisioning.connectors.base import Delivered, Seen
from governance.provisioning.models import Account, Holding, Operation, OperationKind


def note_account(operation: Operation, delivered: Delivered, *, at: datetime) -> Account:
    """Write which account an order went to; the account is the person's from now on."""
    person = operation.person
    account, is_new = Account.objects.get_or_create(
        application_id=operation.application_id,
        target_id=delivered.account_id,
        defaults={
            "user_name": person.user_name,
            "display_name": person.display_name,
            "email": person.email,
            "person": person,
            "linked_by": delivered.found or "",
            "first_seen_at": at,
            "confirmed_at": at,
        },
    )
    if not is_new and account.person_id is None:
        account.person, account.linked_by = person, delivered.found or ""
        account.save(update_fields=["person", "linked_by"])
    return account


def note_read_back(operation: Operation, seen: Seen, *, at: datetime) -> None:
    """Write what the application showed of one person and one entitlement."""
    mine = Account.objects.filter(application_id=operation.application_id, person_id=operation.person_id)
    if seen.account is None:
        held = Holding.objects.filter(account__in=mine, gone_at__isnull=True)
        held.update(gone_at=at)
        mine.filter(gone_at__isnull=True).update(gone_at=at, is_active=False)
        return
    account, _ = Account.objects.update_or_create(
        application_id=operation.application_id,
        target_id=seen.account.target_id,
        defaults={
            "user_name": seen.account.user_name or operation.person.user_name,
            "display_name": seen.account.display_name,
            "email": seen.account.email,
            "is_active": seen.account.is_active,
            "confirmed_at": at,
            "gone_at": None,
        },
        create_defaults={
            "user_name": seen.account.user_name or operation.person.user_name,
            "display_name": seen.account.display_name,
            "email": seen.account.email,
            "is_active": seen.account.is_active,
            "person": operation.person,
            "first_seen_at": at,
            "confirmed_at": at,
        },
    )
    current = Holding.objects.filter(account=account, entitlement_id=operation.entitlement_id, gone_at__isnull=True)
    if operation.kind == OperationKind.TAKE:
        current.update(gone_at=at)
    elif not current.update(confirmed_at=at):
        Holding.objects.create(
            account=account, entitlement_id=operation.entitlement_id, first_seen_at=at, confirmed_at=at
        )
