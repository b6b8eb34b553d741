"""Questions about birthright rules: which are in force, what each says, and what it said."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from governance.catalog.models import BirthrightRule, RuleEffect
from governance.core.clock import now
from governance.core.errors import NotFound
from governance.core.statements import rows


@dataclass(frozen=True, slots=True)
class Giving:
    """A birthright rule in force: whom it applies to and what it gives them or keeps away, by primary keys."""

    rule_id: int
    version_id: int
    #: Exceptions by condition are part of it, those by name are not.
    condition: str
    #: Roles and their applications.
    entitlements: tuple[tuple[int, int], ...]
    #: Those of them that a rule about duties in force may forbid.
    guarded: frozenset[int] = frozenset()
    keeps_away: bool = False
    priority: int = 100
    grace: timedelta = timedelta(0)
    #: People it does not apply to, whoever they are.
    excepted: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class LastTerms:
    """What counts of a rule that gives nothing any more, for those who still have something by it."""

    priority: int
    grace: timedelta


@dataclass(frozen=True, slots=True)
class InForce:
    """The birthright rules in force that name a live role, in the order in which they decide."""

    rules: tuple[Giving, ...]
    #: Whether there ever was a rule: without, nobody has anything by one.
    ever: bool
    #: The roles that a blocking rule about duties in force speaks of.
    guarded: frozenset[int] = frozenset()


def rules_in_force() -> InForce:
    """Return the birthright rules in force. One statement, prepared: every joiner asks it."""
    *said, (*_, guarded, ever) = rows(_IN_FORCE, {"at": now()})
    return InForce(tuple(_giving(*one) for one in said), bool(ever), frozenset(guarded))


def _giving(
    rule_id: int,
    version_id: int,
    condition: str,
    except_condition: str,
    effect: str,
    priority: int,
    grace: int,
    excepted: list[int],
    entitlements: list[int],
    applications: list[int],
    guarded: list[int],
    _: object,
) -> Giving:
    return Giving(
        rule_id,
        version_id,
        whole_condition(condition, except_condition),
        tuple(zip(entitlements, applications, strict=True)),
        frozenset(guarded),
        effect == RuleEffect.KEEP_AWAY,
        priority,
        timedelta(seconds=grace),
        frozenset(excepted),
    )


def whole_condition(condition: str, except_condition: str) -> str:
    """Return the condition that selects whom a rule applies to, but for people excepted by name."""
    return f"({condition}) and not ({except_condition})" if except_condition.strip() else condition


def last_terms(rule_ids: Collection[int], at: datetime) -> Mapping[int, LastTerms]:
    """Return what these rules said last, also when they are retired or name no live role. One statement."""
    said = rows(_LAST_TERMS, {"rules": sorted(rule_ids), "at": at})
    return {rule_id: LastTerms(priority, timedelta(seconds=grace)) for rule_id, priority, grace in said}


def ever_kept_away(rule_id: int) -> frozenset[int]:
    """Return the roles that any version of a rule keeps away from anybody. One statement."""
    return frozenset(role for (role,) in rows(_EVER_KEPT_AWAY, [rule_id]))


def birthright_rule(slug: str) -> BirthrightRule:
    """Return the rule by its slug. Raises NotFound."""
    found = BirthrightRule.objects.filter(slug=slug).first()
    if found is None:
        raise NotFound(f"There is no rule called {slug}.")
    return found


_GUARDED = """
WITH guarded AS (
    SELECT DISTINCT member.entitlement_id
    FROM (
        SELECT DISTINCT ON (said.rule_id) said.id, said.rule_id, said.effect FROM catalog_sodruleversion said
        WHERE said.effective_at <= %(at)s ORDER BY said.rule_id, said.number DESC
    ) duties
    JOIN catalog_sodrule rule ON rule.id = duties.rule_id AND rule.retired_at IS NULL
    JOIN catalog_sodmember member ON member.version_id = duties.id
    WHERE duties.effect = 'block'
)
"""
_IN_FORCE = f"""
{_GUARDED}
SELECT version.rule_id, version.id, version.condition, version.except_condition, version.effect, version.priority,
    extract(epoch FROM version.grace)::bigint, version.except_person_ids,
    given.roles, given.applications, given.guarded, NULL AS ever
FROM (
    SELECT DISTINCT ON (said.rule_id) said.*
    FROM catalog_birthrightruleversion said JOIN catalog_birthrightrule rule ON rule.id = said.rule_id
    WHERE said.effective_at <= %(at)s AND rule.retired_at IS NULL
        AND NOT EXISTS (SELECT FROM catalog_rulecalloff gone WHERE gone.version_id = said.id)
    ORDER BY said.rule_id, said.number DESC
) version
JOIN (
    SELECT link.birthrightruleversion_id AS version_id, array_agg(role.id ORDER BY role.id) AS roles,
        array_agg(role.application_id ORDER BY role.id) AS applications,
        coalesce(array_agg(role.id) FILTER (WHERE guarded.entitlement_id IS NOT NULL), '{{}}') AS guarded
    FROM catalog_birthrightruleversion_entitlements link
    JOIN catalog_entitlement role ON role.id = link.entitlement_id AND role.retired_at IS NULL
    JOIN catalog_application application ON application.id = role.application_id AND application.retired_at IS NULL
    LEFT JOIN guarded ON guarded.entitlement_id = role.id
    GROUP BY link.birthrightruleversion_id
) given ON given.version_id = version.id
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    (SELECT coalesce(array_agg(entitlement_id), '{{}}') FROM guarded),
    CASE WHEN EXISTS (SELECT FROM catalog_birthrightrule) THEN 1 ELSE 0 END
ORDER BY ever NULLS FIRST, priority, rule_id
"""  # noqa: S608 - parts of the code; values are parameters
_LAST_TERMS = """
SELECT DISTINCT ON (said.rule_id) said.rule_id, said.priority, extract(epoch FROM said.grace)::bigint
FROM catalog_birthrightruleversion said
WHERE said.rule_id = ANY(%(rules)s::bigint[]) AND said.effective_at <= %(at)s
    AND NOT EXISTS (SELECT FROM catalog_rulecalloff gone WHERE gone.version_id = said.id)
ORDER BY said.rule_id, said.number DESC
"""
_EVER_KEPT_AWAY = """
SELECT DISTINCT link.entitlement_id
FROM catalog_birthrightruleversion said
JOIN catalog_birthrightruleversion_entitlements link ON link.birthrightruleversion_id = said.id
WHERE said.rule_id = %s AND said.effect = 'keep_away'
"""
