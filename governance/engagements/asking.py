"""The writers of requests: ask in one's own words, say something, answer, accept, flag."""

from __future__ import annotations

from datetime import date

from django.db import transaction

from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid
from governance.engagements import events
from governance.engagements.models import (
    WAITS_FOR_COMPANY,
    AuditRequest,
    Engagement,
    Message,
    MessageKind,
    Population,
    RequestState,
)
from governance.engagements.rights import check_host, check_may_audit, check_may_read, check_runs, subject_of
from governance.evidence.models import BundleState, EvidenceBundle
from governance.evidence.reports.registry import BY_ID
from governance.ledger.recording import Subject, record

LONGEST_WORDING, LONGEST_TEXT = 2000, 4000


@transaction.atomic
def add_request(
    engagement: Engagement, wording: str, *, report: str = "", due_on: date | None = None, actor: Actor
) -> AuditRequest:
    """Ask for something in one's own words; `report` is the one that answers it, where one does.

    Raises Invalid naming `wording` or `report`, Conflict and NotAllowed.
    """
    check_may_read(engagement, actor)
    check_runs(engagement)
    if not wording.strip() or len(wording) > LONGEST_WORDING:
        raise Invalid({"wording": f"Say what you ask for in 1 to {LONGEST_WORDING} characters."})
    if report and report not in BY_ID:
        raise Invalid({"report": f"There is no report {report}."})
    at = now()
    # One at a time for each engagement: numbers have no gaps and no twins.
    Engagement.objects.select_for_update().get(pk=engagement.pk)
    last = engagement.requests.order_by("-number").values_list("number", flat=True).first() or 0
    asked = AuditRequest.objects.create(
        engagement=engagement,
        number=last + 1,
        report=report,
        wording=wording.strip(),
        due_on=due_on,
        asked_by_ref=actor.ref,
        asked_at=at,
        changed_at=at,
    )
    _record(events.AUDIT_REQUEST_ADDED, asked, actor=actor)
    return asked


@transaction.atomic
def say(asked: AuditRequest, text: str, *, actor: Actor) -> None:
    """Say something about a request. Raises Invalid naming `text`, Conflict and NotAllowed."""
    check_may_read(asked.engagement, actor)
    check_runs(asked.engagement)
    _add(asked, MessageKind.SAID, _checked(text), actor=actor)
    _record(events.AUDIT_REQUEST_SAID, asked, actor=actor)


@transaction.atomic
def answer(
    asked: AuditRequest,
    text: str = "",
    *,
    population: Population | None = None,
    bundle: EvidenceBundle | None = None,
    actor: Actor,
) -> None:
    """Answer a request with words, a population or a bundle of its engagement; an earlier answer is replaced by it.

    Raises Invalid naming `text` or `bundle`, Conflict and NotAllowed.
    """
    check_host(actor)
    check_runs(asked.engagement)
    if population is None and bundle is None and not text.strip():
        raise Invalid({"text": "Give something: words, a population, or a bundle."})
    if bundle is not None and (
        bundle.state != BundleState.READY or not asked.engagement.bundles.filter(bundle=bundle).exists()
    ):
        raise Invalid({"bundle": "Choose a bundle of this engagement that is ready."})
    if population is not None and population.request_id != asked.pk:
        raise Invalid({"population": "Choose a population of this request."})
    _move(asked, RequestState.ANSWERED, (*WAITS_FOR_COMPANY, RequestState.ANSWERED))
    said = _checked(text) if text.strip() else ""
    _add(asked, MessageKind.ANSWERED, said, population=population, bundle=bundle, actor=actor)
    data = {
        "population": population.sha256 if population else "",
        "bundle": str(bundle.ref) if bundle else "",
    }
    _record(events.AUDIT_REQUEST_ANSWERED, asked, data=data, actor=actor)


@transaction.atomic
def accept(asked: AuditRequest, text: str = "", *, actor: Actor) -> None:
    """Accept what was given. Raises Conflict when nothing was, and NotAllowed."""
    check_may_audit(asked.engagement, actor)
    _move(asked, RequestState.ACCEPTED, (RequestState.ANSWERED,))
    _add(asked, MessageKind.ACCEPTED, _checked(text) if text.strip() else "", actor=actor)
    _record(events.AUDIT_REQUEST_ACCEPTED, asked, actor=actor)


@transaction.atomic
def flag(asked: AuditRequest, text: str, *, actor: Actor) -> None:
    """Say what is wrong with what was given; the company answers again.

    Raises Invalid naming `text`, Conflict when nothing was given, and NotAllowed.
    """
    check_may_audit(asked.engagement, actor)
    said = _checked(text)
    _move(asked, RequestState.FLAGGED, (RequestState.ANSWERED, RequestState.ACCEPTED))
    _add(asked, MessageKind.FLAGGED, said, actor=actor)
    _record(events.AUDIT_REQUEST_FLAGGED, asked, actor=actor)


def _move(asked: AuditRequest, to: RequestState, before: tuple[RequestState, ...]) -> None:
    found = AuditRequest.objects.filter(pk=asked.pk, state__in=before)
    if not found.update(state=to, changed_at=now()):
        asked.refresh_from_db(fields=["state"])
        raise Conflict(f"This request is {asked.get_state_display().lower()} now. Look again before you decide.")


def _add(
    asked: AuditRequest,
    kind: MessageKind,
    text: str,
    *,
    population: Population | None = None,
    bundle: EvidenceBundle | None = None,
    actor: Actor,
) -> None:
    assert actor.person_id is not None
    Message.objects.create(
        request=asked, kind=kind, text=text, population=population, bundle=bundle, by_id=actor.person_id, at=now()
    )


def _checked(text: str) -> str:
    if not text.strip() or len(text) > LONGEST_TEXT:
        raise Invalid({"text": f"Write 1 to {LONGEST_TEXT} characters."})
    return text.strip()


def _record(event: str, asked: AuditRequest, *, data: dict[str, str] | None = None, actor: Actor) -> None:
    subjects = [subject_of(asked.engagement), Subject("audit_request", str(asked.pk))]
    record(event, actor=actor, subjects=subjects, data={"number": asked.number, **(data or {})})
