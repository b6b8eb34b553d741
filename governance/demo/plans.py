"""What is to become rows: requests with their answers, and grants with everything that happened to them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from governance.access.models import AccessRequest, EndCause, Grant, GrantCause, RequestState
from governance.catalog.models import AccessPolicyVersion, BirthrightRuleVersion
from governance.core.actor import Actor
from governance.core.clock import OPEN_END
from governance.demo.people import Member
from governance.demo.shelf import Offer
from governance.demo.world import from_directory


@dataclass(frozen=True, slots=True)
class Course:
    """How an order went: when it was sent, and how long after that the application showed it.

    `shown_after` None: it was never read back. `cause`: it failed instead, after `sent_after`.
    """

    sent_after: timedelta
    shown_after: timedelta | None
    attempts: int = 1
    cause: str = ""
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class Move:
    """The end of a grant was moved."""

    at: datetime
    ends_at: datetime
    change: str
    actor: Actor


@dataclass(frozen=True, slots=True)
class Ending:
    """A grant was ended before its time."""

    at: datetime
    cause: EndCause
    actor: Actor


@dataclass(slots=True, eq=False)
class Plan:
    """A grant to be. `ends_at` is the end it was given with."""

    member: Member
    offer: Offer
    cause: GrantCause
    starts_at: datetime
    ends_at: datetime
    created_at: datetime
    actor: Actor
    version: BirthrightRuleVersion | None = None
    ask: Ask | None = None
    moves: list[Move] = field(default_factory=list)
    ending: Ending | None = None
    #: How the orders went, where that is part of the story.
    give: Course | None = None
    take: Course | None = None
    row: Grant = field(default_factory=Grant)

    @property
    def final_end(self) -> datetime:
        """Return when it ends or ended after all."""
        if self.ending is not None:
            return max(self.ending.at, self.starts_at)
        return self.moves[-1].ends_at if self.moves else self.ends_at

    def covers(self, at: datetime) -> bool:
        """Tell whether it covers an instant."""
        return self.starts_at <= at < self.final_end


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer at one stage; by the policy itself when there is no `member`."""

    member: Member | None
    asked: str
    approved: bool
    at: datetime
    reason: str = ""
    duration: timedelta | None = None


@dataclass(slots=True, eq=False)
class Ask:
    """A request to be."""

    member: Member
    requester: Member
    offer: Offer
    version: AccessPolicyVersion
    created_at: datetime
    duration: timedelta | None
    purpose: str
    reason: str
    ticket: str
    correlation_id: str
    starts_at: datetime | None = None
    extends: Plan | None = None
    state: RequestState = RequestState.PENDING
    closed_at: datetime | None = None
    closed_because: str = ""
    answers: list[Answer] = field(default_factory=list)
    row: AccessRequest = field(default_factory=AccessRequest)


@dataclass(slots=True)
class Books:
    """All plans and requests, found by person and role."""

    plans: list[Plan] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    by_role: dict[str, list[Plan]] = field(default_factory=lambda: defaultdict(list))
    by_person_and_role: dict[tuple[str, str], list[Plan]] = field(default_factory=lambda: defaultdict(list))
    asks_by_person_and_role: dict[tuple[str, str], list[Ask]] = field(default_factory=lambda: defaultdict(list))

    def keep(self, plan: Plan) -> Plan:
        """Keep a plan; a leaver's ends when the leaving was written down."""
        leaving = next(
            (
                stage
                for stage in plan.member.stages
                if stage.change == "left" and plan.created_at < stage.recorded_at < plan.final_end
            ),
            None,
        )
        if leaving is not None:
            plan.ending = Ending(leaving.recorded_at, EndCause.LEFT, from_directory(leaving.correlation_id))
        self.plans.append(plan)
        self.by_role[plan.offer.key].append(plan)
        self.by_person_and_role[plan.member.handle, plan.offer.key].append(plan)
        return plan

    def note(self, ask: Ask) -> Ask:
        """Keep a request."""
        self.asks.append(ask)
        self.asks_by_person_and_role[ask.member.handle, ask.offer.key].append(ask)
        return ask

    def of(self, member: Member, offer: Offer) -> list[Plan]:
        """Return the plans of a person for a role."""
        return self.by_person_and_role[member.handle, offer.key]

    def is_free(self, member: Member, offer: Offer, starts_at: datetime, ends_at: datetime = OPEN_END) -> bool:
        """Tell whether nothing is held and nothing waits for a person and a role between two instants."""
        held = any(plan.starts_at < ends_at and starts_at < plan.final_end for plan in self.of(member, offer))
        asks = self.asks_by_person_and_role[member.handle, offer.key]
        waits = any(ask.created_at < ends_at and starts_at < (ask.closed_at or OPEN_END) for ask in asks)
        return not held and not waits
