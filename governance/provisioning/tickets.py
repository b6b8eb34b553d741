"""Looking tickets up where they are kept: one GET, outside of any transaction, with a time-out, remembered briefly."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

import httpx
from django.conf import settings
from django.core.cache import cache

from governance.provisioning.connectors.addresses import AddressRefused, GuardedTransport
from governance.provisioning.connectors.http import clean
from governance.provisioning.models import TicketSystem, WhenSilent
from governance.provisioning.secrets import SecretUnreadable, decrypt

#: An answer is remembered so long, so that a second try does not ask again; a silence is never remembered.
REMEMBERED_SECONDS = 60
MAX_ANSWER_BYTES = 1024 * 1024


class TicketState(StrEnum):
    """What is known of a ticket."""

    UNKNOWN_FORM = ""
    GOOD = "good"
    BAD = "bad"
    #: Nobody answered; the system says whether the request is refused or accepted with a flag.
    REFUSED_SILENT = "refused_silent"
    FLAGGED_SILENT = "flagged_silent"


@dataclass(frozen=True, slots=True)
class TicketAnswer:
    """What a ticket system said, in one sentence. Empty when no system keeps tickets of this form."""

    state: TicketState
    sentence: str = ""


NOT_KEPT = TicketAnswer(TicketState.UNKNOWN_FORM)


def look_up(ticket: str) -> TicketAnswer:
    """Return what the ticket system that keeps tickets of this form says about one. Called before a transaction."""
    ticket = ticket.strip()
    system = system_for(ticket)
    if system is None:
        return NOT_KEPT
    key = f"ticket:{system.pk}:{system.version}:{hashlib.sha256(ticket.encode()).hexdigest()}"
    known = cache.get(key)
    if known is not None:
        return TicketAnswer(TicketState(known[0]), known[1])
    answer = ask(system, ticket)
    if answer.state in (TicketState.GOOD, TicketState.BAD):
        cache.set(key, (answer.state.value, answer.sentence), REMEMBERED_SECONDS)
    return answer


def system_for(ticket: str) -> TicketSystem | None:
    """Return the first system in use whose pattern the whole ticket number matches."""
    if not ticket.strip():
        return None
    systems = TicketSystem.objects.filter(retired_at__isnull=True).order_by("pk")
    return next((one for one in systems if re.fullmatch(one.pattern, ticket.strip())), None)


def ask(system: TicketSystem, ticket: str) -> TicketAnswer:
    """Ask a system about a ticket now. Whatever goes wrong is a silence with its cause."""
    try:
        status, body = _get(system, ticket)
    except (AddressRefused, SecretUnreadable) as error:
        return _silent(system, str(error))
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as error:
        return _silent(system, clean(str(error) or type(error).__name__, 120))
    if status in (404, 410):
        return TicketAnswer(TicketState.BAD, f"{system.name} knows no ticket {ticket}.")
    if not 200 <= status < 300:
        return _silent(system, f"it answered {status}")
    return _judged(system, ticket, body)


def value_at(document: Any, path: str) -> Any:
    """Return what stands at a dotted path of a JSON document, or None. Numbers are places in lists."""
    for part in filter(None, path.split(".")):
        if isinstance(document, dict):
            document = document.get(part)
        elif isinstance(document, list) and part.isdecimal() and int(part) < len(document):
            document = document[int(part)]
        else:
            return None
    return document


def _judged(system: TicketSystem, ticket: str, body: bytes) -> TicketAnswer:
    if not system.json_path:
        return TicketAnswer(TicketState.GOOD, f"{system.name} knows {ticket}.")
    try:
        found = value_at(json.loads(body), system.json_path)
    except (ValueError, RecursionError):
        return _silent(system, "its answer is no JSON")
    said = clean(str(found), 60) if isinstance(found, str | int | float | bool) else ""
    if _is_good(said, system.good_values):
        return TicketAnswer(TicketState.GOOD, f"{system.name} says {ticket} is “{said}”.")
    good = ", ".join(system.good_values)
    return TicketAnswer(
        TicketState.BAD, f"{system.name} says {ticket} is “{said or 'nothing'}”; it has to be one of: {good}."
    )


def _is_good(said: str, good: Sequence[str]) -> bool:
    return said.casefold() in {one.casefold() for one in good}


def _get(system: TicketSystem, ticket: str) -> tuple[int, bytes]:
    secret = decrypt(system.secret_encrypted)
    headers = {"Accept": "application/json", "User-Agent": "Gatehouse"}
    if system.header_name and secret:
        headers[system.header_name] = secret
    url = system.url_template.replace("{ticket}", quote(ticket, safe=""))
    until = time.monotonic() + system.timeout_seconds
    transport = GuardedTransport(allows_loopback=not settings.ENVIRONMENT.is_production, max_connections=1)
    with (
        httpx.Client(
            transport=transport, timeout=system.timeout_seconds, follow_redirects=False, trust_env=False
        ) as client,
        client.stream("GET", url, headers=headers) as response,
    ):
        return response.status_code, _read(response, until)


def _read(response: httpx.Response, until: float) -> bytes:
    body = b""
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise ValueError("its answer is larger than 1 MB")
        if time.monotonic() > until:
            raise TimeoutError("its answer did not end in time")
    return body


def _silent(system: TicketSystem, cause: str) -> TicketAnswer:
    sentence = f"{system.name} could not be asked: {cause.rstrip('.')}."
    refuses = system.when_silent == WhenSilent.REFUSE
    return TicketAnswer(TicketState.REFUSED_SILENT if refuses else TicketState.FLAGGED_SILENT, sentence)
