"""Letters are not history: after a while they go, in batches that hold up nobody. What happened is in the ledger."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet

from governance.core.clock import now
from governance.notices.models import Mail, Notice, WebhookMessage
from governance.notices.webhooks import drop_former_secrets

KEEP_NOTICES = timedelta(days=180)
#: What was sent or failed; the page shows the last ones.
KEEP_LETTERS = timedelta(days=30)
BATCH = 2_000


def forget_old() -> int:
    """Delete what is too old to be of use, secrets that sign nothing any more as well; return how many rows."""
    at = now()
    return (
        sum(
            _forget(rows)
            for rows in (
                WebhookMessage.objects.filter(created_at__lt=at - KEEP_LETTERS, settled_at__isnull=False),
                Mail.objects.filter(settled_at__lt=at - KEEP_LETTERS),
                Notice.objects.filter(created_at__lt=at - KEEP_NOTICES),
            )
        )
        + drop_former_secrets()
    )


def _forget(rows: QuerySet[Any]) -> int:
    deleted = 0
    while keys := list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH]):
        rows.model._default_manager.filter(pk__in=keys).delete()
        deleted += len(keys)
    return deleted
