"""The writers of applications, entitlements, policies and rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import Max
from django.utils.text import slugify

from governance.catalog import events, revisions, shipped
from governance.catalog.models import (
    AccessPolicy,
    AccessPolicyVersion,
    Application,
    ApplicationOwner,
    ApproverKind,
    AtEnd,
    DataClass,
    Entitlement,
    EntitlementKind,
    Extending,
    Risk,
)
from governance.catalog.stages import BY_SECURITY, Approvers, Stage, as_stages
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid
from governance.identity.models import Person
from governance.identity.selection import check_condition
from governance.ledger.recording import Subject, record

STANDARD_POLICY = "standard"
Row = TypeVar("Row", Application, Entitlement)


@dataclass(frozen=True, slots=True)
class PolicyTerms:
    """What a version of an access policy says; the fields are those of `AccessPolicyVersion`.

    Conditions are SCIM filter expressions. `may_request` and `may_break_glass` empty let everybody; `auto_approve` and
    `auto_deny` empty decide about nobody by themselves. A stage that is a plain kind wants one answer of that kind.
    """

    stages: tuple[str | Stage, ...]
    may_request: str = ""
    default_duration: timedelta = timedelta(hours=4)
    max_duration: timedelta = timedelta(days=30)
    allows_open_end: bool = False
    purposes: tuple[str, ...] = (
        "Fix an incident",
        "Work on a ticket",
        "Build a report",
        "Answer an audit",
        "Something else",
    )
    requires_ticket: bool = False
    auto_approve: str = ""
    auto_approve_up_to: timedelta = timedelta(0)
    lapses_after: timedelta = timedelta(days=14)
    ticket_pattern: str = ""
    auto_deny: str = ""
    never_automatic_from: int | None = None
    needs_security_from: int | None = None
    refused_from: int | None = None
    may_shorten: bool = True
    extending: str = Extending.FULL
    at_end: str = AtEnd.REMOVE
    kept_for: timedelta = timedelta(0)
    warns_before: tuple[timedelta, ...] = (timedelta(days=1), timedelta(hours=1))
    break_glass_up_to: timedelta | None = None
    may_break_glass: str = ""
    break_glass_reviewer: Approvers = BY_SECURITY

    def columns(self) -> dict[str, Any]:
        """Return what a version is stored with."""
        said = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "warns_before"}
        conditions = ("may_request", "auto_approve", "auto_deny", "may_break_glass")
        return said | {
            **{name: said[name].strip() for name in conditions},
            "stages": [stage.as_json() for stage in as_stages(self.stages)],
            "purposes": list(self.purposes),
            "warns_before_seconds": [int(span.total_seconds()) for span in self.warns_before],
            "break_glass_reviewer": self.break_glass_reviewer.as_json(),
        }


@transaction.atomic
def add_from_catalogue(catalogue_id: str, *, owners: Sequence[Person] = (), actor: Actor) -> Application:
    """Return a new application made from the shipped catalogue, with a first role to ask for.

    Raises NotFound for an unknown id and Conflict when it was added before.
    """
    entry = shipped.application(catalogue_id)
    application = add_application(
        entry.name,
        slug=entry.id,
        description=entry.description,
        category=entry.category,
        catalogue_id=entry.id,
        icon=entry.icon,
        risk=entry.risk,
        data_classes=entry.data_classes,
        owners=owners,
        actor=actor,
    )
    add_entitlement(
        application,
        "Member",
        sentence=f"Sign in to {entry.name} and use it as a member.",
        target_ref=f"{entry.name} members",
        risk=min(entry.risk, Risk.MEDIUM),
        data_classes=entry.data_classes,
        actor=actor,
    )
    return application


@transaction.atomic
def add_application(
    name: str,
    *,
    slug: str = "",
    description: str = "",
    category: str = "",
    catalogue_id: str = "",
    icon: str = "",
    risk: int = Risk.MEDIUM,
    data_classes: Sequence[str] = (),
    owners: Sequence[Person] = (),
    actor: Actor,
) -> Application:
    """Return a new application.

    Raises Invalid naming each wrong field and Conflict when the slug is taken.
    """
    slug = slug or slugify(name)[:80]
    _check(
        name=_text(name, 120),
        slug="" if slug else "Give it a name with letters or digits.",
        description=_text(description, 300, needed=False),
        risk="" if risk in Risk.values else "Choose 1 (low) to 4 (critical).",
        data_classes=_choices(data_classes, DataClass.values),
    )
    if Application.objects.filter(slug=slug).exists():
        raise Conflict(f"{name} was added before.")
    application = Application.objects.create(
        slug=slug,
        name=name.strip(),
        description=description,
        category=category[:60],
        catalogue_id=catalogue_id,
        icon=icon,
        risk=risk,
        data_classes=list(data_classes),
        created_at=now(),
    )
    record(events.APPLICATION_ADDED, actor=actor, subjects=[_application(application)], data={"slug": slug})
    if owners:
        set_owners(application, owners, actor=actor)
    return application


@transaction.atomic
def change_application(
    application: Application,
    name: str,
    *,
    description: str = "",
    risk: int,
    data_classes: Sequence[str] = (),
    actor: Actor,
) -> bool:
    """Make an application say this of itself; return whether anything changed.

    What its roles reach is said by the roles. Raises Invalid naming each wrong field.
    """
    _check(
        name=_text(name, 120),
        description=_text(description, 300, needed=False),
        risk="" if risk in Risk.values else "Choose 1 (low) to 4 (critical).",
        data_classes=_choices(data_classes, DataClass.values),
    )
    row = Application.objects.select_for_update(no_key=True).get(pk=application.pk)
    said = {
        "name": name.strip(),
        "description": description.strip(),
        "risk": risk,
        "data_classes": list(data_classes),
    }
    before = {field: getattr(row, field) for field in said}
    changed = sorted(field for field in said if said[field] != before[field])
    if not changed:
        return False
    Application.objects.filter(pk=row.pk).update(**said)
    if set(changed) & set(revisions.ABOUT_APPLICATIONS):
        revisions.revise_application(_saying(row, said), at=now(), actor=actor)
    record(
        events.APPLICATION_CHANGED,
        actor=actor,
        subjects=[_application(row)],
        data={field: {"from": before[field], "to": said[field]} for field in changed},
    )
    return True


@transaction.atomic
def set_owners(application: Application, owners: Sequence[Person], *, actor: Actor) -> None:
    """Make exactly these people answer for an application.

    Raises Invalid when one of them left.
    """
    if gone := [person.display_name for person in owners if not person.is_active]:
        raise Invalid({"owners": f"{', '.join(gone)} left and cannot own an application."})
    Application.objects.select_for_update(no_key=True).get(pk=application.pk)
    wanted = {person.pk for person in owners}
    ApplicationOwner.objects.filter(application=application).exclude(person_id__in=wanted).delete()
    at = now()
    ApplicationOwner.objects.bulk_create(
        [ApplicationOwner(application=application, person=person, since=at) for person in owners], ignore_conflicts=True
    )
    people = [Subject("person", str(person.ref)) for person in owners]
    record(events.OWNERS_CHANGED, actor=actor, subjects=[_application(application), *people])


@transaction.atomic
def add_entitlement(
    application: Application,
    name: str,
    *,
    sentence: str,
    target_ref: str,
    kind: str = EntitlementKind.GROUP,
    risk: int = Risk.MEDIUM,
    data_classes: Sequence[str] = (),
    is_privileged: bool = False,
    is_requestable: bool = True,
    policy: AccessPolicy | None = None,
    actor: Actor,
) -> Entitlement:
    """Return a new entitlement inside an application, under `policy` or the standard one.

    Raises Invalid naming each wrong field and Conflict when the application has one by that name or target.
    """
    slug = slugify(name)[:80]
    _check(
        name=_text(name, 120) or ("" if slug else "Give it a name with letters or digits."),
        sentence=_text(sentence, 300),
        target_ref=_text(target_ref, 320),
        kind="" if kind in EntitlementKind.values else f"Choose one of {', '.join(EntitlementKind.values)}.",
        risk="" if risk in Risk.values else "Choose 1 (low) to 4 (critical).",
        data_classes=_choices(data_classes, DataClass.values),
    )
    others = Entitlement.objects.filter(application=application)
    if others.filter(slug=slug).exists() or others.filter(kind=kind, target_ref=target_ref).exists():
        raise Conflict(f"{application.name} already has {name}.")
    entitlement = Entitlement.objects.create(
        application=application,
        slug=slug,
        name=name.strip(),
        kind=kind,
        target_ref=target_ref,
        sentence=sentence,
        risk=risk,
        data_classes=list(data_classes),
        is_privileged=is_privileged,
        is_requestable=is_requestable,
        policy=policy or standard_policy(actor=actor),
        created_at=now(),
    )
    record(
        events.ENTITLEMENT_ADDED,
        actor=actor,
        subjects=[Subject("entitlement", str(entitlement.pk)), _application(application)],
        data={"slug": slug, "risk": risk},
    )
    return entitlement


@transaction.atomic
def change_entitlement(
    entitlement: Entitlement,
    name: str,
    *,
    sentence: str,
    risk: int,
    data_classes: Sequence[str] = (),
    is_privileged: bool = False,
    is_requestable: bool = True,
    policy: AccessPolicy | None = None,
    actor: Actor,
) -> bool:
    """Make an entitlement say this, under `policy` or the standard one; return whether anything changed.

    What it is in the application (kind and target) stays: accounts there hold it under that name. Running grants keep
    their ends. Raises Invalid naming each wrong field, and Conflict when another one there has the name.
    """
    _check(
        name=_text(name, 120),
        sentence=_text(sentence, 300),
        risk="" if risk in Risk.values else "Choose 1 (low) to 4 (critical).",
        data_classes=_choices(data_classes, DataClass.values),
    )
    row = Entitlement.objects.select_for_update(no_key=True).select_related("application").get(pk=entitlement.pk)
    others = Entitlement.objects.filter(application=row.application).exclude(pk=row.pk)
    if others.filter(name__iexact=name.strip()).exists():
        raise Conflict(f"{row.application.name} already has {name.strip()}.")
    said = {
        "name": name.strip(),
        "sentence": sentence.strip(),
        "risk": risk,
        "data_classes": list(data_classes),
        "is_privileged": is_privileged,
        "is_requestable": is_requestable,
        "policy_id": (policy or standard_policy(actor=actor)).pk,
    }
    before = {field: getattr(row, field) for field in said}
    changed = sorted(field for field in said if said[field] != before[field])
    if not changed:
        return False
    Entitlement.objects.filter(pk=row.pk).update(**said)
    if set(changed) & set(revisions.ABOUT_ENTITLEMENTS):
        revisions.revise_entitlement(_saying(row, said), at=now(), actor=actor)
    record(
        events.ENTITLEMENT_CHANGED,
        actor=actor,
        subjects=[Subject("entitlement", str(row.pk)), _application(row.application)],
        data={field: {"from": before[field], "to": said[field]} for field in changed},
    )
    return True


@transaction.atomic
def standard_policy(*, actor: Actor) -> AccessPolicy:
    """Return the policy that entitlements start with, made when it is missing: the owner decides."""
    policy = AccessPolicy.objects.filter(slug=STANDARD_POLICY).first()
    if policy is not None:
        return policy
    terms = PolicyTerms(stages=(ApproverKind.OWNER,))
    return save_policy("Standard", terms, slug=STANDARD_POLICY, actor=actor).policy


@transaction.atomic
def save_policy(name: str, terms: PolicyTerms, *, slug: str = "", actor: Actor) -> AccessPolicyVersion:
    """Return the new version of a policy, which is in force from now on; the policy is made when it is new.

    Raises Invalid naming each wrong field.
    """
    _check_terms(name, terms)
    at = now()
    policy, _ = AccessPolicy.objects.select_for_update(no_key=True).get_or_create(
        slug=slug or slugify(name)[:80], defaults={"name": name, "created_at": at}
    )
    last = policy.versions.aggregate(last=Max("number"))["last"] or 0
    version = AccessPolicyVersion.objects.create(
        policy=policy,
        number=last + 1,
        effective_at=at,
        created_at=at,
        created_by_ref=actor.ref,
        **terms.columns(),
    )
    record(
        events.POLICY_CHANGED,
        actor=actor,
        subjects=[Subject("policy", policy.slug)],
        data={"version": version.number, "stages": version.stage_kinds},
    )
    return version


def _saying(row: Row, said: Mapping[str, object]) -> Row:
    for field, value in said.items():
        setattr(row, field, value)
    return row


def _check_terms(name: str, terms: PolicyTerms) -> None:
    zero = timedelta(0)
    _check(
        name=_text(name, 120),
        stages=_choices([stage.kind for stage in as_stages(terms.stages)], ApproverKind.values),
        default_duration="" if zero < terms.default_duration <= terms.max_duration else "Must lie within the longest.",
        max_duration="" if terms.max_duration > zero else "Must be longer than nothing.",
        auto_approve_up_to=""
        if zero <= terms.auto_approve_up_to <= terms.max_duration
        else "Must lie within the longest.",
        lapses_after="" if terms.lapses_after > zero else "Must be longer than nothing.",
    )
    check_condition(terms.may_request, field="may_request")
    check_condition(terms.auto_approve, field="auto_approve")
    check_condition(terms.auto_deny, field="auto_deny")
    check_condition(terms.may_break_glass, field="may_break_glass")


def _check(**problems: str) -> None:
    found = {field: sentence for field, sentence in problems.items() if sentence}
    if found:
        raise Invalid(found)


def _text(value: str, limit: int, *, needed: bool = True) -> str:
    if needed and not value.strip():
        return "This is needed."
    return f"At most {limit} characters; this has {len(value)}." if len(value) > limit else ""


def _choices(values: Sequence[str], known: Sequence[str]) -> str:
    unknown = [value for value in values if value not in known]
    return f"Unknown: {', '.join(unknown)}. Choose from {', '.join(known)}." if unknown else ""


def _application(application: Application) -> Subject:
    return Subject("application", str(application.pk))
