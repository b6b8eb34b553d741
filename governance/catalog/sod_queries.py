"""Questions about the rules on the separation of duties."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from governance.catalog.models import SodException, SodRule
from governance.core.errors import NotFound
from governance.core.statements import rows


@dataclass(frozen=True, slots=True)
class SodInForce:
    """The version of a rule that is in force, its roles by primary key. `at_most` is None for a pair of sets."""

    rule_id: int
    version_id: int
    slug: str
    name: str
    why: str
    severity: int
    effect: str
    at_most: int | None
    first: tuple[int, ...]
    second: tuple[int, ...]


def sod_rules_in_force(at: datetime) -> list[SodInForce]:
    """Return every rule in force, by name. One statement."""
    return _read(_IN_FORCE.format(mentioning=""), [at])


def sod_rules_about(entitlement_ids: Collection[int], at: datetime) -> list[SodInForce]:
    """Return the rules in force that speak of one of these entitlements. One statement."""
    return _read(_IN_FORCE.format(mentioning=_MENTIONING), [at, list(entitlement_ids)])


def sod_rule(slug: str) -> SodRule:
    """Return a rule, in force or retired. Raises NotFound."""
    found = SodRule.objects.filter(slug=slug).first()
    if found is None:
        raise NotFound(f"There is no rule called {slug}.")
    return found


def sod_exception(exception_id: int) -> SodException:
    """Return an exception with its rule and people. Raises NotFound."""
    found = SodException.objects.select_related("rule", "person", "owner").filter(pk=exception_id).first()
    if found is None:
        raise NotFound("There is no such exception.")
    return found


def _read(sql: str, parameters: list[object]) -> list[SodInForce]:
    return [_rule_of(said) for said in rows(sql, parameters)]


def _rule_of(said: tuple[Any, ...]) -> SodInForce:
    rule_id, version_id, slug, name, why, severity, effect, at_most, first, second = said
    return SodInForce(
        rule_id, version_id, slug, name, why, severity, effect, at_most, first=tuple(first), second=tuple(second)
    )


_MENTIONING = """
AND EXISTS (
    SELECT FROM catalog_sodmember about WHERE about.version_id = version.id AND about.entitlement_id = ANY(%s::bigint[])
)"""
_IN_FORCE = """
SELECT version.rule_id, version.id, rule.slug, version.name, version.why, version.severity, version.effect,
    version.at_most,
    coalesce(array_agg(member.entitlement_id ORDER BY member.id) FILTER (WHERE member.side = 'a'), '{{}}'),
    coalesce(array_agg(member.entitlement_id ORDER BY member.id) FILTER (WHERE member.side = 'b'), '{{}}')
FROM (
    SELECT DISTINCT ON (said.rule_id) said.* FROM catalog_sodruleversion said
    WHERE said.effective_at <= %s ORDER BY said.rule_id, said.number DESC
) version
JOIN catalog_sodrule rule ON rule.id = version.rule_id AND rule.retired_at IS NULL
JOIN catalog_sodmember member ON member.version_id = version.id
WHERE true {mentioning}
GROUP BY version.rule_id, version.id, rule.slug, version.name, version.why, version.severity, version.effect,
    version.at_most
ORDER BY version.name, version.rule_id
"""
