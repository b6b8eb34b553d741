"""The writers of ticket systems. Secrets go in and never come out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.utils.text import slugify

from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid
from governance.ledger.recording import Subject, record
from governance.provisioning import events
from governance.provisioning.connecting import LONGEST_SECRET
from governance.provisioning.connectors.addresses import base_url_problem
from governance.provisioning.models import TicketSystem, WhenSilent
from governance.provisioning.secrets import encrypt

LONGEST_TIMEOUT_SECONDS = 20
_HEADER = re.compile(r"[A-Za-z0-9-]{0,80}")


@dataclass(frozen=True, slots=True)
class TicketTerms:
    """How tickets of one form are looked up; the fields are those of `TicketSystem`."""

    name: str
    pattern: str
    url_template: str
    header_name: str = ""
    json_path: str = ""
    good_values: Sequence[str] = ()
    when_silent: str = WhenSilent.REFUSE
    timeout_seconds: int = 5


@transaction.atomic
def save_ticket_system(terms: TicketTerms, *, slug: str = "", secret: str | None = None, actor: Actor) -> TicketSystem:
    """Return the ticket system that says this from now on; made when `slug` is empty. `secret` None keeps the present.

    Raises Invalid naming each wrong field, and Conflict when the name is taken or the system is retired.
    """
    _check(terms, secret)
    row = _locked(slug) if slug else _new(terms.name)
    for field in TicketTerms.__slots__:
        setattr(row, field, getattr(terms, field))
    row.name, row.good_values = terms.name.strip(), [one.strip() for one in terms.good_values]
    if secret is not None:
        row.secret_encrypted = encrypt(secret.strip())
    row.version = row.version + 1 if row.pk else 1
    row.save()
    record(
        events.TICKET_SYSTEM_SAVED,
        actor=actor,
        subjects=[Subject("ticket_system", row.slug)],
        data={"version": row.version, "new_secret": bool(secret), "when_silent": row.when_silent},
    )
    return row


@transaction.atomic
def retire_ticket_system(slug: str, *, actor: Actor) -> TicketSystem:
    """Look no ticket up there any more. Raises Conflict when it was retired before."""
    row = _locked(slug)
    row.retired_at = now()
    row.save(update_fields=["retired_at"])
    record(events.TICKET_SYSTEM_RETIRED, actor=actor, subjects=[Subject("ticket_system", row.slug)])
    return row


def _new(name: str) -> TicketSystem:
    slug = slugify(name)[:80]
    if not slug:
        raise Invalid({"name": "Give it a name with letters or digits."})
    if TicketSystem.objects.filter(slug=slug).exists():
        raise Conflict(f"There is a ticket system called {name.strip()} already.")
    return TicketSystem(slug=slug, created_at=now())


def _locked(slug: str) -> TicketSystem:
    row = TicketSystem.objects.select_for_update(no_key=True).filter(slug=slug, retired_at__isnull=True).first()
    if row is None:
        raise Conflict("This ticket system is retired and cannot be changed.")
    return row


def _check(terms: TicketTerms, secret: str | None) -> None:
    problems = {
        "name": _text(terms.name, 120),
        "pattern": _text(terms.pattern, 200) or _pattern_problem(terms.pattern),
        "url_template": _text(terms.url_template, 500) or _address_problem(terms.url_template),
        "header_name": "" if _HEADER.fullmatch(terms.header_name) else "Letters, digits and hyphens only.",
        "secret": _secret_problem(terms, secret),
        "json_path": "" if len(terms.json_path) <= 200 else "At most 200 characters.",
        "good_values": _values_problem(terms),
        "when_silent": "" if terms.when_silent in WhenSilent.values else "Choose one.",
        "timeout_seconds": ""
        if 1 <= terms.timeout_seconds <= LONGEST_TIMEOUT_SECONDS
        else f"1 to {LONGEST_TIMEOUT_SECONDS} seconds.",
    }
    if found := {field: said for field, said in problems.items() if said}:
        raise Invalid(found)


def _pattern_problem(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return "This is no regular expression."
    return ""


def _address_problem(template: str) -> str:
    if template.count("{ticket}") != 1:
        return "Write {ticket} once where the number of the ticket stands."
    place, _, query = template.partition("?")
    if "{ticket}" in place.split("://", 1)[-1].partition("/")[0]:
        return "The host must not depend on the ticket."
    problem = base_url_problem(
        place.replace("{ticket}", "1").rstrip("/"), requires_tls=settings.ENVIRONMENT.is_production
    )
    return problem or ("" if "#" not in query else "The address must not hold a fragment.")


def _secret_problem(terms: TicketTerms, secret: str | None) -> str:
    if secret and (len(secret) > LONGEST_SECRET or not secret.isprintable() or not secret.isascii()):
        return f"At most {LONGEST_SECRET} printable characters."
    return "Name the header it is sent in." if secret and not terms.header_name else ""


def _values_problem(terms: TicketTerms) -> str:
    if terms.json_path and not [one for one in terms.good_values if one.strip()]:
        return "Name at least one good value."
    if any(len(one) > 120 for one in terms.good_values) or len(terms.good_values) > 50:
        return "At most 50 values of at most 120 characters."
    return "" if terms.json_path or not terms.good_values else "Say where in the answer these values stand."


def _text(value: str, limit: int) -> str:
    if not value.strip():
        return "This is needed."
    return f"At most {limit} characters; this has {len(value)}." if len(value) > limit else ""
