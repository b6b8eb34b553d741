"""What birthright rules would change among everybody, asked of the database as sets. Reads only.

It says the same as `birthright.decide` does for a few people; a test holds them against each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from governance.catalog.rules_queries import Giving, LastTerms, ever_kept_away, last_terms
from governance.core.clock import OPEN_END
from governance.identity.selection import selecting


@dataclass(frozen=True, slots=True)
class Scope:
    """The rules as they would be, those whose reasons a change touches, and what counts for what they gave before."""

    rules: tuple[Giving, ...]
    judged: frozenset[int]
    terms: dict[int, LastTerms]


def scope_of(rule_id: int, in_force: Sequence[Giving], draft: Giving | None, *, at: datetime) -> Scope:
    """Return what a change of one rule touches. `draft` stands in for the rule; none means that it is out of force.

    Beside its own reasons those of all rules that give what any version of it keeps or kept away. At most two
    statements.
    """
    rules = [rule for rule in in_force if rule.rule_id != rule_id]
    rules = sorted([*rules, draft] if draft else rules, key=lambda rule: (rule.priority, rule.rule_id or OWN_LAST))
    kept_before = ever_kept_away(rule_id) if rule_id else frozenset()
    kept_away = kept_before | (_roles(draft) if draft and draft.keeps_away else frozenset())
    judged = frozenset({rule_id, *(rule.rule_id for rule in rules if not rule.keeps_away and _roles(rule) & kept_away)})
    terms = {rule.rule_id: LastTerms(rule.priority, rule.grace) for rule in rules}
    if gone := judged - terms.keys():
        terms |= last_terms(gone, at)
    concerned = tuple(rule for rule in rules if rule.keeps_away or rule.rule_id in judged)
    return Scope(concerned, judged, {key: terms[key] for key in judged if key in terms})


#: A rule that is not saved yet comes after those of its priority, as it will when it has a key.
OWN_LAST = 2**62


def concerned_people(scope: Scope, *, at: datetime) -> list[int]:
    """Return the primary keys, in order, of everybody for whom something is to be done. One statement."""
    sql, parameters = changes_sql(scope, at=at)
    sql = f"""{sql}
        SELECT person_id FROM changes
        UNION
        SELECT waiting.person_id FROM access_withheld waiting
        JOIN catalog_birthrightruleversion version ON version.id = waiting.rule_version_id
        WHERE waiting.ended_at IS NULL AND version.rule_id = ANY(%s::bigint[])
        UNION
        SELECT held.person_id FROM access_keptgrant kept JOIN access_grant held ON held.id = kept.grant_id
        JOIN catalog_birthrightruleversion version ON version.id = held.rule_version_id
        WHERE version.rule_id = ANY(%s::bigint[])
        ORDER BY person_id
    """  # noqa: S608 - parts of the code; values are parameters
    judged = sorted(scope.judged)
    return [key for (key,) in ask(sql, [*parameters, judged, judged])]


def ask(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run a statement planned for its own values: conditions are as selective as their values are."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def changes_sql(scope: Scope, *, at: datetime) -> tuple[str, list[Any]]:
    """Return a WITH clause and its parameters. Its `changes` has a row for each reason that changes.

    Columns: person_id, entitlement_id, application_id, rule_id, grant_id, place (of the rule that gives, in the scope),
    change (start, go_on, end, keep). `applies` has who each rule applies to, by its place.
    """
    applies, parameters = _applies(scope.rules)
    places = range(len(scope.rules))
    named = [(place, *role) for place in places for role in scope.rules[place].entitlements]
    judged = sorted(scope.judged)
    parameters += [
        list(places),
        [rule.rule_id for rule in scope.rules],
        [rule.priority for rule in scope.rules],
        [rule.keeps_away for rule in scope.rules],
        *_columns(named, 3),
        list(scope.terms),
        [one.priority for one in scope.terms.values()],
        [bool(one.grace) for one in scope.terms.values()],
        judged,
        judged,
        at,
        OPEN_END,
        OPEN_END,
        OPEN_END,
    ]
    return _CHANGES.format(applies=applies), parameters


def _applies(rules: Sequence[Giving]) -> tuple[str, list[Any]]:
    """Return the SQL of who each rule applies to, by its place."""
    parts = ["SELECT NULL::bigint AS person_id, NULL::int AS place WHERE false"]
    parameters: list[Any] = []
    for place, rule in enumerate(rules):
        selection, values = selecting(rule.condition)
        parts.append(f"SELECT chosen.id, {place} FROM ({selection}) chosen")  # noqa: S608 - parts of the code
        parameters += values
        if rule.excepted:
            parts[-1] += " WHERE chosen.id <> ALL(%s::bigint[])"
            parameters.append(sorted(rule.excepted))
    return " UNION ALL ".join(parts), parameters


def _columns(table: Sequence[tuple[Any, ...]], number: int) -> list[list[Any]]:
    return [[line[place] for line in table] for place in range(number)]


def _roles(rule: Giving) -> frozenset[int]:
    return frozenset(role for role, _ in rule.entitlements)


_CHANGES = """
WITH applies AS MATERIALIZED ({applies}),
said AS (
    SELECT * FROM unnest(%s::int[], %s::bigint[], %s::int[], %s::boolean[])
        AS said (place, rule_id, priority, keeps_away)
),
named AS (
    SELECT * FROM unnest(%s::int[], %s::bigint[], %s::bigint[]) AS named (place, entitlement_id, application_id)
),
terms AS (
    SELECT * FROM unnest(%s::bigint[], %s::int[], %s::boolean[]) AS terms (rule_id, priority, has_grace)
),
barred AS MATERIALIZED (
    SELECT applies.person_id, named.entitlement_id, min(said.priority) AS priority
    FROM applies JOIN said USING (place) JOIN named USING (place)
    WHERE said.keeps_away GROUP BY applies.person_id, named.entitlement_id
),
wanted AS MATERIALIZED (
    SELECT applies.person_id, named.entitlement_id, named.application_id, said.rule_id, applies.place
    FROM applies JOIN said USING (place) JOIN named USING (place)
    LEFT JOIN barred ON barred.person_id = applies.person_id AND barred.entitlement_id = named.entitlement_id
    WHERE NOT said.keeps_away AND said.rule_id = ANY(%s::bigint[])
        AND (barred.priority IS NULL OR said.priority < barred.priority)
),
held AS MATERIALIZED (
    SELECT held.id AS grant_id, held.person_id, held.entitlement_id, held.application_id, held.ends_at,
        version.rule_id
    FROM catalog_birthrightruleversion version JOIN access_grant held ON held.rule_version_id = version.id
    WHERE version.rule_id = ANY(%s::bigint[]) AND held.ends_at > %s
),
compared AS (
    SELECT coalesce(wanted.person_id, held.person_id) AS person_id,
        coalesce(wanted.entitlement_id, held.entitlement_id) AS entitlement_id,
        coalesce(wanted.application_id, held.application_id) AS application_id,
        coalesce(wanted.rule_id, held.rule_id) AS rule_id, held.grant_id, held.ends_at,
        wanted.place, wanted.person_id IS NOT NULL AS is_wanted
    FROM wanted FULL JOIN held ON held.person_id = wanted.person_id
        AND held.entitlement_id = wanted.entitlement_id AND held.rule_id = wanted.rule_id
    WHERE wanted.person_id IS NULL OR held.grant_id IS NULL OR held.ends_at < %s
),
judgement AS (
    SELECT compared.*,
        CASE WHEN compared.grant_id IS NULL THEN 'start' WHEN compared.is_wanted THEN 'go_on'
            WHEN person.status <> 'active' OR barred.priority <= terms.priority THEN 'end'
            WHEN compared.ends_at < %s THEN NULL WHEN terms.has_grace THEN 'keep' ELSE 'end' END AS change
    FROM compared JOIN identity_person person ON person.id = compared.person_id
    LEFT JOIN terms ON terms.rule_id = compared.rule_id
    LEFT JOIN barred ON barred.person_id = compared.person_id AND barred.entitlement_id = compared.entitlement_id
    WHERE compared.is_wanted OR (
        (person.status <> 'active' OR compared.ends_at = %s OR barred.priority IS NOT NULL)
        -- What the brake holds runs on until somebody decided.
        AND NOT EXISTS (SELECT FROM access_keptgrant kept WHERE kept.grant_id = compared.grant_id)
    )
),
changes AS MATERIALIZED (
    SELECT person_id, entitlement_id, application_id, rule_id, grant_id, place, change
    FROM judgement WHERE change IS NOT NULL
)
"""
