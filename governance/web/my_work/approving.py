"""Approvals as their page shows them: the queue at the left, the facts beside the buttons at the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import prefetch_related_objects

from governance.access.approvers import Voter, voters
from governance.access.beside import Before, Beside, Reached, beside
from governance.access.deciding import duties_broken_by, ends_by_leaving, needs_fresh_sign_in
from governance.access.models import AccessRequest, Approval, GrantCause, Turn
from governance.access.queries import asked_together, waiting_for
from governance.catalog.session_bounds import longest_session_after_removal
from governance.core.clock import is_open_ended
from governance.core.errors import NotFound
from governance.identity.models import Person
from governance.policy.durations import COMMON, spoken
from governance.policy.duties import DutyConflict
from governance.policy.recomputing import Recomputed, recompute
from governance.web.my_work.asking import Length, seconds_of
from governance.web.my_work.following import ANSWERED, visible_request
from governance.web.my_work.waiting_list import WaitingList
from governance.web.roles import Standing

_ASKED_AS = {
    "manager": "their manager",
    "managers_manager": "the manager of their manager",
    "owner": "owner of the application",
    "security": "security",
    "group": "one of a group",
    "people": "somebody named in it",
}
DECIDED_LISTED = 50


@dataclass(frozen=True, slots=True)
class HeldHere:
    """What the person has already in the application."""

    reached: Reached

    @property
    def kind(self) -> str:
        """Return which kind of access it is."""
        kinds = {GrantCause.BIRTHRIGHT.value: "birthright", GrantCause.BREAK_GLASS.value: "breakglass"}
        usual = "standing" if is_open_ended(self.reached.ends_at) else "temporary"
        return kinds.get(self.reached.cause, usual)


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything one needs in order to decide one request, and nothing to look up elsewhere."""

    request: AccessRequest
    is_open: bool
    place: int
    risk_level: int
    risk_points: int
    risk_parts: tuple[tuple[int, str], ...]
    peers: int
    peers_with_it: int
    beside: Beside
    #: What it was asked for together with, and which of that waits for the reader as well.
    together: tuple[AccessRequest, ...]
    waits_as_well: frozenset[int]
    decided: tuple[Approval, ...]
    turns: tuple[Turn, ...]
    #: Who may decide now; the reader's own among them when it is open.
    voters: tuple[Voter, ...]
    reader_id: int
    shorter: tuple[Length, ...]
    #: The rules about duties that a yes would break, by what the person holds now.
    duties: tuple[DutyConflict, ...]
    #: When the person leaves, where a yes would give access for longer.
    leaves_at: datetime | None
    at: datetime

    @property
    def asked_as(self) -> str:
        """Return as what the reader is asked."""
        route = self.request.route
        return _ASKED_AS.get(route[self.request.stage].kind, "") if self.request.stage < len(route) else ""

    @property
    def stage_words(self) -> str:
        """Return which of how many answers this is, when there is more than one."""
        stages = len(self.request.route)
        return f"Answer {self.request.stage + 1} of {stages}" if stages > 1 else ""

    @property
    def needs_password(self) -> bool:
        """Tell whether a yes asks for the password again."""
        return is_powerful(self.request)

    @property
    def in_place_of(self) -> Person | None:
        """Return for whom the reader answers: somebody who is away or handed it over."""
        return next((one.on_behalf_of for one in self.voters if one.person.pk == self.reader_id), None)

    @property
    def session_after(self) -> timedelta | None:
        """Return how long at most an open session goes on once this has ended. None: not known."""
        return longest_session_after_removal(self.request.entitlement.application)

    @property
    def others(self) -> tuple[Person, ...]:
        """Return who else may decide this."""
        return tuple(one.person for one in self.voters if one.person.pk != self.reader_id)

    @property
    def held(self) -> tuple[HeldHere, ...]:
        """Return what the person has already in the application."""
        return tuple(HeldHere(one) for one in self.beside.reached)

    @property
    def earlier(self) -> tuple[Before, ...]:
        """Return what the person asked for there before."""
        return self.beside.of_person


@dataclass(frozen=True, slots=True)
class Approvals:
    """The whole page. No facts when nothing waits and nothing was chosen."""

    waiting: WaitingList
    facts: Facts | None
    last_answer: Approval | None = None

    @property
    def queue(self) -> tuple[AccessRequest, ...]:
        """Return what is listed."""
        return self.waiting.rows

    @property
    def total(self) -> int:
        """Return how many fit, listed or not."""
        return self.waiting.total


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one of several decisions."""

    number: int
    sentence: str
    is_done: bool


def is_powerful(request: AccessRequest) -> bool:
    """Tell whether a yes is only given by somebody who has just signed in."""
    return needs_fresh_sign_in(request)


def is_asked(request: AccessRequest, person: Person) -> bool:
    """Tell whether a request waits for somebody now."""
    return any(one.person.pk == person.pk for one in voters(request))


def readable_request(person: Person, standing: Standing, number: int) -> AccessRequest:
    """Return a request somebody may see or is asked about. Raises NotFound."""
    try:
        return visible_request(person, standing, number)
    except NotFound:
        found = waiting_for(person).filter(number=number).first()
        if found is None:
            raise
        return found


def approvals(
    person: Person, standing: Standing, at: datetime, *, waiting: WaitingList, number: int | None = None
) -> Approvals:
    """Return what waits for a person, with the facts of the request `number`, else of the oldest.

    Raises NotFound for a number they may not see. One that somebody else decided is shown without buttons.
    """
    queue = waiting.rows
    chosen = next((one for one in queue if one.number == number), None)
    if chosen is None and number is not None:
        chosen = readable_request(person, standing, number)
    if chosen is None and queue:
        chosen = queue[0]
    last = None if queue else Approval.objects.filter(approver=person).order_by("-decided_at").first()
    return Approvals(waiting, None if chosen is None else facts(chosen, queue, person, at), last)


def after(person: Person, at: datetime, decided: AccessRequest, waiting: WaitingList) -> Approvals:
    """Return the page after a decision: what comes next is the one asked after it, else the oldest."""
    queue = waiting.rows
    later = [one for one in queue if (one.created_at, one.pk) > (decided.created_at, decided.pk)]
    chosen = next(iter(later or queue), None)
    return Approvals(waiting, None if chosen is None else facts(chosen, queue, person, at))


def showing(request: AccessRequest, person: Person, at: datetime, waiting: WaitingList) -> Approvals:
    """Return the page with the facts of this request."""
    return Approvals(waiting, facts(request, waiting.rows, person, at))


def facts(request: AccessRequest, queue: Sequence[AccessRequest], person: Person, at: datetime) -> Facts:
    """Return the facts of one request. Six statements, one more of a set, and for each further place that is asked."""
    verdict: dict[str, Any] = request.verdict
    held: dict[str, Any] = verdict.get("facts", {}).get("held", {})
    risk: dict[str, Any] = verdict.get("risk", {})
    parts = [part for part in risk.get("parts", []) if part.get("points")]
    prefetch_related_objects([request], *ANSWERED)
    asked = tuple(voters(request))
    is_open = any(one.person.pk == person.pk for one in asked)
    return Facts(
        request=request,
        is_open=is_open,
        place=queue.index(request) + 1 if request in queue else 0,
        risk_level=int(risk.get("level", request.entitlement.risk)),
        risk_points=int(risk.get("points", 0)),
        risk_parts=tuple((int(part["points"]), str(part["sentence"])) for part in parts),
        peers=int(held.get("peers", 0)),
        peers_with_it=int(held.get("peers_with_it", 0)),
        beside=beside(request, at=at),
        together=tuple(asked_together(request)),
        waits_as_well=_of_same_set(request, queue),
        decided=tuple(sorted(request.approvals.all(), key=lambda one: (one.stage, one.pk))),
        turns=tuple(request.turns.all()),
        voters=asked,
        reader_id=person.pk,
        shorter=_shorter(request) if request.policy_version.may_shorten else (),
        duties=duties_broken_by(request, at=at) if is_open else (),
        leaves_at=ends_by_leaving(request, at=at) if is_open else None,
        at=at,
    )


@dataclass(frozen=True, slots=True)
class Receipt:
    """The facts of one answer as they were shown, and what comes of them today."""

    approval: Approval
    points: int
    level: int
    parts: tuple[tuple[int, str], ...]
    weights_version: int
    peers: int
    peers_with_it: int
    duties: tuple[str, ...]
    again: Recomputed


def receipts(request: AccessRequest) -> list[Receipt]:
    """Return what each answer to a request was made from. No statement beside those for the request."""
    return [_receipt(one) for one in sorted(request.approvals.all(), key=lambda one: (one.stage, one.pk))]


def _receipt(approval: Approval) -> Receipt:
    kept: dict[str, Any] = approval.facts
    risk, held = kept.get("risk", {}), kept.get("facts", {}).get("held", {})
    duties = kept.get("duties") or kept.get("facts", {}).get("duties") or []
    return Receipt(
        approval=approval,
        points=int(risk.get("points", 0)),
        level=int(risk.get("level", 1)),
        parts=tuple((int(part["points"]), str(part["sentence"])) for part in risk.get("parts", []) if part["points"]),
        weights_version=int((risk.get("weights") or {}).get("version", 0)),
        peers=int(held.get("peers", 0)),
        peers_with_it=int(held.get("peers_with_it", 0)),
        duties=tuple(str(one["rule_name"]) for one in duties),
        again=recompute(kept, approved=approval.approved, by_policy=approval.approver_id is None),
    )


def decided_by(person: Person, *, before: int | None = None) -> list[Approval]:
    """Return what somebody answered, the latest first: one page, and one more when there is a next. One statement."""
    found = Approval.objects.filter(approver=person).select_related(
        "request__person", "request__entitlement__application", "on_behalf_of"
    )
    if before is not None:
        found = found.filter(pk__lt=before)
    return list(found.order_by("-pk")[: DECIDED_LISTED + 1])


def _of_same_set(request: AccessRequest, queue: Sequence[AccessRequest]) -> frozenset[int]:
    if request.request_set_id is None:
        return frozenset()
    return frozenset(one.pk for one in queue if one.request_set_id == request.request_set_id and one.pk != request.pk)


def _shorter(request: AccessRequest) -> tuple[Length, ...]:
    most = request.duration or request.policy_version.max_duration + timedelta(seconds=1)
    return tuple(
        Length(seconds_of(span), spoken(span), is_allowed=True, is_chosen=False) for span in COMMON if span < most
    )
