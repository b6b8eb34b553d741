"""The writers of what a whole reading saw: set-based, a fixed number of statements for any size."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from django.db import connection

from governance.catalog.models import Application
from governance.provisioning.connectors.base import AccountSeen
from governance.provisioning.models import Account

_BATCH = 5_000


def write_accounts(application: Application, accounts: Iterable[AccountSeen], *, at: datetime) -> None:
    """Insert the accounts that are new and confirm those that are known."""
    Account.objects.bulk_create(
        (
            Account(
                application=application,
                target_id=one.target_id[:320],
                user_name=one.user_name[:320],
                display_name=one.display_name[:320],
                email=one.email[:320],
                is_active=one.is_active,
                first_seen_at=at,
                confirmed_at=at,
            )
            for one in accounts
        ),
        batch_size=_BATCH,
        update_conflicts=True,
        unique_fields=["application", "target_id"],
        update_fields=["user_name", "display_name", "email", "is_active", "confirmed_at", "gone_at"],
    )


def write_holdings(application: Application, holdings: Collection[tuple[str, int]], *, at: datetime) -> None:
    """Insert the holdings that are new and confirm those that are known.

    Holders not among the accounts of this reading are left out.
    """
    if not holdings:
        return
    pairs = sorted(holdings)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO provisioning_holding (account_id, entitlement_id, first_seen_at, confirmed_at)
            SELECT account.id, said.entitlement_id, %(at)s, %(at)s
            FROM unnest(%(holders)s::text[], %(entitlements)s::bigint[]) AS said (target_id, entitlement_id)
            JOIN provisioning_account AS account
                ON account.application_id = %(application)s AND account.target_id = said.target_id
                AND account.confirmed_at = %(at)s
            ON CONFLICT (account_id, entitlement_id) WHERE gone_at IS NULL
            DO UPDATE SET confirmed_at = EXCLUDED.confirmed_at
            """,
            {
                "at": at,
                "application": application.pk,
                "holders": [holder for holder, _ in pairs],
                "entitlements": [entitlement for _, entitlement in pairs],
            },
        )


def mark_gone(application: Application, listed: Collection[int], *, not_seen_since: datetime, at: datetime) -> None:
    """Mark as gone what a complete reading that began at `not_seen_since` did not show.

    What an order confirmed while the reading ran stays.
    """
    values: dict[str, Any] = {
        "application": application.pk,
        "since": not_seen_since,
        "at": at,
        "listed": list(listed),
    }
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE provisioning_account SET gone_at = %(at)s, is_active = false
            WHERE application_id = %(application)s AND gone_at IS NULL AND confirmed_at < %(since)s
            """,
            values,
        )
        cursor.execute(
            """
            UPDATE provisioning_holding AS holding SET gone_at = %(at)s
            FROM provisioning_account AS account
            WHERE account.id = holding.account_id AND account.application_id = %(application)s
                AND holding.gone_at IS NULL AND holding.confirmed_at < %(since)s
                AND (holding.entitlement_id = ANY(%(listed)s) OR account.gone_at IS NOT NULL)
            """,
            values,
        )


def link_people(application: Application) -> None:
    """Give accounts without a person the one whose user name or e-mail they carry, where exactly one does."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH candidate AS (
                SELECT account.id AS account_id, min(person.id) AS person_id,
                    bool_or(person.user_name_key = lower(account.user_name)) AS by_name
                FROM provisioning_account AS account
                JOIN identity_person AS person
                    ON person.user_name_key IN (lower(account.user_name), lower(account.email))
                    OR (person.email <> '' AND lower(person.email) IN (lower(account.user_name), lower(account.email)))
                WHERE account.application_id = %(application)s
                    AND account.person_id IS NULL AND account.gone_at IS NULL AND account.kind = 'human'
                GROUP BY account.id
                HAVING count(DISTINCT person.id) = 1
            )
            UPDATE provisioning_account AS account
            SET person_id = candidate.person_id,
                linked_by = CASE WHEN candidate.by_name THEN 'user_name' ELSE 'email' END
            FROM candidate WHERE candidate.account_id = account.id
            """,
            {"application": application.pk},
        )
