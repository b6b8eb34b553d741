"""Which accounts are orphans."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from governance.identity.models import Status
from governance.provisioning.models import Account


def unowned() -> QuerySet[Account]:
    """Return the accounts that can sign in and have no person, or one who left."""
    nobody = Q(person__isnull=True) | Q(person__status=Status.LEFT)
    return Account.objects.filter(nobody, gone_at__isnull=True, is_active=True, application__retired_at__isnull=True)
