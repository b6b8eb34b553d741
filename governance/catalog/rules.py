"""The writers of birthright rules: who gets what by who they are, and what is kept away from whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max
from django.utils.text import slugify

from governance.catalog import events
from governance.catalog.models import (
    USUAL_PRIORITY,
    BirthrightRule,
    BirthrightRuleVersion,
    Entitlement,
    RuleCallOff,
    RuleEffect,
)
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid, NotFound
from governance.identity.models import Person
from governance.identity.selection import check_condition
from governance.ledger.recording import Subject, record

LONGEST_NAME = 120
LONGEST_CONDITION = 2000
LAST_PRIORITY = 1000
LONGEST_GRACE = timedelta(days=90)
#: Whoever excepts more people by name has a condition in mind.
MOST_EXCEPTED = 100
MOST_ROLES = 50


@dataclass(frozen=True, slots=True)
class RuleTerms:
    """What a version of a birthright rule says. Conditions are SCIM filter expressions over people.

    `starts_at` empty: from now on. `grace` is for whom the rule no longer applies to.
    """

    name: str
    condition: str
    entitlements: Sequence[Entitlement]
    effect: str = RuleEffect.GIVE
    priority: int = USUAL_PRIORITY
    except_condition: str = ""
    except_people: Sequence[Person] = ()
    grace: timedelta = timedelta(0)
    starts_at: datetime | None = None


def check_rule_terms(terms: RuleTerms) -> None:
    """Refuse what cannot be a rule. Raises Invalid naming each wrong field."""
    problems = {
        "name": _name(terms.name),
        "condition": _condition(terms.condition, "condition") if terms.condition.strip() else _NOBODY,
        "except_condition": _condition(terms.except_condition, "except_condition"),
        "except_people": "" if len(terms.except_people) <= MOST_EXCEPTED else _TOO_MANY_EXCEPTED,
        "entitlements": _roles(terms.entitlements),
        "effect": "" if terms.effect in RuleEffect.values else f"Choose one of {', '.join(RuleEffect.values)}.",
        "priority": "" if 1 <= terms.priority <= LAST_PRIORITY else f"A whole number from 1 to {LAST_PRIORITY}.",
        "grace": "" if timedelta(0) <= terms.grace <= LONGEST_GRACE else f"At most {LONGEST_GRACE.days} days.",
    }
    found = {field: sentence for field, sentence in problems.items() if sentence}
    if found:
        raise Invalid(found)


@transaction.atomic
def save_rule(terms: RuleTerms, *, slug: str = "", actor: Actor) -> BirthrightRuleVersion:
    """Return the new version of the rule `slug`, or the first one of a new rule.

    It only says what people get; `access.rule_runs` saves and has everybody brought in line with it.
    Raises Invalid naming each wrong field, and Conflict for a name that is taken or a rule that is retired.
    """
    check_rule_terms(terms)
    at = now()
    if terms.starts_at is not None and terms.starts_at < at:
        raise Invalid({"starts_at": "This is past. Leave it empty to start now."})
    rule = _changed(slug, terms) if slug else _new(terms, at)
    last = rule.versions.aggregate(last=Max("number"))["last"] or 0
    version = BirthrightRuleVersion.objects.create(
        rule=rule,
        number=last + 1,
        effective_at=terms.starts_at or at,
        created_at=at,
        created_by_ref=actor.ref,
        effect=terms.effect,
        priority=terms.priority,
        condition=terms.condition.strip(),
        except_condition=terms.except_condition.strip(),
        except_person_ids=sorted({person.pk for person in terms.except_people}),
        grace=terms.grace,
    )
    version.entitlements.set(terms.entitlements)
    record(
        events.RULE_CHANGED,
        actor=actor,
        subjects=[
            _subject(rule),
            *(Subject("entitlement", str(one.pk)) for one in terms.entitlements),
            *(Subject("person", str(one.ref)) for one in terms.except_people),
        ],
        data={
            "version": version.number,
            "effect": str(version.effect),
            "priority": version.priority,
            "grace_days": version.grace.days,
            "effective_at": version.effective_at,
        },
    )
    return version


def save_birthright_rule(
    name: str, condition: str, entitlements: Sequence[Entitlement], *, slug: str = "", actor: Actor
) -> BirthrightRuleVersion:
    """Return the new version of a rule that gives roles, with the usual terms; raises what `save_rule` raises."""
    return save_rule(RuleTerms(name, condition, list(entitlements)), slug=slug, actor=actor)


@transaction.atomic
def retire_rule(rule: BirthrightRule, *, actor: Actor) -> None:
    """Put a rule out of force for good, with what it planned; its versions stay on record.

    Raises Conflict when it was retired before.
    """
    if not BirthrightRule.objects.filter(pk=rule.pk, retired_at__isnull=True).update(retired_at=now()):
        raise Conflict(f"{rule.name} was retired before.")
    record(events.RULE_RETIRED, actor=actor, subjects=[_subject(rule)])


@transaction.atomic
def call_off(rule: BirthrightRule, number: int, *, before: datetime, actor: Actor) -> BirthrightRuleVersion:
    """Return a version of a rule, taken back for good; it has to begin later than `before`.

    Raises NotFound when there is no such version, and Conflict when it begins, was called off, or a version that was
    saved later has taken its place.
    """
    rule = BirthrightRule.objects.select_for_update(no_key=True).get(pk=rule.pk)
    version = rule.versions.filter(number=number).first()
    if version is None:
        raise NotFound(f"{rule.name} has no version {number}.")
    if why_not := _why_it_stays(rule, version, before):
        raise Conflict(why_not)
    RuleCallOff.objects.create(version=version, at=now(), by_ref=actor.ref, correlation_id=actor.correlation_id)
    data = {"version": version.number, "effective_at": version.effective_at}
    record(events.RULE_CALLED_OFF, actor=actor, subjects=[_subject(rule)], data=data)
    return version


def _why_it_stays(rule: BirthrightRule, version: BirthrightRuleVersion, before: datetime) -> str:
    if rule.retired_at is not None:
        return f"{rule.name} is retired, with what it planned."
    if RuleCallOff.objects.filter(version=version).exists():
        return f"Version {version.number} of {rule.name} was called off before."
    if version.effective_at <= before:
        return f"Version {version.number} of {rule.name} has begun. Write another version to change it."
    later = rule.versions.filter(number__gt=version.number, effective_at__lte=before, call_off__isnull=True)
    if (found := later.order_by("-number").first()) is not None:
        return f"Version {found.number} of {rule.name} has taken the place of version {version.number}."
    return ""


def _new(terms: RuleTerms, at: datetime) -> BirthrightRule:
    slug = slugify(terms.name)[:80]
    rule, is_new = BirthrightRule.objects.get_or_create(
        slug=slug, defaults={"name": terms.name.strip(), "created_at": at}
    )
    if not is_new:
        raise Conflict(f"There is a rule called {rule.name}. Choose another name, or change that one.")
    return rule


def _changed(slug: str, terms: RuleTerms) -> BirthrightRule:
    rule = BirthrightRule.objects.select_for_update(no_key=True).filter(slug=slug).first()
    if rule is None:
        raise Conflict("There is no such rule any more.")
    if rule.retired_at is not None:
        raise Conflict(f"{rule.name} is retired and cannot be changed.")
    if rule.name != terms.name.strip():
        rule.name = terms.name.strip()
        rule.save(update_fields=["name"])
    return rule


_NOBODY = "Say whom the rule applies to."
_TOO_MANY_EXCEPTED = f"At most {MOST_EXCEPTED} people by name. Use a condition for more."


def _name(name: str) -> str:
    if not name.strip():
        return "This is needed."
    if len(name) > LONGEST_NAME:
        return f"At most {LONGEST_NAME} characters; this has {len(name)}."
    return "" if slugify(name) else "Give it a name with letters or digits."


def _condition(text: str, field: str) -> str:
    if len(text) > LONGEST_CONDITION:
        return f"At most {LONGEST_CONDITION} characters; this has {len(text)}."
    try:
        check_condition(text, field=field)
    except Invalid as error:
        return " ".join(error.fields[field])
    return ""


def _roles(roles: Sequence[Entitlement]) -> str:
    if not roles:
        return "Choose at least one role."
    if len(roles) > MOST_ROLES:
        return f"At most {MOST_ROLES} roles in one rule."
    gone = [role.name for role in roles if role.retired_at is not None or role.application.retired_at is not None]
    return f"{', '.join(gone)}: retired, nobody can get it." if gone else ""


def _subject(rule: BirthrightRule) -> Subject:
    return Subject("rule", rule.slug)
