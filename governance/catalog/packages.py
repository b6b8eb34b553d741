"""The writers of packages: named bundles of entitlements, kept by owners and security administrators."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.db import transaction
from django.db.models import Max
from django.utils.text import slugify

from governance.catalog import events
from governance.catalog.models import Entitlement, Package, PackageVersion
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid, NotAllowed
from governance.ledger.recording import Subject, record

#: What is asked for together is judged in one transaction.
MOST_ROLES = 50


def refuse_unless_keeper(roles: Collection[Entitlement], *, owned_ids: Collection[int], is_security: bool) -> None:
    """Let security keep every package, and owners those that hold only roles of their applications.

    Raises NotAllowed naming the other applications.
    """
    others = sorted({one.application.name for one in roles if one.application_id not in owned_ids})
    if others and not is_security:
        raise NotAllowed(f"You do not own {', '.join(others)}. A security administrator can keep this package.")


@transaction.atomic
def save_package(
    name: str, sentence: str, roles: Sequence[Entitlement], *, slug: str = "", actor: Actor
) -> PackageVersion:
    """Return the new version of a package, in force from now on; the package is made when `slug` is empty.

    Requests that were sent keep what they asked for. Raises Invalid naming each wrong field, and Conflict when the
    name is taken or the package is retired.
    """
    _check(name, sentence, roles)
    at = now()
    package = _locked(slug) if slug else _new(name)
    last = package.versions.aggregate(last=Max("number"))["last"] or 0
    version = PackageVersion.objects.create(
        package=package,
        number=last + 1,
        effective_at=at,
        created_by_ref=actor.ref,
        name=name.strip(),
        sentence=sentence.strip(),
    )
    version.entitlements.set(roles)
    record(
        events.PACKAGE_CHANGED,
        actor=actor,
        subjects=[
            Subject("package", package.slug),
            *(Subject("entitlement", str(one.pk)) for one in sorted(roles, key=lambda role: role.pk)),
        ],
        data={"version": version.number, "roles": len(roles)},
    )
    return version


@transaction.atomic
def retire_package(slug: str, *, actor: Actor) -> Package:
    """Let nobody ask for a package any more; what it gave stays. Raises Conflict when it was retired before."""
    package = _locked(slug)
    package.retired_at = now()
    package.save(update_fields=["retired_at"])
    record(events.PACKAGE_RETIRED, actor=actor, subjects=[Subject("package", package.slug)])
    return package


def _new(name: str) -> Package:
    slug = slugify(name)[:80]
    if not slug:
        raise Invalid({"name": "Give it a name with letters or digits."})
    package, made = Package.objects.get_or_create(slug=slug, defaults={"created_at": now()})
    if not made:
        raise Conflict(f"There is a package called {name.strip()} already.")
    return package


def _locked(slug: str) -> Package:
    package = Package.objects.select_for_update(no_key=True).filter(slug=slug).first()
    if package is None or package.retired_at is not None:
        raise Conflict("This package is retired and cannot be changed.")
    return package


def _check(name: str, sentence: str, roles: Sequence[Entitlement]) -> None:
    problems: dict[str, str] = {}
    for field, text, limit in (("name", name, 120), ("sentence", sentence, 300)):
        if not text.strip():
            problems[field] = "This is needed."
        elif len(text) > limit:
            problems[field] = f"At most {limit} characters; this has {len(text)}."
    gone = [one.name for one in roles if one.retired_at is not None or one.application.retired_at is not None]
    if not roles:
        problems["roles"] = "Choose at least one role."
    elif len(roles) > MOST_ROLES:
        problems["roles"] = f"At most {MOST_ROLES} roles; these are {len(roles)}."
    elif gone:
        problems["roles"] = f"Not in use any more: {', '.join(gone)}."
    if problems:
        raise Invalid(problems)
