"""Rules about duties, exceptions and what was seen, told through the real actions for the tests of several rooms."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from governance.access import exceptions
from governance.catalog import sod
from governance.catalog.models import Entitlement, SodException, SodRule
from governance.core.clock import now
from governance.identity.models import Person
from governance.provisioning.models import Account, Holding
from tests.cast import TESTING, acting

BECAUSE = "She closes the quarter alone until the new clerk begins."
WHY = "Somebody with both could pay an invoice of their own."


def forbid(first: Sequence[Entitlement], second: Sequence[Entitlement] = (), *, owner: Person, **known: Any) -> SodRule:
    """Return a rule that blocks one of the first together with one of the second, unless told otherwise."""
    name = known.pop("name", "Pay and approve")
    terms = sod.SodTerms(name, WHY, first, owner, second=second, **known)
    return sod.save_sod_rule(terms, actor=TESTING).rule


def exempt(rule: SodRule, person: Person, *, by: Person, lasts: timedelta = timedelta(days=30)) -> SodException:
    """Return an exception that somebody granted and answers for."""
    ends_at = now() + lasts
    return exceptions.grant_exception(
        rule, person, reason=BECAUSE, owner=by, ends_at=ends_at, granted_by=by, actor=acting(by)
    )


def seen(person: Person, role: Entitlement) -> Holding:
    """Return a role as a reading saw it on an account of the person an hour ago."""
    at = now()
    times = {"first_seen_at": at - timedelta(hours=1), "confirmed_at": at}
    account, _ = Account.objects.get_or_create(
        application=role.application,
        target_id=f"id-{person.pk}",
        defaults={"user_name": person.user_name, "person": person, **times},
    )
    return Holding.objects.create(account=account, entitlement=role, **times)
