"""The history of what people configure by hand: who changed which field of it, when, from what to what."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.apps import apps
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from governance.anchors.models import Anchor
from governance.catalog.models import (
    AccessPolicyVersion,
    Application,
    BirthrightRuleVersion,
    PackageVersion,
    RiskWeights,
    SodRuleVersion,
)
from governance.core.actor import ActorKind
from governance.core.errors import NotFound
from governance.identity.models import Connection, RoleName
from governance.identity.queries import names_by_ref
from governance.ledger.configuration_history import Change, FieldChange, changes_of
from governance.lifecycle.models import SourceBrake
from governance.notices.models import Webhook
from governance.provisioning.models import Connector, TicketSystem
from governance.streams.models import Destination
from governance.web.roles import needs

READERS = (RoleName.SECURITY_ADMIN, RoleName.AUDITOR)
#: Changes shown at most; the ledger has the rest.
MOST = 200
#: The key of what there is one of.
ALL = "all"
Found = Iterable[tuple[int, object]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of configuration: its model, what it is called, its rows by the key in the address, and its page.

    Of what is kept as versions (`is_versioned`), each version is compared with the one before.
    """

    model: str
    name: str
    rows: Callable[[str], Found]
    page: str
    takes_key: bool = True
    is_versioned: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """A change as the page shows it: `fields` with their names as a person reads them."""

    change: Change
    row: str
    actor: str
    fields: tuple[FieldChange, ...]


def _number(key: str) -> int:
    return int(key) if key.isascii() and key.isdecimal() and len(key) < 18 else -1


def _ref(key: str) -> UUID:
    """Return the reference; one that is nobody's for what is none."""
    try:
        return UUID(key)
    except ValueError:
        return UUID(int=0)


KINDS: dict[str, Kind] = {
    "application": Kind(
        "catalog.application",
        "Application",
        lambda key: Application.objects.filter(slug=key).values_list("pk", "name"),
        "application",
    ),
    "connector": Kind(
        "provisioning.connector",
        "Connector",
        lambda key: Connector.objects.filter(application__slug=key).values_list("pk", "application__name"),
        "application_connector",
    ),
    "policy": Kind(
        "catalog.accesspolicyversion",
        "Policy",
        lambda key: AccessPolicyVersion.objects.filter(policy__slug=key).values_list("pk", "number"),
        "policy",
        is_versioned=True,
    ),
    "rule": Kind(
        "catalog.birthrightruleversion",
        "Birthright rule",
        lambda key: BirthrightRuleVersion.objects.filter(rule__slug=key).values_list("pk", "number"),
        "rule",
        is_versioned=True,
    ),
    "duty-rule": Kind(
        "catalog.sodruleversion",
        "Rule about duties",
        lambda key: SodRuleVersion.objects.filter(rule__slug=key).values_list("pk", "number"),
        "duty_rule",
        is_versioned=True,
    ),
    "package": Kind(
        "catalog.packageversion",
        "Package",
        lambda key: PackageVersion.objects.filter(package__slug=key).values_list("pk", "number"),
        "package",
        is_versioned=True,
    ),
    "risk": Kind(
        "catalog.riskweights",
        "Weights of risk",
        lambda key: RiskWeights.objects.values_list("pk", "number") if key == ALL else [],
        "risk",
        takes_key=False,
        is_versioned=True,
    ),
    "limits": Kind(
        "lifecycle.sourcebrake",
        "Limits of sources",
        lambda key: SourceBrake.objects.values_list("pk", "source") if key == ALL else [],
        "hold_limits",
        takes_key=False,
    ),
    "ticket-system": Kind(
        "provisioning.ticketsystem",
        "Ticket system",
        lambda key: TicketSystem.objects.filter(slug=key).values_list("pk", "name"),
        "ticket_system_change",
    ),
    "connection": Kind(
        "identity.connection",
        "Connection",
        lambda key: Connection.objects.filter(ref=_ref(key)).values_list("pk", "name"),
        "connection",
    ),
    "webhook": Kind(
        "notices.webhook",
        "Webhook",
        lambda key: Webhook.objects.filter(pk=_number(key)).values_list("pk", "name"),
        "webhook",
    ),
    "anchor": Kind(
        "anchors.anchor",
        "Anchor",
        lambda key: Anchor.objects.filter(ref=_ref(key)).values_list("pk", "name"),
        "anchor",
    ),
    "stream": Kind(
        "streams.destination",
        "Stream",
        lambda key: Destination.objects.filter(ref=_ref(key)).values_list("pk", "name"),
        "stream",
    ),
}


@needs(*READERS)
@require_GET
def history(request: HttpRequest, kind: str, key: str) -> HttpResponse:
    """Show what was changed of one piece of configuration, newest first."""
    of = KINDS.get(kind)
    rows = {str(pk): str(name) for pk, name in of.rows(key)} if of else {}
    is_there = bool(rows) or (of is not None and not of.takes_key and key == ALL)
    if of is None or not is_there:
        raise NotFound("There is no such configuration.")
    changes = changes_of(of.model, rows, limit=MOST)
    shown = shown_changes(of, changes, rows)
    context = {
        "page": "ledger",
        "kind": of,
        "title": key if of.is_versioned and of.takes_key else next(iter(rows.values())) if of.takes_key else "",
        "href": reverse(of.page, args=[key] if of.takes_key else []),
        "changes": shown,
        "has_more": len(changes) == MOST,
    }
    return render(request, "assure/history.html", context)


def shown_changes(kind: Kind, changes: Iterable[Change], rows: Mapping[str, str]) -> list[Shown]:
    """Return changes with names of people and fields, newest first. One statement."""
    found = list(changes)
    actors = names_by_ref({one.actor_ref for one in found if one.actor_kind == ActorKind.PERSON})
    fields = compared(found, list(rows)) if kind.is_versioned else [one.fields for one in found]
    labels = {
        one.name: str(getattr(one, "verbose_name", one.name)) for one in apps.get_model(kind.model)._meta.get_fields()
    }
    return [
        Shown(one, _row(kind, rows[one.object_pk]), _actor(one, actors), _labelled(said, labels))
        for one, said in zip(found, fields, strict=True)
    ]


def compared(changes: Sequence[Change], versions: Collection[str]) -> list[tuple[FieldChange, ...]]:
    """Return for each version what it says otherwise than the one before; `versions` are the keys of all there are.

    Versions are rows, each made once. One that was loaded in bulk is not in the history: what follows it is compared
    with nothing, and says so.
    """
    keys = sorted(versions, key=int)
    earlier = dict(zip(keys[1:], keys, strict=False))
    said = {one.object_pk: {field.name: field.after for field in one.fields} for one in changes}
    return [tuple(_differences(one, earlier.get(one.object_pk), said)) for one in changes]


def _differences(
    change: Change, earlier: str | None, said: Mapping[str, Mapping[str, str | None]]
) -> Iterator[FieldChange]:
    is_known = earlier is None or earlier in said
    before = said.get(earlier or "", {})
    for one in change.fields:
        if one.name in _OF_THE_VERSION or (is_known and before.get(one.name) == one.after):
            continue
        yield FieldChange(one.name, before.get(one.name) if is_known else "(not noted)", one.after)


#: What differs between any two versions and says nothing.
_OF_THE_VERSION = frozenset({"id", "number", "policy", "rule", "package", "proposal"})


def _row(kind: Kind, name: str) -> str:
    if kind.is_versioned:
        return f"Version {name}"
    return "" if kind.takes_key else name


def _actor(change: Change, names: Mapping[str, str]) -> str:
    if change.actor_kind == ActorKind.PERSON:
        return names.get(change.actor_ref) or "somebody"
    return f"Token {change.actor_ref}" if change.actor_kind == ActorKind.SERVICE else f"Gatehouse, {change.actor_ref}"


def _labelled(fields: Iterable[FieldChange], labels: Mapping[str, str]) -> tuple[FieldChange, ...]:
    return tuple(
        FieldChange(labels.get(one.name, one.name.replace("_", " ")).capitalize(), one.before, one.after)
        for one in fields
        if one.name != "id"
    )
