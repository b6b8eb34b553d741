"""Access by role: what the birthright rules give to people, compared with what they have, as sets."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from governance.access import endings, grants
from governance.access.models import EndCause, Grant, GrantCause
from governance.catalog import queries as catalog
from governance.catalog.queries import Giving
from governance.core.actor import Actor
from governance.core.clock import OPEN_END
from governance.core.statements import rows
from governance.identity.selection import selected_among

#: Person and entitlement, and the rule that is the reason.
Reasoned = tuple[int, int, int]


def apply(person_ids: Collection[int], *, at: datetime, actor: Actor) -> None:
    """Start what the rules give these people and end what they no longer give. A fixed number of statements.

    Joins the caller's transaction; locks the people.
    """
    rules = catalog.givings()
    if not rules or not person_ids:
        return
    people = [key for (key,) in rows(_LOCK, [sorted(person_ids)])]
    wanted = _wanted(rules, people, at)
    held = _held(people, at)
    grants.start_many([new for reason, new in wanted.items() if reason not in held], at=at, actor=actor)
    over = [grant_id for reason, grant_id in held.items() if reason not in wanted]
    if over:
        ending = Grant.objects.select_for_update(no_key=True).filter(pk__in=over).order_by("pk")
        endings.end_many(list(ending), cause=EndCause.RULE, at=at, actor=actor)


def _wanted(rules: Sequence[Giving], people: Sequence[int], at: datetime) -> dict[Reasoned, grants.NewGrant]:
    chosen = selected_among([rule.condition for rule in rules], people)
    return {
        (person_id, entitlement_id, rule.rule_id): grants.NewGrant(
            person_id=person_id,
            entitlement_id=entitlement_id,
            application_id=application_id,
            cause=GrantCause.BIRTHRIGHT,
            starts_at=at,
            ends_at=OPEN_END,
            rule_version_id=rule.version_id,
        )
        for person_id, matches in chosen.items()
        for rule, is_selected in zip(rules, matches, strict=True)
        if is_selected
        for entitlement_id, application_id in rule.entitlements
    }


def _held(person_ids: Collection[int], at: datetime) -> dict[Reasoned, int]:
    """Return the running grants by rule of these people, locked."""
    return {
        (person_id, entitlement_id, rule_id): grant_id
        for grant_id, person_id, entitlement_id, rule_id in rows(_HELD, [list(person_ids), at])
    }


_LOCK = "SELECT id FROM identity_person WHERE id = ANY(%s::bigint[]) ORDER BY id FOR NO KEY UPDATE"
_HELD = """
SELECT held.id, held.person_id, held.entitlement_id, version.rule_id
FROM access_grant held JOIN catalog_birthrightruleversion version ON version.id = held.rule_version_id
WHERE held.person_id = ANY(%s::bigint[]) AND held.cause = 'birthright' AND held.ends_at > %s
ORDER BY held.id FOR NO KEY UPDATE OF held
"""
