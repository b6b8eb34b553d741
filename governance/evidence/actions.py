"""The writers of bundles: ask for one, try again, and hand it out."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import transaction

from governance.catalog.models import Application
from governance.core.actor import Actor, ActorKind
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid, NotAllowed
from governance.core.wakeup import wake
from governance.evidence import events
from governance.evidence.controls import framework_named
from governance.evidence.models import BundleState, DefinitionVersion, EvidenceBundle
from governance.evidence.periods import period
from governance.evidence.questions import Pin
from governance.identity.models import RoleName
from governance.identity.queries import is_guest, roles_of
from governance.ledger.queries import checkpoint_at
from governance.ledger.recording import Subject, record

BUILD_DUE = "evidence.build_due"
#: Hours from leaving to the last removal: what the policy allows unless told otherwise (the strict value is 1).
LEAVER_SLA_HOURS = 24
#: A source that was last read completely longer ago than this is a gap.
FRESHNESS_HOURS = 24
_MOST_HOURS = 24 * 366
#: Whose work evidence is, in the organisation.
AUDITING = {RoleName.AUDITOR.value, RoleName.SECURITY_ADMIN.value}


@transaction.atomic
def request_bundle(
    framework: str,
    *,
    first: object,
    last: object,
    zone: str = "UTC",
    leaver_sla_hours: int = LEAVER_SLA_HOURS,
    freshness_hours: int = FRESHNESS_HOURS,
    applications: Collection[str] = (),
    definition: DefinitionVersion | None = None,
    pin: Pin | None = None,
    since: Pin | None = None,
    actor: Actor,
) -> EvidenceBundle:
    """Ask for a bundle over the civil days `first` to `last`, both included; it is built soon after.

    `applications`: short names; none means all of them. `definition`: what is chosen of the framework's pack; it and
    `applications` hold both. `pin`: the cut of an earlier bundle, to ask the same again.
    `since`: the cut of an earlier bundle; what became known since is written out.
    Raises Invalid naming `framework`, `from`, `to`, `zone`, `leaver_sla_hours`, `freshness_hours`, `applications`,
    `definition`, `pin` or `since`, and NotAllowed for whoever is neither auditor nor security administrator.
    """
    at = now()
    check_may_export(actor)
    framework_named(framework)
    days = period(first, last, zone, now=at)
    _check_hours(leaver_sla_hours=leaver_sla_hours, freshness_hours=freshness_hours)
    _check_pin("pin", pin, at=at)
    _check_pin("since", since, at=pin.known_at if pin else at)
    if pin and since and since.ledger_size > pin.ledger_size:
        raise Invalid({"since": f"It is of size {since.ledger_size}, later than the pin of {pin.ledger_size}."})
    _check_definition(definition, framework, is_new=pin is None and since is None)
    within = applications_within(definition, applications)
    bundle = EvidenceBundle.objects.create(
        framework=framework,
        first_day=days.first,
        last_day=days.last,
        zone=days.zone,
        leaver_sla_hours=leaver_sla_hours,
        freshness_hours=freshness_hours,
        applications=list(within),
        definition=definition,
        known_at=pin.known_at if pin else at,
        ledger_size=pin.ledger_size if pin else None,
        since_known_at=since.known_at if since else None,
        since_ledger_size=since.ledger_size if since else None,
        made_by_ref=actor.ref,
        made_at=at,
        correlation_id=actor.correlation_id,
    )
    _record(
        events.EVIDENCE_REQUESTED,
        bundle,
        actor=actor,
        data={
            "framework": framework,
            "first": days.first,
            "last": days.last,
            "zone": zone,
            **defined_by(definition),
            **({"since_ledger_size": since.ledger_size} if since else {}),
        },
    )
    wake(BUILD_DUE)
    return bundle


def ask_what_came_since(earlier: EvidenceBundle, *, actor: Actor) -> EvidenceBundle:
    """Ask what an earlier bundle asked, by what is known now, and what became known since.

    Raises Conflict when that one is not pinned yet, and NotAllowed.
    """
    if earlier.ledger_size is None:
        raise Conflict("This bundle is not pinned to a size of the ledger yet. Ask when it is ready.")
    return request_bundle(
        earlier.framework,
        first=earlier.first_day,
        last=earlier.last_day,
        zone=earlier.zone,
        leaver_sla_hours=earlier.leaver_sla_hours,
        freshness_hours=earlier.freshness_hours,
        applications=earlier.applications,
        definition=earlier.definition,
        since=Pin(earlier.known_at, earlier.ledger_size),
        actor=actor,
    )


@transaction.atomic
def retry_bundle(bundle: EvidenceBundle, *, actor: Actor) -> EvidenceBundle:
    """Build a failed bundle again, with the same question.

    Raises Conflict when it has not failed, and NotAllowed.
    """
    check_may_export(actor)
    changed = EvidenceBundle.objects.filter(pk=bundle.pk, state=BundleState.FAILED).update(
        state=BundleState.QUEUED, attempts=0, last_error="", step="", steps_done=0
    )
    if not changed:
        raise Conflict("Only a bundle that failed can be built again.")
    bundle.refresh_from_db()
    _record(events.EVIDENCE_RETRIED, bundle, actor=actor)
    wake(BUILD_DUE)
    return bundle


@transaction.atomic
def hand_out(bundle: EvidenceBundle, *, actor: Actor) -> Path:
    """Return the file of a ready bundle, and record that it leaves the house.

    Raises Conflict when it is not ready or its file is gone, and NotAllowed.
    """
    check_may_export(actor)
    if bundle.state != BundleState.READY:
        raise Conflict("This bundle is not ready yet.")
    path = Path(settings.BUNDLE_DIR) / bundle.file_name
    if not path.is_file() or path.stat().st_size != bundle.size:
        raise Conflict(
            "The file of this bundle is no longer there. Ask for it again: the same question gives the same."
        )
    _record(events.EVIDENCE_DOWNLOADED, bundle, actor=actor, data={"sha256": bundle.sha256, "size": bundle.size})
    return path


def check_may_export(actor: Actor) -> None:
    """Raise NotAllowed unless the actor is an auditor, a security administrator, or a command on the server.

    A guest is an auditor for what they were invited to: the room of engagements answers for that.
    """
    if actor.kind == ActorKind.SYSTEM:
        return
    if actor.person_id is None or not (AUDITING & roles_of(actor.person_id) or is_guest(actor.person_id)):
        raise NotAllowed("Evidence is for auditors and security administrators.")


def checked_applications(applications: Collection[str]) -> tuple[str, ...]:
    """Return these short names of applications in order, each once. Raises Invalid naming `applications`."""
    wanted = sorted(set(applications))
    unknown = set(wanted) - set(Application.objects.filter(slug__in=wanted).values_list("slug", flat=True))
    if unknown:
        raise Invalid({"applications": f"There is no application {', '.join(sorted(unknown))}."})
    return tuple(wanted)


def applications_within(definition: DefinitionVersion | None, applications: Collection[str]) -> tuple[str, ...]:
    """Return the applications that are both asked for and chosen by the definition; none means all.

    Raises Invalid naming `applications`.
    """
    asked = checked_applications(applications)
    chosen = tuple(definition.applications) if definition else ()
    if not (asked and chosen):
        return asked or chosen
    if not (both := tuple(one for one in asked if one in chosen)):
        raise Invalid({"applications": f"The definition chooses none of them, but {', '.join(chosen)}."})
    return both


def defined_by(definition: DefinitionVersion | None) -> dict[str, object]:
    """Return what an entry says of the definition a bundle was asked by; nothing for the whole pack."""
    if definition is None:
        return {}
    said = {"ref": str(definition.definition.ref), "version": definition.number, "sha256": definition.sha256}
    return {"definition": said}


def _check_definition(definition: DefinitionVersion | None, framework: str, *, is_new: bool) -> None:
    if definition is None:
        return
    if definition.definition.framework != framework:
        raise Invalid({"definition": f"{definition.name} is one of {definition.definition.framework}."})
    if is_new and definition.definition.retired_at is not None:
        raise Invalid({"definition": f"{definition.name} is retired. Choose another one."})


def _check_hours(**hours: int) -> None:
    problems = {
        name: f"Give whole hours from 1 to {_MOST_HOURS}."
        for name, value in hours.items()
        if not 0 < value <= _MOST_HOURS
    }
    if problems:
        raise Invalid(problems)


def _check_pin(name: str, pin: Pin | None, *, at: datetime) -> None:
    if pin is None:
        return
    if pin.known_at > at:
        raise Invalid({name: "The knowledge cut lies in the future."})
    if checkpoint_at(pin.ledger_size) is None:
        raise Invalid({name: f"This ledger was never signed at size {pin.ledger_size}."})


def _record(event: str, bundle: EvidenceBundle, *, actor: Actor, data: dict[str, object] | None = None) -> None:
    record(event, actor=actor, subjects=[Subject("bundle", str(bundle.ref))], data=data)
