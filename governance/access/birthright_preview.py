"""What a change of a birthright rule would do, before it is saved: whom it adds to and takes from, by number and name.

Everything that the run after saving does is asked here: other rules and grants that still give, duties that hold back,
the grace. Reads only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from governance.access import duties
from governance.access.birthright import Reasoned
from governance.access.birthright_sets import Scope, ask, changes_sql, scope_of
from governance.catalog.models import BirthrightRule, RuleEffect
from governance.catalog.rules import RuleTerms
from governance.catalog.rules_queries import Giving, rules_in_force, whole_condition

#: So many people of each kind are named at first.
NAMED = 20
ADDS, TAKES, KEEPS, HELD_BACK, GOES_ON, UNCHANGED = "adds", "takes", "keeps", "held_back", "goes_on", "unchanged"
#: What people notice, in the order in which it is shown. `unchanged`: a reason comes or goes, others still give.
EFFECTS = (ADDS, TAKES, KEEPS, HELD_BACK, GOES_ON, UNCHANGED)


@dataclass(frozen=True, slots=True)
class Named:
    """A person for whom something changes, and the roles it is about, by primary key."""

    person_id: int
    ref: str
    name: str
    title: str
    department: str
    entitlement_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """One kind of change: for how many people, in how many roles of theirs, and who comes first by name."""

    kind: str
    people: int = 0
    roles: int = 0
    named: tuple[Named, ...] = ()

    @property
    def unnamed(self) -> int:
        """Return how many people are counted and not named."""
        return self.people - len(self.named)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change would do now. `digest` is the same exactly while it would do the same to the same people."""

    applies_to: int
    effects: Mapping[str, Effect]
    digest: str
    grace: timedelta
    at: datetime

    def of(self, kind: str) -> Effect:
        """Return one kind of change, also when it happens to nobody."""
        return self.effects.get(kind) or Effect(kind)

    @property
    def adds(self) -> Effect:
        """Return who gets a role they do not have."""
        return self.of(ADDS)

    @property
    def takes(self) -> Effect:
        """Return who loses a role at once."""
        return self.of(TAKES)

    @property
    def keeps(self) -> Effect:
        """Return who loses a role after the grace."""
        return self.of(KEEPS)

    @property
    def held_back(self) -> Effect:
        """Return from whom a rule about duties holds a role back."""
        return self.of(HELD_BACK)

    @property
    def goes_on(self) -> Effect:
        """Return who was about to lose a role after a grace, and keeps it."""
        return self.of(GOES_ON)

    @property
    def unchanged(self) -> Effect:
        """Return for whom a reason comes or goes while others still give the role."""
        return self.of(UNCHANGED)

    @property
    def kept_until(self) -> datetime:
        """Return when the grace would end."""
        return self.at + self.grace

    @property
    def does_nothing(self) -> bool:
        """Tell whether nobody would notice anything."""
        return not any(self.of(kind).people for kind in EFFECTS if kind != UNCHANGED)


@dataclass(frozen=True, slots=True)
class NamedPage:
    """Some people of one kind in the order of their names; `next` continues after the last, by name and key."""

    rows: tuple[Named, ...]
    next: tuple[str, int] | None


def preview(terms: RuleTerms | None, rule: BirthrightRule | None, *, at: datetime) -> Preview:
    """Return what saving these terms for a rule would do if they began now; no terms: what retiring it would do.

    `rule` none: a new one. Six statements at most, whatever the number of people.
    """
    scope = _scope(terms, rule, at)
    lines = _look(scope, at, limit=NAMED)
    applies_to, digest = lines[0][0], lines[0][1]
    found: dict[str, list[tuple[Any, ...]]] = {}
    for line in lines:
        if line[2] is not None:
            found.setdefault(line[2], []).append(line)
    effects = {
        kind: Effect(kind, some[0][3], some[0][4], tuple(_named(one) for one in some)) for kind, some in found.items()
    }
    return Preview(applies_to, effects, digest, _grace(terms, rule, scope), at)


def named_page(
    terms: RuleTerms | None,
    rule: BirthrightRule | None,
    kind: str,
    *,
    after: tuple[str, int] | None,
    size: int | None,
    at: datetime,
) -> NamedPage:
    """Return people of one kind after a name and key; all of them without a size."""
    lines = _look(_scope(terms, rule, at), at, limit=None if size is None else size + 1, kind=kind, after=after)
    read = tuple(_named(line) for line in lines if line[2] is not None)
    if size is None or len(read) <= size:
        return NamedPage(read, None)
    last = read[size - 1]
    return NamedPage(read[:size], (last.name, last.person_id))


def as_giving(terms: RuleTerms, rule_id: int, *, guarded: frozenset[int]) -> Giving:
    """Return terms as a rule in force. A rule that is not saved has the key 0."""
    roles = sorted((role.pk, role.application_id) for role in terms.entitlements)
    return Giving(
        rule_id=rule_id,
        version_id=0,
        condition=whole_condition(terms.condition, terms.except_condition),
        entitlements=tuple(roles),
        guarded=guarded & {role for role, _ in roles},
        keeps_away=terms.effect == RuleEffect.KEEP_AWAY,
        priority=terms.priority,
        grace=terms.grace,
        excepted=frozenset(person.pk for person in terms.except_people),
    )


def _scope(terms: RuleTerms | None, rule: BirthrightRule | None, at: datetime) -> Scope:
    rule_id = rule.pk if rule else 0
    in_force = rules_in_force()
    draft = None if terms is None else as_giving(terms, rule_id, guarded=in_force.guarded)
    return scope_of(rule_id, in_force.rules, draft, at=at)


def _grace(terms: RuleTerms | None, rule: BirthrightRule | None, scope: Scope) -> timedelta:
    if terms is not None:
        return terms.grace
    known = scope.terms.get(rule.pk) if rule else None
    return known.grace if known else timedelta(0)


def _look(
    scope: Scope,
    at: datetime,
    *,
    limit: int | None,
    kind: str | None = None,
    after: tuple[str, int] | None = None,
) -> list[tuple[Any, ...]]:
    blocked = _blocked(scope, at)
    sql, parameters = changes_sql(scope, at=at)
    own = next((place for place, rule in enumerate(scope.rules) if rule.version_id == 0), -1)
    columns = [list(column) for column in zip(*blocked, strict=True)] if blocked else [[], [], []]
    name, key = after or ("", 0)
    parameters += [*columns, at, at, kind, kind, after is None, name, key, own, limit]
    return ask(sql + _EFFECTS, parameters)


def _blocked(scope: Scope, at: datetime) -> Sequence[Reasoned]:
    """Return what rules about duties would hold back. No statement where nothing that is new is guarded."""
    guarded = sorted(frozenset[int]().union(*(rule.guarded for rule in scope.rules)))
    if not guarded:
        return []
    sql, parameters = changes_sql(scope, at=at)
    asked: dict[Reasoned, duties.Candidate] = {}
    ending: set[int] = set()
    for person_id, role, rule_id, grant_id, change in ask(sql + _GUARDED_CHANGES, [*parameters, guarded]):
        if change == "end":
            ending.add(grant_id)
        else:
            asked[person_id, role, rule_id] = duties.Candidate(person_id, role)
    return list(duties.blocked(asked, at=at, but=ending))


def _named(line: tuple[Any, ...]) -> Named:
    person_id, ref, name, title, department, roles = line[5:11]
    return Named(person_id, str(ref), name, title, department, tuple(roles))


_GUARDED_CHANGES = """
SELECT person_id, entitlement_id, rule_id, grant_id, change FROM changes
WHERE change = 'end' OR (change = 'start' AND entitlement_id = ANY(%s::bigint[]))
ORDER BY person_id, place, entitlement_id
"""
#: Whether somebody notices is told of each pair of person and role: what all its reasons come to.
_EFFECTS = """,
blocked AS (
    SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS blocked (person_id, entitlement_id, rule_id)
),
judged AS MATERIALIZED (
    SELECT changes.*, blocked.person_id IS NOT NULL AS is_blocked
    FROM changes LEFT JOIN blocked ON blocked.person_id = changes.person_id
        AND blocked.entitlement_id = changes.entitlement_id AND blocked.rule_id = changes.rule_id
),
pairs AS (
    SELECT person_id, entitlement_id, bool_or(change = 'start' AND NOT is_blocked) AS starts,
        bool_or(is_blocked) AS is_blocked, bool_or(change = 'go_on') AS goes_on, bool_or(change = 'keep') AS keeps,
        bool_or(change = 'end') AS ends,
        coalesce(array_agg(grant_id) FILTER (WHERE grant_id IS NOT NULL), '{}') AS grant_ids
    FROM judged GROUP BY person_id, entitlement_id
),
noticed AS (
    SELECT pairs.person_id, pairs.entitlement_id,
        CASE WHEN others.give THEN 'unchanged'
            WHEN pairs.goes_on THEN 'goes_on'
            WHEN pairs.starts AND (pairs.ends OR pairs.keeps) THEN 'unchanged'
            WHEN pairs.starts THEN 'adds'
            WHEN pairs.keeps THEN 'keeps'
            WHEN pairs.ends THEN 'takes'
            ELSE 'held_back' END AS effect
    FROM pairs CROSS JOIN LATERAL (
        SELECT EXISTS (
            SELECT FROM access_grant other
            WHERE other.person_id = pairs.person_id AND other.entitlement_id = pairs.entitlement_id
                AND other.starts_at <= %s AND other.ends_at > %s AND other.id <> ALL(pairs.grant_ids)
        ) AS give
    ) others
),
counted AS (
    SELECT effect, count(DISTINCT person_id) AS people, count(*) AS roles FROM noticed GROUP BY effect
),
people AS (
    SELECT effect, person_id, array_agg(entitlement_id ORDER BY entitlement_id) AS roles
    FROM noticed WHERE %s::text IS NULL OR effect = %s::text GROUP BY effect, person_id
),
placed AS (
    SELECT people.effect, people.person_id, person.ref, person.display_name, person.title, person.department,
        people.roles,
        row_number() OVER (PARTITION BY people.effect ORDER BY person.display_name, person.id) AS place
    FROM people JOIN identity_person person ON person.id = people.person_id
    WHERE %s::boolean OR (person.display_name, person.id) > (%s::text, %s::bigint)
),
whole AS (
    SELECT (SELECT count(*) FROM applies WHERE place = %s::int) AS applies_to,
        (SELECT count(*) || '.' || coalesce(bit_xor(hashtextextended(
                concat_ws('/', person_id, entitlement_id, rule_id, change, is_blocked), 0)), 0) FROM judged) AS digest
)
SELECT whole.applies_to, whole.digest, counted.effect, counted.people, counted.roles, placed.person_id, placed.ref,
    placed.display_name, placed.title, placed.department, placed.roles
FROM whole LEFT JOIN (placed JOIN counted ON counted.effect = placed.effect)
    ON placed.place <= coalesce(%s::bigint, placed.place)
ORDER BY placed.effect, placed.place
"""
