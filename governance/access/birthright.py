"""Access by role: what the birthright rules give to people, compared with what they have, as sets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from governance.access import duties, endings, giving, grace, grants, keeping, withholding
from governance.access.keeping import Spare
from governance.access.models import EndCause, Grant, GrantCause
from governance.access.withholding import Refusal
from governance.catalog.rules_queries import Giving, last_terms, rules_in_force
from governance.core.actor import Actor
from governance.core.clock import OPEN_END
from governance.core.statements import rows
from governance.identity.selection import selected_among
from governance.policy.duties import DutyConflict

#: Person and entitlement, and the rule that is the reason.
Reasoned = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Held:
    """A running grant by rule. With an end, it outlives its rule for a while."""

    grant_id: int
    ends_at: datetime
    #: The brake holds the change that would end it.
    is_braked: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What rules give to people, in the order in which the rules decide, and what is kept away from them."""

    #: Reason: the application and the version of the rule.
    reasons: Mapping[Reasoned, tuple[int, int]]
    #: Person and entitlement: the first priority that keeps it away.
    barred: Mapping[tuple[int, int], int]
    active: frozenset[int]


@dataclass(slots=True)
class Intents:
    """What is to be done, by reason or by primary key of a grant."""

    start: list[Reasoned] = field(default_factory=list)
    go_on: list[int] = field(default_factory=list)
    end: list[int] = field(default_factory=list)
    keep_until: dict[int, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Applied:
    """How many grants were started, went on, ended and were kept for a while, and how many were held back."""

    started: int = 0
    went_on: int = 0
    ended: int = 0
    kept: int = 0
    held_back: int = 0


def apply(
    person_ids: Collection[int],
    *,
    at: datetime,
    actor: Actor,
    judged: Collection[int] | None = None,
    spare: Spare | None = None,
) -> Applied:
    """Start what the rules give these people and end what they no longer give. A fixed number of statements.

    What would break a blocking rule about duties is withheld and kept on record; what runs already is not taken for
    it, but listed (`access.conflicts`). With `judged`, only reasons by these rules are looked at: enough where nothing
    but those rules changed. What `spare` returns of what no rule gives any more runs on, at every later call as well,
    until it is let go. Joins the caller's transaction, which has written something before; locks the people.
    """
    in_force = rules_in_force()
    if not person_ids or not in_force.ever:
        return Applied()
    rules = _concerned(in_force.rules, judged)
    people = lock(person_ids)
    held, withheld = _held(people, at, judged)
    wanted = wanted_by(rules, selected_among([rule.condition for rule in rules], people))
    intents = decide(wanted, held, _terms_of(rules, wanted, held, at), at=at)
    _leave_alone(intents, held, spare, at)
    new = _new_grants(wanted, intents.start, at)
    forbidden = _forbidden(rules, new, at=at, ending=intents.end)
    giving.give([_given(one) for reason, one in new.items() if reason not in forbidden], at=at, actor=actor)
    fresh = [Refusal(new[reason], found) for reason, found in forbidden.items() if reason not in withheld]
    withholding.withhold(fresh, at=at, actor=actor)
    withholding.release([key for reason, key in withheld.items() if reason not in forbidden], at=at, actor=actor)
    _move_ends(intents, at=at, actor=actor)
    return Applied(
        started=len(new) - len(forbidden),
        went_on=len(intents.go_on),
        ended=len(intents.end),
        kept=len(intents.keep_until),
        held_back=len(fresh),
    )


def lock(person_ids: Collection[int]) -> list[int]:
    """Lock these people for the caller's transaction, in the order every action locks them, and return their keys."""
    return [key for (key,) in rows(_LOCK, [sorted(person_ids)])]


def wanted_by(rules: Sequence[Giving], chosen: Mapping[int, Sequence[bool]]) -> Wanted:
    """Return what rules in order give to people; `chosen` tells of each active person which conditions select them.

    A rule that keeps a role away does so for the rules after it and beside it. Pure.
    """
    reasons: dict[Reasoned, tuple[int, int]] = {}
    barred: dict[tuple[int, int], int] = {}
    for person_id, matches in chosen.items():
        applying = [
            rule
            for rule, is_selected in zip(rules, matches, strict=True)
            if is_selected and person_id not in rule.excepted
        ]
        for rule in applying:
            if rule.keeps_away:
                for role, _ in rule.entitlements:
                    barred[person_id, role] = min(rule.priority, barred.get((person_id, role), rule.priority))
        for rule in applying:
            if not rule.keeps_away:
                for role, application in rule.entitlements:
                    if rule.priority < barred.get((person_id, role), rule.priority + 1):
                        reasons[person_id, role, rule.rule_id] = (application, rule.version_id)
    return Wanted(reasons, barred, frozenset(chosen))


def decide(
    wanted: Wanted, held: Mapping[Reasoned, Held], terms: Mapping[int, tuple[int, timedelta]], *, at: datetime
) -> Intents:
    """Return what is to be done so that people have what rules give them. Pure.

    `terms` are priority and grace of the rules behind what is held and not wanted. There is no grace for leavers, nor
    for what a rule keeps away.
    """
    intents = Intents(start=[reason for reason in wanted.reasons if reason not in held])
    for reason, one in held.items():
        is_kept = one.ends_at < OPEN_END
        if reason in wanted.reasons:
            if is_kept:
                intents.go_on.append(one.grant_id)
            continue
        person_id, role, rule_id = reason
        priority, spell = terms[rule_id]
        bar = wanted.barred.get((person_id, role))
        if person_id not in wanted.active or (bar is not None and bar <= priority):
            intents.end.append(one.grant_id)
        elif not is_kept and spell:
            intents.keep_until[one.grant_id] = at + spell
        elif not is_kept:
            intents.end.append(one.grant_id)
    return intents


def _leave_alone(intents: Intents, held: Mapping[Reasoned, Held], spare: Spare | None, at: datetime) -> None:
    """Take out of the intents what the brake holds, and let go what it held and a rule gives again."""
    ending = {*intents.end, *intents.keep_until}
    over = {one.grant_id: reason[0] for reason, one in held.items() if one.grant_id in ending}
    braked = frozenset(one.grant_id for one in held.values() if one.is_braked)
    spared = keeping.spared(over, braked, spare=spare, at=at)
    intents.end = [key for key in intents.end if key not in spared]
    intents.keep_until = {key: until for key, until in intents.keep_until.items() if key not in spared}
    keeping.let_go(braked - ending)


def _concerned(rules: Sequence[Giving], judged: Collection[int] | None) -> Sequence[Giving]:
    """Return the rules whose reasons are looked at, and those that keep anything away."""
    return rules if judged is None else [rule for rule in rules if rule.keeps_away or rule.rule_id in judged]


def _terms_of(
    rules: Sequence[Giving], wanted: Wanted, held: Mapping[Reasoned, Held], at: datetime
) -> dict[int, tuple[int, timedelta]]:
    """Return priority and grace of the rules behind what is held and not wanted. One statement for those long gone."""
    terms = {rule.rule_id: (rule.priority, rule.grace) for rule in rules}
    gone = {rule_id for _, _, rule_id in held.keys() - wanted.reasons.keys()} - terms.keys()
    said = last_terms(gone, at) if gone else {}
    return terms | {rule_id: (one.priority, one.grace) for rule_id, one in said.items()}


def _new_grants(wanted: Wanted, reasons: Sequence[Reasoned], at: datetime) -> dict[Reasoned, grants.NewGrant]:
    return {
        reason: grants.NewGrant(
            person_id=reason[0],
            entitlement_id=reason[1],
            application_id=wanted.reasons[reason][0],
            cause=GrantCause.BIRTHRIGHT,
            starts_at=at,
            ends_at=OPEN_END,
            rule_version_id=wanted.reasons[reason][1],
        )
        for reason in reasons
    }


def _given(new: grants.NewGrant) -> giving.Given:
    assert new.rule_version_id is not None
    return giving.Given(new.person_id, new.entitlement_id, new.application_id, new.rule_version_id)


def _move_ends(intents: Intents, *, at: datetime, actor: Actor) -> None:
    moved = [*intents.end, *intents.go_on, *intents.keep_until]
    if not moved:
        return
    found = {one.pk: one for one in Grant.objects.select_for_update(no_key=True).filter(pk__in=moved).order_by("pk")}
    endings.end_many([found[key] for key in sorted(intents.end)], cause=EndCause.RULE, at=at, actor=actor)
    grace.go_on([found[key] for key in sorted(intents.go_on)], at=at, actor=actor)
    grace.keep_until([found[key] for key in sorted(intents.keep_until)], intents.keep_until, at=at, actor=actor)


def _forbidden(
    rules: Sequence[Giving], new: Mapping[Reasoned, grants.NewGrant], *, at: datetime, ending: Collection[int]
) -> dict[Reasoned, tuple[DutyConflict, ...]]:
    """Return what rules about duties forbid of what is new. No statement where none of it is guarded by a rule.

    Of two that exclude each other the one of the rule that decides first is given. What ends in the same moment stands
    in nobody's way: its removal is ordered with what is given. What is kept for a while does.
    """
    guarded = frozenset[int]().union(*(rule.guarded for rule in rules))
    asked = {
        reason: duties.Candidate(one.person_id, one.entitlement_id)
        for reason, one in new.items()
        if one.entitlement_id in guarded
    }
    return duties.blocked(asked, at=at, but=ending)


def _held(
    person_ids: Collection[int], at: datetime, judged: Collection[int] | None
) -> tuple[dict[Reasoned, Held], dict[Reasoned, int]]:
    """Return the running grants by rule of these people, locked, and what is withheld from them, by primary key."""
    held: dict[Reasoned, Held] = {}
    withheld: dict[Reasoned, int] = {}
    known = {"people": list(person_ids), "at": at}
    for is_withheld, key, person_id, entitlement_id, ends_at, is_braked, rule_id in rows(_HELD, known):
        if judged is not None and rule_id not in judged:
            continue
        if is_withheld:
            withheld[person_id, entitlement_id, rule_id] = key
        else:
            held[person_id, entitlement_id, rule_id] = Held(key, ends_at, bool(is_braked))
    return held, withheld


_LOCK = "SELECT id FROM identity_person WHERE id = ANY(%s::bigint[]) ORDER BY id FOR NO KEY UPDATE"
_HELD = """
WITH running AS MATERIALIZED (
    SELECT held.id, held.person_id, held.entitlement_id, held.rule_version_id, held.ends_at,
        EXISTS (SELECT FROM access_keptgrant kept WHERE kept.grant_id = held.id) AS is_braked
    FROM access_grant held
    WHERE held.person_id = ANY(%(people)s::bigint[]) AND held.cause = 'birthright' AND held.ends_at > %(at)s
    ORDER BY held.id FOR NO KEY UPDATE OF held
)
SELECT known.is_withheld, known.id, known.person_id, known.entitlement_id, known.ends_at, known.is_braked,
    version.rule_id
FROM (
    SELECT 0 AS is_withheld, running.* FROM running
    UNION ALL
    SELECT 1, waiting.id, waiting.person_id, waiting.entitlement_id, waiting.rule_version_id, waiting.since, false
    FROM access_withheld waiting
    WHERE waiting.person_id = ANY(%(people)s::bigint[]) AND waiting.ended_at IS NULL
) known JOIN catalog_birthrightruleversion version ON version.id = known.rule_version_id
"""
