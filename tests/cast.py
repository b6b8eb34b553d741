"""The cast of the tests: who they are, and the applications they meet. Made through the real actions."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta

from django.db import transaction

from governance.catalog import actions as catalog
from governance.catalog import policies
from governance.catalog.models import Application, Entitlement
from governance.catalog.policy_terms import PolicyTerms
from governance.core.actor import Actor, ActorKind, Door
from governance.core.clock import now
from governance.engagements.models import Engagement, Guest
from governance.identity import guests
from governance.identity.models import Person
from governance.identity.profiles import Profile, document_from_profile, profile_from_document
from governance.identity.queries import locked_person
from governance.identity.roles import assign_role
from governance.lifecycle import actions as lifecycle
from governance.policy.facts import Ask

TESTING = Actor.system("test", door=Door.COMMAND)


def acting(person: Person, door: Door = Door.WEB) -> Actor:
    """Return the person as the one who acts."""
    return Actor(ActorKind.PERSON, str(person.ref), door, person_id=person.pk)


def hire(name: str, *, manager: Person | None = None, **profile: str) -> Person:
    """Return a person who joined, with an address made of their first name."""
    first = name.split(maxsplit=1)[0].lower()
    known = {
        "user_name": f"{first}@halden.example",
        "email": f"{first}@halden.example",
        "display_name": name,
        "external_id": f"idp-{first}",
        "department": "Engineering",
        "person_type": "Employee",
        "manager_hint": manager.user_name if manager else "",
        **profile,
    }
    return lifecycle.join(Profile(**known), source="scim:test", actor=TESTING)


def move(person: Person, **changes: object) -> Person:
    """Return the person after the directory said something else about them."""
    profile = replace(profile_from_document(person.document), **changes)  # type: ignore[arg-type]
    profile = replace(profile, document=document_from_profile(profile))
    with transaction.atomic():
        return lifecycle.update(locked_person(person.scim_id), profile, actor=TESTING)


def add_application(name: str = "Snowflake", *, owner: Person | None = None, **known: object) -> Application:
    """Return an application with an owner."""
    owners = [owner] if owner else []
    return catalog.add_application(name, owners=owners, actor=TESTING, **known)  # type: ignore[arg-type]


def add_role(application: Application, name: str = "Analyst", **known: object) -> Entitlement:
    """Return a role of an application; its policy asks the owner unless told otherwise."""
    stages = known.pop("stages", None)
    terms = known.pop("terms", {})
    if stages is not None or terms:
        policy_terms = PolicyTerms(stages=stages or ("owner",), **terms)  # type: ignore[arg-type]
        known["policy"] = policies.save_policy(f"{application.name} {name}", policy_terms, actor=TESTING).policy
    return catalog.add_entitlement(
        application,
        name,
        sentence=f"Query {application.name}.",
        target_ref=f"{application.slug}-{name.lower()}",
        actor=TESTING,
        **known,  # type: ignore[arg-type]
    )


def ask(duration: timedelta | None = timedelta(hours=2), **known: object) -> Ask:
    """Return what somebody asks for, in order unless told otherwise."""
    return Ask(
        **{
            "duration": duration,
            "purpose": "Fix an incident",
            "reason": "The nightly load failed and I have to see why.",
            **known,
        }  # type: ignore[arg-type]
    )


def make_security_admin(person: Person) -> Person:
    """Return the person, who administers security from now on."""
    assign_role(person, "security_admin", actor=TESTING)
    return person


def make_auditor(person: Person) -> Person:
    """Return the person, who audits from now on."""
    assign_role(person, "auditor", actor=TESTING)
    return person


def be_guest(name: str) -> Person:
    """Return an auditor from outside, who was let in nowhere yet."""
    return guests.add_guest(f"{name.split(maxsplit=1)[0].lower()}@audit.example", name, actor=TESTING)


def let_in(engagement: Engagement, guest: Person) -> Guest:
    """Have a guest be invited to an engagement and have come."""
    return Guest.objects.create(
        engagement=engagement,
        name=guest.display_name,
        email=guest.email,
        token_digest=secrets.token_hex(32),
        invited_at=now(),
        invited_by_ref=TESTING.ref,
        expires_at=now() + timedelta(days=14),
        person=guest,
        accepted_at=now(),
    )
