"""Access by role: what the birthright rules give to people, compared with what they have, as sets."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from governance.access import endings, grants
from governance.access.models import EndCause, Grant, GrantCause
from governance.catalog import queries as catalog
from governance.core.actor import Actor
from governance.core.clock import OPEN_END
from governance.identity.models import Person
from governance.identity.selection import selected_among

#: Person and entitlement, and the rule that is the reason.
Reasoned = tuple[int, int, int]


def apply(person_ids: Collection[int], *, at: datetime, actor: Actor) -> None:
    """Start what the rules give these people and end what they no longer give. A fixed number of statements.

    Joins the caller's transaction; locks the people.
    """
    rules = catalog.current_birthright()
    if not rules or not person_ids:
        return
    people = list(
        Person.objects.select_for_update(no_key=True)
        .filter(pk__in=person_ids)
        .order_by("pk")
        .values_list("pk", flat=True)
    )
    chosen = selected_among([rule.condition for rule in rules], people)
    wanted: dict[Reasoned, grants.NewGrant] = {
        (person_id, entitlement.pk, rule.rule_id): grants.NewGrant(
            person_id=person_id,
            entitlement_id=entitlement.pk,
            application_id=entitlement.application_id,
            cause=GrantCause.BIRTHRIGHT,
            starts_at=at,
            ends_at=OPEN_END,
            rule_version_id=rule.version_id,
        )
        for person_id, matches in chosen.items()
        for rule, is_selected in zip(rules, matches, strict=True)
        if is_selected
        for entitlement in rule.entitlements
    }
    held = {
        (grant.person_id, grant.entitlement_id, grant.rule_version.rule_id): grant
        for grant in Grant.objects.select_for_update(no_key=True, of=("self",))
        .filter(person_id__in=people, cause=GrantCause.BIRTHRIGHT, ends_at__gt=at)
        .select_related("rule_version")
        .order_by("pk")
        if grant.rule_version is not None
    }
    grants.start_many([new for reason, new in wanted.items() if reason not in held], at=at, actor=actor)
    endings.end_many(
        [grant for reason, grant in held.items() if reason not in wanted], cause=EndCause.RULE, at=at, actor=actor
    )
