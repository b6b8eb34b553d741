"""The writers of roles in Gatehouse and of tokens for machines."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from django.db import transaction

from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid
from governance.identity import events
from governance.identity.models import Person, RoleAssignment, RoleName, ServiceToken
from governance.ledger.recording import Subject, record


@transaction.atomic
def assign_role(person: Person, role: str, *, actor: Actor) -> None:
    """Give a person a role in Gatehouse; again is fine.

    Raises Invalid for an unknown role and Conflict for somebody who left.
    """
    if role not in RoleName.values:
        raise Invalid({"role": f"Choose one of {', '.join(RoleName.values)}."})
    if not person.is_active:
        raise Conflict(f"{person.display_name} left and cannot get a role.")
    _, created = RoleAssignment.objects.get_or_create(
        person=person, role=role, defaults={"assigned_at": now(), "assigned_by_ref": actor.ref}
    )
    if created:
        record(events.ROLE_ASSIGNED, actor=actor, subjects=[Subject("person", str(person.ref))], data={"role": role})


@transaction.atomic
def remove_role(person: Person, role: str, *, actor: Actor) -> None:
    """Take a role away; again is fine."""
    removed, _ = RoleAssignment.objects.filter(person=person, role=role).delete()
    if removed:
        record(events.ROLE_REMOVED, actor=actor, subjects=[Subject("person", str(person.ref))], data={"role": role})


@transaction.atomic
def issue_token(
    audience: str,
    name: str,
    *,
    acts_for: Person | None = None,
    scopes: list[str] | None = None,
    expires_at: datetime | None = None,
    actor: Actor,
) -> tuple[ServiceToken, str]:
    """Make a bearer token; return its row and the token itself, which is not kept.

    Raises Invalid for an empty or over-long name or an expiry in the past.
    """
    at = now()
    if not name.strip() or len(name) > 120:
        raise Invalid({"name": "Give it a name of 1 to 120 characters."})
    if expires_at is not None and expires_at <= at:
        raise Invalid({"expires_at": "The expiry lies in the past."})
    token = f"gh_{audience}_{secrets.token_urlsafe(32)}"
    row = ServiceToken.objects.create(
        audience=audience,
        name=name,
        digest=digest(token),
        hint=token[:12],
        acts_for=acts_for,
        scopes=scopes or [],
        created_at=at,
        created_by_ref=actor.ref,
        expires_at=expires_at,
    )
    record(
        events.TOKEN_ISSUED,
        actor=actor,
        subjects=[Subject("token", str(row.pk))],
        data={"audience": audience, "name": name, "expires_at": expires_at.isoformat() if expires_at else None},
    )
    return row, token


@transaction.atomic
def revoke_token(token: ServiceToken, *, actor: Actor) -> None:
    """End a token now; again is fine."""
    changed = ServiceToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=now())
    if changed:
        record(events.TOKEN_REVOKED, actor=actor, subjects=[Subject("token", str(token.pk))], data={"name": token.name})


def live_token(token: str, audience: str, *, at: datetime) -> ServiceToken | None:
    """Return the row of a presented token that is neither revoked nor expired nor acts for somebody who left.

    It may act for a guest: the door says which of its addresses are theirs.

    Looked up by SHA-256, so that neither the database nor the time taken tells anything about other tokens.
    """
    found = (
        ServiceToken.objects.select_related("acts_for")
        .filter(digest=digest(token), audience=audience, revoked_at__isnull=True)
        .first()
    )
    if found is None or (found.expires_at is not None and found.expires_at <= at):
        return None
    if found.acts_for is not None and not found.acts_for.may_sign_in:
        return None
    return found


def digest(token: str) -> str:
    """Return what is kept of a token: its SHA-256, hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()
