"""Exceptions from rules about duties as they act on access: what was withheld because of the rule is given at once."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from governance.access import birthright
from governance.catalog import sod
from governance.catalog.models import SodException, SodRule
from governance.core.actor import Actor
from governance.core.clock import now
from governance.identity.models import Person


@transaction.atomic
def grant_exception(
    rule: SodRule, person: Person, *, reason: str, owner: Person, ends_at: datetime, granted_by: Person, actor: Actor
) -> SodException:
    """Let a person break a rule until `ends_at`, and give what their role gives and the rule held back.

    What is given so stays when the exception ends; it is then listed as a conflict. Raises as
    `catalog.sod.grant_sod_exception` does.
    """
    exception = sod.grant_sod_exception(
        rule, person, reason=reason, owner=owner, ends_at=ends_at, granted_by=granted_by, actor=actor
    )
    birthright.apply([person.pk], at=now(), actor=actor)
    return exception
