"""Access by role: what the birthright rules give to people, compared with what they have, as sets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from governance.access import duties, endings, grants, withholding
from governance.access.models import EndCause, Grant, GrantCause
from governance.access.withholding import Refusal
from governance.catalog import queries as catalog
from governance.catalog.queries import Giving
from governance.core.actor import Actor
from governance.core.clock import OPEN_END
from governance.core.statements import rows
from governance.identity.selection import selected_among
from governance.policy.duties import DutyConflict

#: Person and entitlement, and the rule that is the reason.
Reasoned = tuple[int, int, int]


def apply(person_ids: Collection[int], *, at: datetime, actor: Actor) -> None:
    """Start what the rules give these people and end what they no longer give. A fixed number of statements.

    What would break a blocking rule about duties is withheld and kept on record; what runs already is not taken for
    it, but listed (`access.conflicts`). Joins the caller's transaction; locks the people.
    """
    rules = catalog.givings()
    if not rules or not person_ids:
        return
    people = [key for (key,) in rows(_LOCK, [sorted(person_ids)])]
    wanted = _wanted(rules, people, at)
    held, withheld = _held(people, at)
    over = [grant_id for reason, grant_id in held.items() if reason not in wanted]
    new = {reason: one for reason, one in wanted.items() if reason not in held}
    forbidden = _forbidden(rules, new, at=at, ending=over)
    grants.start_many([one for reason, one in new.items() if reason not in forbidden], at=at, actor=actor)
    fresh = [Refusal(new[reason], found) for reason, found in forbidden.items() if reason not in withheld]
    withholding.withhold(fresh, at=at, actor=actor)
    withholding.release([key for reason, key in withheld.items() if reason not in forbidden], at=at, actor=actor)
    if over:
        ending = Grant.objects.select_for_update(no_key=True).filter(pk__in=over).order_by("pk")
        endings.end_many(list(ending), cause=EndCause.RULE, at=at, actor=actor)


def _forbidden(
    rules: Sequence[Giving], new: Mapping[Reasoned, grants.NewGrant], *, at: datetime, ending: Collection[int]
) -> dict[Reasoned, tuple[DutyConflict, ...]]:
    """Return what rules about duties forbid of what is new. No statement where none of it is guarded by a rule.

    Of two that exclude each other the one of the older rule is given. What ends in the same moment stands in nobody's
    way: its removal is ordered with what is given.
    """
    guarded = frozenset[int]().union(*(rule.guarded for rule in rules))
    asked = {
        reason: duties.Candidate(one.person_id, one.entitlement_id)
        for reason, one in new.items()
        if one.entitlement_id in guarded
    }
    return duties.blocked(asked, at=at, but=ending)


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


def _held(person_ids: Collection[int], at: datetime) -> tuple[dict[Reasoned, int], dict[Reasoned, int]]:
    """Return the running grants by rule of these people, locked, and what is withheld from them, by primary key."""
    found: tuple[dict[Reasoned, int], dict[Reasoned, int]] = {}, {}
    for is_withheld, key, person_id, entitlement_id, rule_id in rows(_HELD, {"people": list(person_ids), "at": at}):
        found[is_withheld][person_id, entitlement_id, rule_id] = key
    return found


_LOCK = "SELECT id FROM identity_person WHERE id = ANY(%s::bigint[]) ORDER BY id FOR NO KEY UPDATE"
_HELD = """
WITH running AS MATERIALIZED (
    SELECT held.id, held.person_id, held.entitlement_id, held.rule_version_id FROM access_grant held
    WHERE held.person_id = ANY(%(people)s::bigint[]) AND held.cause = 'birthright' AND held.ends_at > %(at)s
    ORDER BY held.id FOR NO KEY UPDATE OF held
)
SELECT known.is_withheld, known.id, known.person_id, known.entitlement_id, version.rule_id
FROM (
    SELECT 0 AS is_withheld, running.* FROM running
    UNION ALL
    SELECT 1, waiting.id, waiting.person_id, waiting.entitlement_id, waiting.rule_version_id
    FROM access_withheld waiting
    WHERE waiting.person_id = ANY(%(people)s::bigint[]) AND waiting.ended_at IS NULL
) known JOIN catalog_birthrightruleversion version ON version.id = known.rule_version_id
"""
