"""How somebody asks and who answers: one request at a time, with the rules of its policy at that time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from governance.access.models import EndCause, GrantCause, RequestState
from governance.catalog.models import AccessPolicyVersion, ApproverKind
from governance.core.actor import Actor
from governance.core.clock import OPEN_END
from governance.demo import staff, words
from governance.demo.people import Company, Member
from governance.demo.plans import Answer, Ask, Books, Ending, Move, Plan
from governance.demo.shelf import Offer, Shelf
from governance.demo.world import World
from governance.identity.conditions.language import about_people
from governance.identity.conditions.predicate import holds

#: Who decides answers within this time, or not at all.
_LONGEST_WAIT = timedelta(hours=30)


@dataclass(slots=True)
class Desk:
    """Where requests are made and answered."""

    world: World
    company: Company
    shelf: Shelf
    books: Books
    admins: list[Member] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = [one.handle for one in staff.SIGN_INS if one.role == "security_admin"]
        self.admins = [self.company[name] for name in (*names, *staff.OTHER_ADMINS)]

    def ask(
        self,
        member: Member,
        offer: Offer,
        at: datetime,
        duration: timedelta | None,
        *,
        reason: str = "",
        purpose: str = "",
        requester: Member | None = None,
        starts_at: datetime | None = None,
        extends: Plan | None = None,
    ) -> Ask:
        """Make a request that waits."""
        purpose = purpose or words.purpose(self.world)
        version = offer.version_at(at)
        return self.books.note(
            Ask(
                member=member,
                requester=requester or member,
                offer=offer,
                version=version,
                created_at=at,
                duration=duration,
                purpose=purpose,
                reason=reason or words.why(self.world, purpose),
                ticket=words.ticket(self.world, purpose) if version.requires_ticket else "",
                correlation_id=self.world.correlation(),
                starts_at=starts_at,
                extends=extends,
            )
        )

    def answer(
        self, ask: Ask, at: datetime, *, approved: bool = True, reason: str = "", duration: timedelta | None = None
    ) -> None:
        """Answer the stage that waits; the last yes, or the first no, closes the request."""
        kind = ask.version.stage_kinds[len(ask.answers)]
        member = self.deciders(ask, kind)[0]
        ask.answers.append(Answer(member, kind, approved, at, reason, duration))
        if not approved:
            self.close(ask, RequestState.DENIED, at)
        elif len(ask.answers) == len(ask.version.stages):
            self.close(ask, RequestState.APPROVED, at)

    def approve(self, ask: Ask, *, quickly: timedelta | None = None, duration: timedelta | None = None) -> Plan | None:
        """Have every stage say yes, or the policy at once; return the grant that follows, none for an extension.

        `quickly` is how long each stage takes; otherwise as long as its people usually do.
        """
        at = ask.created_at
        if self.is_automatic(ask):
            ask.answers = [Answer(None, kind, True, at, "By policy") for kind in ask.version.stage_kinds]
            self.close(ask, RequestState.APPROVED, at)
            return self.grant(ask)
        while ask.state == RequestState.PENDING:
            is_last = len(ask.answers) + 1 == len(ask.version.stages)
            at += self.wait(ask) if quickly is None else quickly
            self.answer(ask, at, duration=duration if is_last else None, reason=self._remark(duration, is_last))
        return self.grant(ask)

    def grant(self, ask: Ask) -> Plan | None:
        """Return the grant an approved request leads to; an extension moves the end of the one it extends."""
        assert ask.closed_at is not None
        last = ask.answers[-1]
        actor = self.world.by((last.member or ask.member).person, correlation_id=ask.correlation_id)
        duration = last.duration or ask.duration
        if ask.extends is not None:
            assert duration is not None
            later = ask.extends.final_end + duration
            ask.extends.moves.append(Move(ask.closed_at, later, "extended", actor))
            return None
        starts_at = max(ask.starts_at or ask.closed_at, ask.closed_at)
        ends_at = starts_at + duration if duration is not None else OPEN_END
        plan = Plan(ask.member, ask.offer, GrantCause.REQUEST, starts_at, ends_at, ask.closed_at, actor, ask=ask)
        return self.books.keep(plan)

    def close(self, ask: Ask, state: RequestState, at: datetime, *, because: str = "") -> None:
        """Close a request."""
        ask.state, ask.closed_at, ask.closed_because = state, at, because

    def give_back(self, plan: Plan, at: datetime) -> None:
        """End a grant because the person does not need it any more."""
        plan.ending = Ending(at, EndCause.RETURNED, self.world.by(plan.member.person))

    def revoke(self, plan: Plan, at: datetime, by: Member) -> None:
        """End a grant because somebody else wants it so."""
        plan.ending = Ending(at, EndCause.REVOKED, self.world.by(by.person))

    def deciders(self, ask: Ask, kind: str) -> list[Member]:
        """Return who may answer as this kind, the first asked first. The rule of `access.approvers`."""
        excluded = {ask.member.handle, ask.requester.handle, *(one.member.handle for one in ask.answers if one.member)}
        asked = [one for one in self._asked(ask, kind) if one.handle not in excluded]
        return asked or [one for one in self.admins if one.handle not in excluded]

    def is_automatic(self, ask: Ask) -> bool:
        """Tell whether the policy approves this by itself."""
        version = ask.version
        return (
            bool(version.auto_approve)
            and ask.duration is not None
            and ask.duration <= version.auto_approve_up_to
            and self.matches(version.auto_approve, ask.member, ask.created_at)
        )

    def may_ask(self, member: Member, offer: Offer, at: datetime) -> bool:
        """Tell whether the policy lets somebody ask."""
        version: AccessPolicyVersion = offer.version_at(at)
        return self.matches(version.may_request, member, at)

    def matches(self, condition: str, member: Member, at: datetime) -> bool:
        """Tell whether a condition selected somebody at an instant."""
        stage = member.stage_at(at)
        return stage is not None and (not condition or holds(about_people(condition), member.document_at(stage)))

    def wait(self, ask: Ask) -> timedelta:
        """Return how long the people of this application take for an answer."""
        return min(self.world.around(timedelta(minutes=ask.offer.app.minutes)), _LONGEST_WAIT)

    def _asked(self, ask: Ask, kind: str) -> list[Member]:
        if kind == ApproverKind.OWNER:
            return list(ask.offer.owners)
        if kind == ApproverKind.SECURITY:
            return self.admins
        stage = ask.member.stage_at(ask.created_at)
        boss = self.company.boss(stage) if stage is not None else None
        return [boss] if boss is not None else []

    def _remark(self, duration: timedelta | None, is_last: bool) -> str:
        return self.world.chance.choice(words.SHORTER) if duration is not None and is_last else ""

    def imported(self) -> Actor:
        """Return Gatehouse taking over what was there before it."""
        return self.world.system("import")
