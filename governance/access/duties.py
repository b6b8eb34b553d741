"""What rules about duties say about access that is asked for, approved, about to begin or given by role.

The part of the bridge from rows to policy facts that concerns duties. What somebody holds is what is granted to them,
now or later, and what was seen on their accounts without a running grant; that is held until it is seen gone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from governance.access.models import Grant
from governance.catalog.models import Entitlement, SodEffect
from governance.catalog.sod_queries import SodInForce, sod_rules_about
from governance.core.clock import OPEN_END
from governance.core.statements import rows
from governance.identity.models import Person
from governance.policy.duties import Duty, DutyConflict, DutyRule, Exemption, conflicts
from governance.policy.facts import Ask

Key = TypeVar("Key")
#: Long enough to be an interval: what is given by role is judged at the instant it is given.
_AN_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Held:
    """What somebody holds, and the grant that says so; none for what was only seen."""

    duty: Duty
    grant_id: int | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """Access that is about to be given to a person. `name` says it where it stands in the way of another."""

    person_id: int
    entitlement_id: int
    name: str = "another role given at the same time"


@dataclass(frozen=True, slots=True)
class Known:
    """Everything needed to judge access to some entitlements of some people."""

    rules: Sequence[DutyRule]
    held: Mapping[int, Sequence[Held]]
    exemptions: Mapping[int, Sequence[Exemption]]

    def conflicts(
        self, person_id: int, asked: Duty, *, but: Collection[int] = (), beside: Iterable[Held] = ()
    ) -> tuple[DutyConflict, ...]:
        """Return the rules broken by `asked` beside what the person holds but for some grants, and `beside`."""
        held = [one.duty for one in (*self.held.get(person_id, ()), *beside) if one.grant_id not in but]
        return conflicts(self.rules, asked, held, self.exemptions.get(person_id, ()))


def of_ask(
    person: Person,
    entitlement: Entitlement,
    ask: Ask,
    *,
    extends: Grant | None = None,
    beside: Collection[Entitlement] = (),
    at: datetime,
) -> tuple[DutyConflict, ...]:
    """Return the rules that a request would break in the time it is for, together with those `beside` it."""
    starts_at, ends_at = span(ask.duration, ask.starts_at, extends=extends, at=at)
    return of_access(person, entitlement, starts_at=starts_at, ends_at=ends_at, beside=beside, at=at)


def of_access(
    person: Person,
    entitlement: Entitlement,
    *,
    starts_at: datetime,
    ends_at: datetime,
    beside: Collection[Entitlement] = (),
    at: datetime,
) -> tuple[DutyConflict, ...]:
    """Return the rules that access in this time would break. Two statements at most, one where no rule applies.

    What is asked for `beside` it counts as held for the same time.
    """
    rules = sod_rules_about([entitlement.pk], at)
    if not rules or starts_at >= ends_at:
        return ()
    asked = Duty(entitlement.pk, entitlement.name, starts_at, ends_at)
    together = [
        Held(Duty(one.pk, f"{one.name} in {one.application.name} (asked for as well)", starts_at, ends_at), None)
        for one in beside
        if one.pk != entitlement.pk
    ]
    return known_about([person.pk], rules, at=at).conflicts(person.pk, asked, beside=together)


def span(
    duration: timedelta | None, starts_at: datetime | None, *, extends: Grant | None, at: datetime
) -> tuple[datetime, datetime]:
    """Return when access would begin and end: an extension runs on from the present end."""
    begins = max(starts_at or at, at)
    if duration is None:
        return begins, OPEN_END
    return begins, (extends.ends_at if extends is not None and extends.ends_at < OPEN_END else begins) + duration


def blocked(
    candidates: Mapping[Key, Candidate], *, at: datetime, but: Collection[int] = ()
) -> dict[Key, tuple[DutyConflict, ...]]:
    """Return which of these must not be given at this instant, with the blocking rules. At most two statements.

    Each is judged beside what is held, without the grants `but`, and beside those before it that may be given.
    """
    rules = sod_rules_about({one.entitlement_id for one in candidates.values()}, at) if candidates else []
    blocking = [rule for rule in rules if rule.effect == SodEffect.BLOCK]
    if not blocking:
        return {}
    known = known_about({one.person_id for one in candidates.values()}, blocking, at=at)
    given: dict[int, list[Held]] = defaultdict(list)
    found: dict[Key, tuple[DutyConflict, ...]] = {}
    for key, one in candidates.items():
        asked = Duty(one.entitlement_id, one.name, at, at + _AN_INSTANT)
        broken = known.conflicts(one.person_id, asked, but=but, beside=given[one.person_id])
        refused = tuple(conflict for conflict in broken if conflict.is_refused)
        if refused:
            found[key] = refused
        else:
            given[one.person_id].append(Held(asked, None))
    return found


def known_about(person_ids: Collection[int], rules: Sequence[SodInForce], *, at: datetime) -> Known:
    """Return what these people hold of the roles these rules speak of, and their exceptions. One statement."""
    parameters = {
        "people": list(person_ids),
        "roles": sorted({role for rule in rules for role in (*rule.first, *rule.second)}),
        "rules": [rule.rule_id for rule in rules],
        "at": at,
        "open_end": OPEN_END,
    }
    held: dict[int, list[Held]] = defaultdict(list)
    exemptions: dict[int, list[Exemption]] = defaultdict(list)
    for is_exemption, person_id, key, role, application, starts_at, ends_at, grant_id in rows(_KNOWN, parameters):
        if is_exemption:
            exemptions[person_id].append(Exemption(key, starts_at, ends_at))
        else:
            name = f"{role} in {application}" if grant_id else f"{role} in {application} (seen there)"
            held[person_id].append(Held(Duty(key, name, starts_at, ends_at), grant_id))
    return Known([as_policy(rule) for rule in rules], held, exemptions)


def as_policy(rule: SodInForce) -> DutyRule:
    """Return a rule as the policy reads it."""
    return DutyRule(
        rule_id=rule.rule_id,
        version_id=rule.version_id,
        slug=rule.slug,
        name=rule.name,
        why=rule.why,
        severity=rule.severity,
        blocks=rule.effect == SodEffect.BLOCK,
        first=frozenset(rule.first),
        second=frozenset(rule.second),
        at_most=rule.at_most,
    )


_KNOWN = """
SELECT false, held.person_id, held.entitlement_id, role.name, application.name, held.starts_at AS starts_at,
    held.ends_at, held.grant_id AS grant_id
FROM (
    SELECT given.person_id, given.entitlement_id, given.starts_at, given.ends_at, given.id AS grant_id
    FROM access_grant given
    WHERE given.person_id = ANY(%(people)s::bigint[]) AND given.entitlement_id = ANY(%(roles)s::bigint[])
        AND given.ends_at > %(at)s
    UNION ALL
    SELECT account.person_id, seen.entitlement_id, seen.first_seen_at, %(open_end)s, NULL
    FROM provisioning_account account JOIN provisioning_holding seen ON seen.account_id = account.id
    WHERE account.person_id = ANY(%(people)s::bigint[]) AND seen.entitlement_id = ANY(%(roles)s::bigint[])
        AND account.gone_at IS NULL AND seen.gone_at IS NULL
        AND NOT EXISTS (
            SELECT FROM access_grant reason
            WHERE reason.person_id = account.person_id AND reason.entitlement_id = seen.entitlement_id
                AND reason.starts_at <= %(at)s AND reason.ends_at > %(at)s
        )
) held
JOIN catalog_entitlement role ON role.id = held.entitlement_id
JOIN catalog_application application ON application.id = role.application_id
UNION ALL
SELECT true, said.person_id, said.rule_id, '', '', said.starts_at,
    least(said.ends_at, coalesce(said.ended_at, said.ends_at)), NULL
FROM catalog_sodexception said
WHERE said.person_id = ANY(%(people)s::bigint[]) AND said.rule_id = ANY(%(rules)s::bigint[]) AND said.ends_at > %(at)s
    AND (said.ended_at IS NULL OR said.ended_at > %(at)s)
ORDER BY starts_at, grant_id
"""
