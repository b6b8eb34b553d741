"""Which accounts are orphans."""

from __future__ import annotations

from django.db.models import QuerySet

from governance.provisioning.models import Account


def unowned() -> QuerySet[Account]:
    """Return the accounts that can sign in and have no person, or one who left.

    Each half is found by its own index: asked together, every page would read all the accounts there are, to say in
    the navigation how many have nobody.
    """
    nobody = Account.objects.filter(person__isnull=True, gone_at__isnull=True).values("pk")
    gone = Account.objects.filter(person__left_at__isnull=False).values("pk")
    known = Account.objects.filter(gone_at__isnull=True, is_active=True, application__retired_at__isnull=True)
    return known.filter(pk__in=nobody.union(gone, all=True))
