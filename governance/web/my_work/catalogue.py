"""The catalogue as its page shows it: yours right now, then cards of what can be asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.fields import ArrayField
from django.db.models import BigIntegerField, OuterRef

from governance.access.approvers import Deciders, deciders
from governance.access.models import AccessRequest, Approval, Grant
from governance.access.queries import AnswerTimes, first_answer_times
from governance.catalog.models import Application, ApproverKind
from governance.identity.models import Person
from governance.web.kinds import kind_of
from governance.web.my_work.offers import ASKED_AS, Held, Offer, by_application, held_by, offers_to, state_of

#: With less than this left, the end stands out.
SOON = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Now:
    """Access that will end, as a card."""

    grant: Grant
    left: timedelta
    whole: timedelta

    @property
    def is_soon(self) -> bool:
        """Tell whether the end is near."""
        return self.left <= SOON


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that waits, as a card, with whom it waits for."""

    request: AccessRequest
    deciders: tuple[Person, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """An application in the catalogue. `usual` is how long the first answer takes, none without three of them."""

    application: Application
    offers: tuple[Offer, ...]
    usual: AnswerTimes | None

    @property
    def state(self) -> Offer | None:
        """Return where the reader stands with it, if they have or wait for something."""
        return state_of(self.offers)

    @property
    def state_kind(self) -> str:
        """Return the kind of what they have or wait for."""
        state = self.state
        return "" if state is None else kind_of(state.grant) if state.grant else "pending"

    @property
    def is_instant(self) -> bool:
        """Tell whether a role of it needs no decision."""
        return any(offer.is_instant for offer in self.offers)

    @property
    def asked(self) -> str:
        """Return who is asked first for the role with the least risk."""
        stages = self.offers[0].version.stage_kinds
        return ASKED_AS[ApproverKind(stages[0])] if stages else "nobody"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The whole page. `is_filtered` tells why there may be no card."""

    now: tuple[Now, ...]
    waiting: tuple[Waiting, ...]
    categories: tuple[str, ...]
    cards: tuple[Card, ...]
    is_filtered: bool


def catalogue(person: Person, at: datetime, *, question: str = "", category: str = "") -> Catalogue:
    """Return the catalogue for a person, narrowed by words and by category."""
    held = held_by(person, at)
    grouped = by_application(offers_to(person, held, at))
    usual = first_answer_times([application.pk for application in grouped], at=at)
    words = question.casefold().split()
    return Catalogue(
        now=tuple(_ending(held, at)),
        waiting=tuple(waiting_cards(held.requests.values())),
        categories=tuple(sorted({application.category for application in grouped if application.category})),
        cards=tuple(
            Card(application, tuple(offers), usual.get(application.pk))
            for application, offers in grouped.items()
            if (not category or application.category == category) and _matches(words, application, offers)
        ),
        is_filtered=bool(words or category),
    )


def yours(person: Person, at: datetime) -> tuple[list[Now], list[Waiting]]:
    """Return what ends and what waits, for the home page."""
    held = held_by(person, at)
    return list(_ending(held, at)), waiting_cards(held.requests.values())


def waiting_cards(requests: Iterable[AccessRequest]) -> list[Waiting]:
    """Return these pending requests with the people who can decide them now. At most three statements."""
    pending = sorted(requests, key=lambda request: request.created_at)
    if not pending:
        return []
    earlier = _approved_earlier(pending)
    known = deciders({request.entitlement.application_id for request in pending})
    return [Waiting(request, _who_decides(request, known, earlier.get(request.pk, ()))) for request in pending]


def _ending(held: Held, at: datetime) -> Iterable[Now]:
    for grant in sorted(held.grants.values(), key=lambda grant: grant.ends_at):
        if kind_of(grant) in ("temporary", "breakglass"):
            yield Now(grant, grant.ends_at - at, grant.ends_at - grant.starts_at)


def _approved_earlier(pending: list[AccessRequest]) -> dict[int, tuple[int, ...]]:
    later = [request.pk for request in pending if request.stage > 0]
    if not later:
        return {}
    given = Approval.objects.filter(request=OuterRef("pk"), approver__isnull=False).values("approver_id")
    rows = AccessRequest.objects.filter(pk__in=later).annotate(
        who=ArraySubquery(given, output_field=ArrayField(BigIntegerField()))
    )
    return {pk: tuple(who) for pk, who in rows.values_list("pk", "who")}


def _who_decides(request: AccessRequest, known: Deciders, earlier: Iterable[int]) -> tuple[Person, ...]:
    stages = request.route
    if request.stage >= len(stages):
        return ()
    return tuple(
        known.eligible(
            stages[request.stage],
            person=request.person,
            application_id=request.entitlement.application_id,
            excluded_ids={request.requester_id, request.person_id, *earlier},
        )
    )


def _matches(words: list[str], application: Application, offers: list[Offer]) -> bool:
    """Tell whether every word occurs in what is known of an application: name, category, description, roles, tasks."""
    if not words:
        return True
    roles = " ".join(f"{offer.role.name} {offer.role.sentence}" for offer in offers)
    text = f"{application.name} {application.category} {application.description} {roles}".casefold()
    return all(word in text for word in words)
