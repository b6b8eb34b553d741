"""The writers of applications and entitlements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.text import slugify

from governance.catalog import events, revisions, shipped
from governance.catalog.models import (
    AccessPolicy,
    Application,
    ApplicationOwner,
    DataClass,
    Entitlement,
    EntitlementKind,
    Risk,
)
from governance.catalog.policies import standard_policy
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid
from governance.identity.models import Person
from governance.ledger.recording import Record, Subject, record, record_many

Row = TypeVar("Row", Application, Entitlement)

#: A session that goes on for longer than a month is better ended by hand.
MOST_SESSION_HOURS = 720
_SESSION_HOURS = f"Enter whole hours, 1 to {MOST_SESSION_HOURS}, or nothing."


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

    Raises Invalid naming each wrong field and Conflict when one in use has the slug; after a retired one it gets a
    number.
    """
    slug = slug or slugify(name)[:80]
    _check(
        name=_text(name, 120),
        slug="" if slug else "Give it a name with letters or digits.",
        description=_text(description, 300, needed=False),
        risk="" if risk in Risk.values else "Choose 1 (low) to 4 (critical).",
        data_classes=_choices(data_classes, DataClass.values),
    )
    if Application.objects.filter(slug=slug, retired_at=None).exists():
        raise Conflict(f"{name} was added before.")
    slug = _free(slug, Application.objects.all())
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
    session_hours: int | None = None,
    actor: Actor,
) -> bool:
    """Make an application say this of itself; return whether anything changed.

    What its roles reach is said by the roles. `session_hours` is how long at most an open session there goes on after
    its access was taken away; none: not known. Raises Invalid naming each wrong field.
    """
    _check(
        name=_text(name, 120),
        description=_text(description, 300, needed=False),
        risk="" if risk in Risk.values else "Choose 1 (low) to 4 (critical).",
        data_classes=_choices(data_classes, DataClass.values),
        session_hours="" if session_hours is None or 1 <= session_hours <= MOST_SESSION_HOURS else _SESSION_HOURS,
    )
    row = Application.objects.select_for_update(no_key=True).get(pk=application.pk)
    said = {
        "name": name.strip(),
        "description": description.strip(),
        "risk": risk,
        "data_classes": list(data_classes),
        "session_hours": session_hours,
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
def hand_over_ownerships(person: Person, heir: Person | None, *, at: datetime, actor: Actor) -> None:
    """Let an heir, or the other owners alone, answer for every application that a person answered for. Set-based."""
    owned = Application.objects.select_for_update(no_key=True, of=("self",)).filter(ownerships__person=person)
    applications = list(owned.order_by("pk"))
    ApplicationOwner.objects.filter(person=person).delete()
    if heir is not None:
        ApplicationOwner.objects.bulk_create(
            [ApplicationOwner(application=one, person=heir, since=at) for one in applications], ignore_conflicts=True
        )
    remaining: dict[int, list[Subject]] = {one.pk: [] for one in applications}
    owners = ApplicationOwner.objects.filter(application__in=applications).order_by("since", "pk")
    for application_id, ref in owners.values_list("application_id", "person__ref"):
        remaining[application_id].append(Subject("person", str(ref)))
    record_many(Record(events.OWNERS_CHANGED, actor, [_application(one), *remaining[one.pk]]) for one in applications)


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

    Raises Invalid naming each wrong field and Conflict when the application has one in use by that name or target, or
    is retired itself.
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
    if application.retired_at is not None:
        raise Conflict(f"{application.name} is retired and gets no role.")
    others = Entitlement.objects.filter(application=application)
    taken = Q(slug=slug) | Q(name__iexact=name.strip()) | Q(kind=kind, target_ref=target_ref)
    if others.filter(taken, retired_at=None).exists():
        raise Conflict(f"{application.name} already has {name}.")
    slug = _free(slug, others)
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
    others = Entitlement.objects.filter(application=row.application, retired_at=None).exclude(pk=row.pk)
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


def _free(slug: str, among: QuerySet[Row]) -> str:
    """Return a slug that nothing has or had: this one, or the next with a number."""
    had = set(among.filter(slug__startswith=slug[:76]).values_list("slug", flat=True))
    numbered = (f"{slug[:76]}-{number}" for number in range(2, len(had) + 3))
    return slug if slug not in had else next(one for one in numbered if one not in had)


def _saying(row: Row, said: Mapping[str, object]) -> Row:
    for field, value in said.items():
        setattr(row, field, value)
    return row


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
