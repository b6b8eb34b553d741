"""Who breaks rules about duties now: found as sets over what is granted and what was seen, in one statement for all.

A conflict lasts since the last of its roles came: since the grant that runs now began, or the role was first seen.
Only people at work are looked at; what a leaver still reaches stands on their page and among the orphans.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from governance.policy.duties import DutyRule


@dataclass(frozen=True, slots=True)
class Conflict:
    """One person who breaks one rule, with the entitlements that do, each named with its application, oldest first.

    `excepted_until` is None without an exception.
    """

    rule_id: int
    person_id: int
    since: datetime
    entitlement_ids: tuple[int, ...]
    excepted_until: datetime | None
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PersonConflict:
    """A rule that a person breaks, or with `is_withheld` what a rule by role gives and a rule about duties holds back.

    `names` are the roles with their applications; `slug`, `why` and `severity` say nothing of what is withheld.
    """

    is_withheld: bool
    slug: str
    rule_name: str
    why: str
    severity: int
    since: datetime
    excepted_until: datetime | None
    names: Sequence[str]
    application_ids: Sequence[int]


@dataclass(frozen=True, slots=True)
class Total:
    """How many people break a rule: without an exception, and with one."""

    open: int = 0
    excepted: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """Some conflicts by name of the person; `back` and `next` are the people to continue before and after."""

    conflicts: list[Conflict]
    back: int | None
    next: int | None


def of_person(person_id: int, *, at: datetime) -> list[PersonConflict]:
    """Return the rules in force that one person breaks and what is held back from them. One statement."""
    return [PersonConflict(*said) for said in _rows(_OF_PERSON, {"at": at, "person": person_id})]


def totals(
    rules: Sequence[DutyRule], *, at: datetime, application_ids: Collection[int] | None = None
) -> dict[int, Total]:
    """Return for each rule how many people break it, by rule; only about some applications when they are given."""
    parameters = _about(rules, at) | {"applications": None if application_ids is None else list(application_ids)}
    counted = _rows(_TOTALS, parameters) if rules else []
    found = {rule_id: Total(open_, excepted) for rule_id, open_, excepted in counted}
    return {rule.rule_id: found.get(rule.rule_id, Total()) for rule in rules}


def page_of(
    rule: DutyRule,
    *,
    at: datetime,
    size: int,
    after: int | None = None,
    before: int | None = None,
    application_ids: Collection[int] | None = None,
) -> Page:
    """Return up to `size` people who break a rule, by name, after or before a person. One statement."""
    backwards = before is not None and after is None
    edge = before if backwards else after
    parameters = _about([rule], at) | {
        "applications": None if application_ids is None else list(application_ids),
        "edge": edge,
        "size": size + 1,
    }
    paging = _FIRST if edge is None else _BEFORE if backwards else _AFTER
    found = [_conflict(said) for said in _rows(_PAGE + paging, parameters)]
    has_more, found = len(found) > size, found[:size]
    if backwards:
        found.reverse()
    first, last = (found[0].person_id, found[-1].person_id) if found else (None, None)
    has_back = has_more if backwards else edge is not None
    return Page(found, first if has_back else None, last if backwards or has_more else None)


def total_of(rule: DutyRule, *, at: datetime) -> Total:
    """Return how many people break a rule, also one that is only a draft."""
    return totals([rule], at=at)[rule.rule_id]


def _rows(sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Run a statement planned for these very values.

    A prepared one is at length planned for any values: for a handful of roles where there are thousands, which over
    millions of grants takes minutes instead of seconds.
    """
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def _about(rules: Sequence[DutyRule], at: datetime) -> dict[str, Any]:
    members = [
        (rule.rule_id, role, is_second)
        for rule in rules
        for is_second, roles in ((False, rule.first), (True, rule.second))
        for role in sorted(roles)
    ]
    return {
        "at": at,
        "rules": [rule.rule_id for rule in rules],
        "limits": [rule.at_most for rule in rules],
        "member_rules": [rule_id for rule_id, _, _ in members],
        "roles": [role for _, role, _ in members],
        "seconds": [is_second for _, _, is_second in members],
    }


def _conflict(said: tuple[Any, ...]) -> Conflict:
    rule_id, person_id, since, roles, excepted_until, names = said
    return Conflict(rule_id, person_id, since, tuple(roles), excepted_until, tuple(names))


_GIVEN_RULES = """
rule AS (
    SELECT * FROM unnest(%(rules)s::bigint[], %(limits)s::int[]) AS said (rule_id, at_most)
), member AS (
    SELECT * FROM unnest(%(member_rules)s::bigint[], %(roles)s::bigint[], %(seconds)s::boolean[])
        AS said (rule_id, entitlement_id, is_second)
)"""
_RULES_IN_FORCE = """
rule AS (
    SELECT DISTINCT ON (said.rule_id) said.rule_id, said.id AS version_id, said.at_most, named.slug, said.name,
        said.why, said.severity
    FROM catalog_sodruleversion said
    JOIN catalog_sodrule named ON named.id = said.rule_id AND named.retired_at IS NULL
    WHERE said.effective_at <= %(at)s ORDER BY said.rule_id, said.number DESC
), member AS (
    SELECT rule.rule_id, listed.entitlement_id, listed.side = 'b' AS is_second
    FROM rule JOIN catalog_sodmember listed ON listed.version_id = rule.version_id
)"""
_BROKEN = """
WITH {rules}, held AS MATERIALIZED (
    SELECT each.person_id, each.entitlement_id, min(each.since) AS since
    FROM (
        SELECT given.person_id, given.entitlement_id, given.starts_at AS since FROM access_grant given
        WHERE given.entitlement_id {roles} AND given.starts_at <= %(at)s AND given.ends_at > %(at)s
        UNION ALL
        SELECT account.person_id, seen.entitlement_id, seen.first_seen_at
        FROM provisioning_holding seen JOIN provisioning_account account ON account.id = seen.account_id
        WHERE seen.entitlement_id {roles} AND seen.gone_at IS NULL AND account.gone_at IS NULL
            AND account.person_id IS NOT NULL
    ) each {people}
    GROUP BY each.person_id, each.entitlement_id
), broken AS (
    SELECT member.rule_id, held.person_id,
        array_agg(held.entitlement_id ORDER BY held.since, held.entitlement_id) AS roles,
        CASE WHEN rule.at_most IS NULL
            THEN greatest(
                min(held.since) FILTER (WHERE member.is_second), min(held.since) FILTER (WHERE NOT member.is_second)
            )
            ELSE (array_agg(held.since ORDER BY held.since))[rule.at_most + 1]
        END AS since
    FROM member JOIN rule ON rule.rule_id = member.rule_id JOIN held ON held.entitlement_id = member.entitlement_id
    GROUP BY member.rule_id, rule.at_most, held.person_id
    HAVING CASE WHEN rule.at_most IS NULL
        THEN bool_or(member.is_second) AND bool_or(NOT member.is_second) ELSE count(*) > rule.at_most END
), excepted AS (
    SELECT said.rule_id, said.person_id, max(said.ends_at) AS until FROM catalog_sodexception said
    WHERE said.starts_at <= %(at)s AND said.ends_at > %(at)s AND (said.ended_at IS NULL OR said.ended_at > %(at)s)
    GROUP BY said.rule_id, said.person_id
), found AS (
    SELECT broken.*, excepted.until, person.display_name FROM broken
    JOIN identity_person person ON person.id = broken.person_id AND person.status = 'active'
    LEFT JOIN excepted ON excepted.rule_id = broken.rule_id AND excepted.person_id = broken.person_id
)
"""
_OF_GIVEN = _BROKEN.format(rules=_GIVEN_RULES, roles="= ANY(%(roles)s::bigint[])", people="")
_WITHIN = """
WHERE (%(applications)s::bigint[] IS NULL OR EXISTS (
    SELECT FROM catalog_entitlement role
    WHERE role.id = ANY(found.roles) AND role.application_id = ANY(%(applications)s::bigint[])
))
"""
_NAMES = """
ARRAY(
    SELECT role.name || ' in ' || application.name FROM unnest(found.roles) WITH ORDINALITY AS each (id, place)
    JOIN catalog_entitlement role ON role.id = each.id
    JOIN catalog_application application ON application.id = role.application_id ORDER BY each.place
)"""
_PAGE = (
    _OF_GIVEN  # noqa: S608 - made of constants; values are parameters
    + "SELECT found.rule_id, found.person_id, found.since, found.roles, found.until,"
    + _NAMES
    + " FROM found"
    + _WITHIN
)
_TOTALS = (
    _OF_GIVEN  # noqa: S608 - made of constants; values are parameters
    + "SELECT found.rule_id, count(*) FILTER (WHERE found.until IS NULL), count(found.until) FROM found"
    + _WITHIN
    + "GROUP BY found.rule_id"
)
_EDGE = "(SELECT edge.display_name, edge.id FROM identity_person edge WHERE edge.id = %(edge)s)"
_FIRST = "ORDER BY found.display_name, found.person_id LIMIT %(size)s"
_AFTER = f"AND (found.display_name, found.person_id) > {_EDGE} {_FIRST}"
_BEFORE = (
    f"AND (found.display_name, found.person_id) < {_EDGE}"
    " ORDER BY found.display_name DESC, found.person_id DESC LIMIT %(size)s"
)
_OF_PERSON = (
    _BROKEN.format(  # noqa: S608 - made of constants; values are parameters
        rules=_RULES_IN_FORCE,
        roles="IN (SELECT member.entitlement_id FROM member)",
        people="WHERE each.person_id = %(person)s",
    )
    + "SELECT false, rule.slug, rule.name, rule.why, rule.severity, found.since AS since, found.until,"
    + _NAMES
    + """,
    ARRAY(SELECT role.application_id FROM catalog_entitlement role WHERE role.id = ANY(found.roles))
FROM found JOIN rule ON rule.rule_id = found.rule_id
UNION ALL
SELECT true, '', given.name, '', 0, waiting.since, NULL, ARRAY[role.name || ' in ' || application.name],
    ARRAY[waiting.application_id]
FROM access_withheld waiting
JOIN catalog_birthrightruleversion version ON version.id = waiting.rule_version_id
JOIN catalog_birthrightrule given ON given.id = version.rule_id
JOIN catalog_entitlement role ON role.id = waiting.entitlement_id
JOIN catalog_application application ON application.id = waiting.application_id
JOIN identity_person person ON person.id = waiting.person_id AND person.status = 'active'
WHERE waiting.person_id = %(person)s AND waiting.ended_at IS NULL
ORDER BY since
"""
)
