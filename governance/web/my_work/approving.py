"""Approvals as their page shows them: the queue at the left, the facts beside the buttons at the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from governance.access.deciding import duties_broken_by
from governance.access.models import AccessRequest, Approval, Grant, RequestState
from governance.access.queries import WITH_GRANT, covering, waiting_for
from governance.catalog.models import Risk
from governance.identity.models import Person
from governance.policy.durations import COMMON, spoken
from governance.policy.duties import DutyConflict
from governance.web.kinds import kind_of
from governance.web.my_work.asking import Length, seconds_of
from governance.web.my_work.following import visible_request
from governance.web.roles import Standing

_ASKED_AS = {"manager": "their manager", "owner": "owner of the application", "security": "security"}
_EARLIER_SHOWN = 5


@dataclass(frozen=True, slots=True)
class HeldHere:
    """What the person has already in the application."""

    grant: Grant
    kind: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything one needs in order to decide one request, and nothing to look up elsewhere."""

    request: AccessRequest
    is_open: bool
    place: int
    risk_level: int
    risk_parts: tuple[str, ...]
    peers: int
    peers_with_it: int
    held: tuple[HeldHere, ...]
    earlier: tuple[AccessRequest, ...]
    decided: tuple[Approval, ...]
    shorter: tuple[Length, ...]
    #: The rules about duties that a yes would break, by what the person holds now.
    duties: tuple[DutyConflict, ...]
    at: datetime

    @property
    def asked_as(self) -> str:
        """Return as what the reader is asked."""
        stages = [stage.kind for stage in self.request.route]
        return _ASKED_AS.get(stages[self.request.stage], "") if self.request.stage < len(stages) else ""

    @property
    def stage_words(self) -> str:
        """Return which of how many answers this is, when there is more than one."""
        stages = len(self.request.route)
        return f"Answer {self.request.stage + 1} of {stages}" if stages > 1 else ""

    @property
    def needs_password(self) -> bool:
        """Tell whether deciding asks for the password again: the role is powerful."""
        return is_powerful(self.request)


@dataclass(frozen=True, slots=True)
class Approvals:
    """The whole page. No facts when nothing waits and nothing was chosen."""

    queue: tuple[AccessRequest, ...]
    facts: Facts | None
    last_answer: Approval | None


def is_powerful(request: AccessRequest) -> bool:
    """Tell whether a request is about a role of high or critical risk."""
    return request.entitlement.risk >= Risk.HIGH


def approvals(person: Person, standing: Standing, at: datetime, *, number: int | None = None) -> Approvals:
    """Return what waits for a person, with the facts of the request `number`, else of the oldest.

    Raises NotFound for a number they may not see. One that somebody else decided is shown without buttons.
    """
    queue = tuple(waiting_for(person))
    chosen = next((one for one in queue if one.number == number), None)
    if chosen is None and number is not None:
        chosen = visible_request(person, standing, number)
    if chosen is None and queue:
        chosen = queue[0]
    last = None if queue else Approval.objects.filter(approver=person).order_by("-decided_at").first()
    return Approvals(queue, None if chosen is None else facts(chosen, queue, at), last)


def after(person: Person, at: datetime, decided: AccessRequest) -> Approvals:
    """Return the page after a decision: what comes next is the one asked after it, else the oldest."""
    queue = tuple(waiting_for(person))
    later = [one for one in queue if (one.created_at, one.pk) > (decided.created_at, decided.pk)]
    chosen = next(iter(later or queue), None)
    return Approvals(queue, None if chosen is None else facts(chosen, queue, at), None)


def facts(request: AccessRequest, queue: Sequence[AccessRequest], at: datetime) -> Facts:
    """Return the facts of one request. Five statements at most."""
    verdict: dict[str, Any] = request.verdict
    held: dict[str, Any] = verdict.get("facts", {}).get("held", {})
    risk: dict[str, Any] = verdict.get("risk", {})
    return Facts(
        request=request,
        is_open=request in queue,
        place=queue.index(request) + 1 if request in queue else 0,
        risk_level=int(risk.get("level", request.entitlement.risk)),
        risk_parts=tuple(str(part["sentence"]) for part in risk.get("parts", []) if part.get("points")),
        peers=int(held.get("peers", 0)),
        peers_with_it=int(held.get("peers_with_it", 0)),
        held=_held_here(request, at),
        earlier=_earlier(request),
        decided=tuple(request.approvals.select_related("approver").order_by("stage")),
        shorter=_shorter(request),
        duties=duties_broken_by(request, at=at) if request in queue else (),
        at=at,
    )


def _held_here(request: AccessRequest, at: datetime) -> tuple[HeldHere, ...]:
    grants = Grant.objects.filter(
        covering(at), person=request.person_id, application=request.entitlement.application_id
    ).select_related(*WITH_GRANT)
    return tuple(HeldHere(grant, kind_of(grant)) for grant in grants.order_by("entitlement__name", "id"))


def _earlier(request: AccessRequest) -> tuple[AccessRequest, ...]:
    found = (
        AccessRequest.objects.filter(
            person=request.person_id, entitlement__application=request.entitlement.application_id
        )
        .exclude(pk=request.pk)
        .exclude(state=RequestState.PENDING)
        .select_related("entitlement")
    )
    return tuple(found.order_by("-created_at")[:_EARLIER_SHOWN])


def _shorter(request: AccessRequest) -> tuple[Length, ...]:
    most = request.duration or request.policy_version.max_duration + timedelta(seconds=1)
    return tuple(
        Length(seconds_of(span), spoken(span), is_allowed=True, is_chosen=False) for span in COMMON if span < most
    )
