"""The writers of rules about the separation of duties, and of exceptions from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max
from django.utils.text import slugify

from governance.catalog import events
from governance.catalog.models import (
    Entitlement,
    Risk,
    SodEffect,
    SodException,
    SodMember,
    SodRule,
    SodRuleVersion,
    SodSide,
)
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid, Reason, Refused
from governance.identity.models import Person
from governance.ledger.recording import Subject, record

#: An exception that lasts longer is a rule that nobody keeps.
LONGEST_EXCEPTION = timedelta(days=366)
SHORTEST_REASON = 15
LONGEST_REASON = 2000


@dataclass(frozen=True, slots=True)
class SodTerms:
    """What a version of a rule says. With `at_most`, `second` is empty: nobody has more of `first` than that."""

    name: str
    why: str
    first: Sequence[Entitlement]
    owner: Person
    second: Sequence[Entitlement] = field(default=())
    at_most: int | None = None
    severity: int = Risk.HIGH
    effect: str = SodEffect.BLOCK


def check_sod_terms(terms: SodTerms) -> None:
    """Refuse what cannot be a rule. Raises Invalid naming each wrong field."""
    problems = {
        "name": _needed(terms.name, 120) or ("" if slugify(terms.name) else "Give it a name with letters or digits."),
        "why": _needed(terms.why, 300),
        "first": _roles(terms.first) or ("" if terms.first else "Choose at least one role."),
        "second": _roles(terms.second) or _second(terms),
        "at_most": _limit(terms),
        "severity": "" if terms.severity in Risk.values else "Choose 1 (low) to 4 (critical).",
        "effect": "" if terms.effect in SodEffect.values else f"Choose one of {', '.join(SodEffect.values)}.",
        "owner": "" if terms.owner.is_active else f"{terms.owner.display_name} left and cannot answer for a rule.",
    }
    found = {name: sentence for name, sentence in problems.items() if sentence}
    if found:
        raise Invalid(found)


@transaction.atomic
def save_sod_rule(terms: SodTerms, *, slug: str = "", actor: Actor) -> SodRuleVersion:
    """Return the new version of the rule `slug`, or the first one of a new rule; in force from now on.

    Who breaks it already keeps what they have and is listed (`access.conflicts`).
    Raises Invalid naming each wrong field, and Conflict for a name that is taken or a rule that is retired.
    """
    check_sod_terms(terms)
    at = now()
    rule = _changed_rule(slug, terms) if slug else _new_rule(terms, at)
    last = rule.versions.aggregate(last=Max("number"))["last"] or 0
    version = SodRuleVersion.objects.create(
        rule=rule,
        number=last + 1,
        effective_at=at,
        created_at=at,
        created_by_ref=actor.ref,
        name=terms.name.strip(),
        why=terms.why.strip(),
        at_most=terms.at_most,
        severity=terms.severity,
        effect=terms.effect,
        owner=terms.owner,
    )
    sides = ((SodSide.FIRST, terms.first), (SodSide.SECOND, terms.second))
    SodMember.objects.bulk_create(
        SodMember(version=version, entitlement=role, side=side)
        for side, roles in sides
        for role in dict.fromkeys(roles)
    )
    roles = [Subject("entitlement", str(role.pk)) for role in (*terms.first, *terms.second)]
    record(
        events.SOD_RULE_CHANGED,
        actor=actor,
        subjects=[_rule(rule), Subject("person", str(terms.owner.ref)), *roles],
        data={
            "version": version.number,
            "first": [role.pk for role in terms.first],
            "second": [role.pk for role in terms.second],
            "at_most": terms.at_most,
            "severity": terms.severity,
            "effect": terms.effect,
        },
    )
    return version


@transaction.atomic
def retire_sod_rule(rule: SodRule, *, actor: Actor) -> None:
    """Put a rule out of force for good; its versions and what they prevented stay on record.

    Raises Conflict when it was retired before.
    """
    if not SodRule.objects.filter(pk=rule.pk, retired_at__isnull=True).update(retired_at=now()):
        raise Conflict(f"{rule.name} was retired before.")
    record(events.SOD_RULE_RETIRED, actor=actor, subjects=[_rule(rule)])


@transaction.atomic
def grant_sod_exception(
    rule: SodRule, person: Person, *, reason: str, owner: Person, ends_at: datetime, granted_by: Person, actor: Actor
) -> SodException:
    """Let a person break a rule from now until `ends_at`; `owner` answers for it.

    Raises Refused when somebody grants it to themselves, Invalid naming each wrong field, and Conflict when the rule
    is retired or the person has a running exception.
    """
    at = now()
    Person.objects.select_for_update(no_key=True).get(pk=person.pk)
    if granted_by.pk == person.pk:
        raise Refused([Reason("own_exception", "Nobody grants an exception for themselves.", "person")])
    _check_exception(person, reason=reason, owner=owner, ends_at=ends_at, at=at)
    if SodRule.objects.filter(pk=rule.pk, retired_at__isnull=False).exists():
        raise Conflict(f"{rule.name} is retired; there is nothing to except from.")
    running = SodException.objects.filter(rule=rule, person=person, ended_at__isnull=True, ends_at__gt=at).first()
    if running is not None:
        raise Conflict(f"{person.display_name} has an exception until {running.ends_at:%d %B %Y}. End it first.")
    exception = SodException.objects.create(
        rule=rule,
        person=person,
        reason=reason.strip(),
        granted_by=granted_by,
        owner=owner,
        starts_at=at,
        ends_at=ends_at,
    )
    record(
        events.SOD_EXCEPTION_GRANTED,
        actor=actor,
        subjects=[_exception(exception), _rule(rule), Subject("person", str(person.ref))],
        data={"ends_at": ends_at.isoformat(), "owner": str(owner.ref), "granted_by": str(granted_by.ref)},
        private={"reason": (str(person.ref), reason.strip())},
    )
    return exception


@transaction.atomic
def end_sod_exception(exception: SodException, *, ended_by: Person, actor: Actor) -> None:
    """End an exception before its time. Raises Conflict when it has ended."""
    at = now()
    running = SodException.objects.filter(pk=exception.pk, ended_at__isnull=True, ends_at__gt=at)
    if not running.update(ended_at=at, ended_by=ended_by):
        raise Conflict("This exception has ended already.")
    record(
        events.SOD_EXCEPTION_ENDED,
        actor=actor,
        subjects=[_exception(exception), _rule(exception.rule), Subject("person", str(exception.person.ref))],
    )


def _new_rule(terms: SodTerms, at: datetime) -> SodRule:
    slug = slugify(terms.name)[:80]
    rule, is_new = SodRule.objects.get_or_create(slug=slug, defaults={"name": terms.name.strip(), "created_at": at})
    if not is_new:
        raise Conflict(f"There is a rule called {rule.name} already.")
    return rule


def _changed_rule(slug: str, terms: SodTerms) -> SodRule:
    rule = SodRule.objects.select_for_update(no_key=True).get(slug=slug)
    if rule.retired_at is not None:
        raise Conflict(f"{rule.name} is retired and cannot be changed.")
    rule.name = terms.name.strip()
    rule.save(update_fields=["name"])
    return rule


def _check_exception(person: Person, *, reason: str, owner: Person, ends_at: datetime, at: datetime) -> None:
    length = len(reason.strip())
    problems = {
        "person": "" if person.is_active else f"{person.display_name} is not active any more.",
        "reason": ""
        if SHORTEST_REASON <= length <= LONGEST_REASON
        else f"Write {SHORTEST_REASON} to {LONGEST_REASON} characters.",
        "owner": _answers(owner, person),
        "ends_at": "" if at < ends_at <= at + LONGEST_EXCEPTION else "Choose a day ahead, at most a year from now.",
    }
    found = {name: sentence for name, sentence in problems.items() if sentence}
    if found:
        raise Invalid(found)


def _answers(owner: Person, person: Person) -> str:
    if owner.pk == person.pk:
        return "Somebody else has to answer for it."
    return "" if owner.is_active else f"{owner.display_name} left and cannot answer for it."


def _needed(value: str, limit: int) -> str:
    if not value.strip():
        return "This is needed."
    return f"At most {limit} characters; this has {len(value)}." if len(value) > limit else ""


def _roles(roles: Sequence[Entitlement]) -> str:
    gone = [role.name for role in roles if role.retired_at is not None]
    return f"{', '.join(gone)} does not exist any more." if gone else ""


def _second(terms: SodTerms) -> str:
    if terms.at_most is not None:
        return "A rule with a limit has one set only." if terms.second else ""
    if not terms.second:
        return "Choose at least one role."
    both = [role.name for role in terms.first if role in terms.second]
    return f"{', '.join(both)} stands in both sets; a role cannot conflict with itself." if both else ""


def _limit(terms: SodTerms) -> str:
    if terms.at_most is None:
        return ""
    if terms.at_most < 1:
        return "Let people have at least one."
    several = len(set(terms.first))
    return "" if terms.at_most < several else f"With {several} in the set, this forbids nothing. Choose less."


def _rule(rule: SodRule) -> Subject:
    return Subject("sod_rule", rule.slug)


def _exception(exception: SodException) -> Subject:
    return Subject("sod_exception", str(exception.pk))
