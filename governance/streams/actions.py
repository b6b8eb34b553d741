"""The writers of streams: add a destination, change it, pause it, give it a new secret, try it, end it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.conf import settings
from django.db import transaction

from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid
from governance.core.wakeup import wake
from governance.ledger.disposals import minimum_index
from governance.ledger.queries import latest_checkpoint
from governance.ledger.recording import Subject, record
from governance.notices.webhooks import new_secret
from governance.provisioning.connectors.addresses import base_url_problem
from governance.provisioning.secrets import decrypt, encrypt
from governance.streams import events
from governance.streams.models import Destination, DestinationKind, Shape
from governance.streams.ways import syslog

STREAMS_DUE = "streams.send_due"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a destination shall be. An empty `client_key` keeps the one that is there."""

    name: str
    address: str
    shape: str = Shape.OCSF
    with_names: bool = False
    with_rows: bool = False
    authorities: str = ""
    client_certificate: str = ""
    client_key: str = field(default="", repr=False)
    is_paused: bool = False


@transaction.atomic
def add(kind: str, wanted: Wanted, *, from_the_start: bool, actor: Actor) -> tuple[Destination, str]:
    """Return a new destination, and for a webhook its secret, which is shown once. Raises Invalid."""
    if kind not in DestinationKind.values:
        raise Invalid({"kind": f"Choose one of {', '.join(DestinationKind.values)}."})
    _check(kind, wanted, kept_key="", but=None)
    secret = new_secret() if kind == DestinationKind.WEBHOOK else ""
    head, at = latest_checkpoint(), now()
    row = Destination(
        kind=kind,
        secret_encrypted=encrypt(secret or wanted.client_key),
        next_index=minimum_index() if from_the_start or head is None else head.size,
        created_at=at,
        next_at=at,
    )
    _take_over(row, wanted)
    row.save()
    _record(events.STREAM_ADDED, row, actor=actor, from_index=row.next_index)
    wake(STREAMS_DUE)
    return row, secret


@transaction.atomic
def change(stream: Destination, wanted: Wanted, *, actor: Actor) -> Destination:
    """Change a destination; it goes on where it is. Raises Invalid, and Conflict for one that was ended."""
    row = _live(stream)
    kept_key = decrypt(row.secret_encrypted) if row.kind == DestinationKind.SYSLOG else ""
    _check(row.kind, wanted, kept_key=kept_key, but=row.pk)
    if row.kind == DestinationKind.SYSLOG and (wanted.client_key or not wanted.client_certificate):
        row.secret_encrypted = encrypt(wanted.client_key)
    _take_over(row, wanted)
    row.next_at = now()
    row.save()
    _record(events.STREAM_CHANGED, row, actor=actor, is_paused=wanted.is_paused)
    wake(STREAMS_DUE)
    return row


@transaction.atomic
def renew_secret(stream: Destination, *, actor: Actor) -> str:
    """Return a new secret of a webhook, which is shown once and used from now on. Raises Conflict."""
    row = _live(stream)
    if row.kind != DestinationKind.WEBHOOK:
        raise Conflict("Only webhooks have a secret that signs.")
    secret = new_secret()
    row.secret_encrypted = encrypt(secret)
    row.save(update_fields=["secret_encrypted"])
    _record(events.STREAM_CHANGED, row, actor=actor, secret="renewed")
    return secret


@transaction.atomic
def ask_for_test(stream: Destination, *, actor: Actor) -> None:
    """Have a test sent as soon as a worker comes to it, ahead of entries. Raises Conflict for one that is paused."""
    row = _live(stream)
    if row.paused_at is not None:
        raise Conflict("The stream is paused. Go on with it first.")
    row.test_asked_at = row.next_at = now()
    row.save(update_fields=["test_asked_at", "next_at"])
    _record(events.STREAM_TESTED, row, actor=actor)
    wake(STREAMS_DUE)


@transaction.atomic
def end(stream: Destination, *, actor: Actor) -> None:
    """Send nothing there any more, and forget its secret. Again is fine."""
    row = Destination.objects.select_for_update(no_key=True).get(pk=stream.pk)
    if row.ended_at is not None:
        return
    row.ended_at, row.secret_encrypted = now(), ""
    row.name = f"{row.name[:50]} (ended {row.ended_at:%Y%m%d%H%M%S})"
    row.save(update_fields=["ended_at", "secret_encrypted", "name"])
    _record(events.STREAM_ENDED, row, actor=actor)


def _take_over(row: Destination, wanted: Wanted) -> None:
    row.name, row.address, row.shape = wanted.name.strip(), wanted.address.strip(), wanted.shape
    row.with_names, row.with_rows = wanted.with_names, wanted.with_rows
    row.authorities, row.client_certificate = wanted.authorities.strip(), wanted.client_certificate.strip()
    row.paused_at = (row.paused_at or now()) if wanted.is_paused else None


def _live(stream: Destination) -> Destination:
    row = Destination.objects.select_for_update(no_key=True).get(pk=stream.pk)
    if row.ended_at is not None:
        raise Conflict("This stream was ended.")
    return row


def _check(kind: str, wanted: Wanted, *, kept_key: str, but: int | None) -> None:
    """Raise Invalid with everything that is wrong, by field."""
    problems: dict[str, str] = {}
    name = wanted.name.strip()
    if not 0 < len(name) <= 80:
        problems["name"] = "Give a name of up to 80 characters."
    elif Destination.objects.filter(name=name).exclude(pk=but or 0).exists():
        problems["name"] = "Another stream has this name."
    if wanted.shape not in Shape.values:
        problems["shape"] = f"Choose one of {', '.join(Shape.values)}."
    if problem := _address_problem(kind, wanted.address.strip()):
        problems["address"] = problem
    problems |= _tls_problems(kind, wanted, wanted.client_key or kept_key)
    if problems:
        raise Invalid(problems)


def _address_problem(kind: str, address: str) -> str | None:
    if len(address) > 500:
        return "The address has at most 500 characters."
    if kind == DestinationKind.WEBHOOK:
        return base_url_problem(address.partition("?")[0], requires_tls=settings.ENVIRONMENT.is_production)
    try:
        syslog.target(address)
    except ValueError:
        return "Write it as host:port, for instance siem.example.com:6514."
    return None


def _tls_problems(kind: str, wanted: Wanted, key: str) -> Mapping[str, str]:
    if kind == DestinationKind.WEBHOOK:
        given = {"authorities": wanted.authorities, "client_certificate": wanted.client_certificate}
        return {name: "This is for syslog only." for name, text in given.items() if text.strip()}
    problems = {}
    if problem := syslog.authorities_problem(wanted.authorities.strip()):
        problems["authorities"] = problem
    if wanted.client_certificate.strip() and not key:
        problems["client_key"] = "The certificate needs its key."
    elif wanted.client_certificate.strip() and (problem := syslog.certificate_problem(wanted.client_certificate, key)):
        problems["client_certificate"] = problem
    elif wanted.client_key and not wanted.client_certificate.strip():
        problems["client_certificate"] = "The key needs its certificate."
    return problems


def _record(event: str, row: Destination, *, actor: Actor, **data: object) -> None:
    said = {"kind": row.kind, "shape": row.shape, "with_names": row.with_names, "with_rows": row.with_rows, **data}
    record(event, actor=actor, subjects=[Subject("stream", str(row.ref))], data=said)
