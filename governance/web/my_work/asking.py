"""Asking for access as its drawer shows it: roles, lengths up to the limit of the chosen one, who decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from governance.access.approvers import Deciders, deciders
from governance.access.duties import of_ask
from governance.access.models import AccessRequest
from governance.access.queries import AnswerTimes, answer_times
from governance.catalog.models import Application, ApproverKind
from governance.catalog.queries import application as application_called
from governance.core.errors import NotFound
from governance.identity.models import Person
from governance.policy.durations import COMMON, spoken
from governance.policy.duties import DutyConflict
from governance.policy.facts import Ask
from governance.web.my_work.offers import ASKED_AS, Offer, held_by, offers_to

#: What the field says when there is to be no end.
NO_END = "0"


@dataclass(frozen=True, slots=True)
class Length:
    """One answer to "how long"; `seconds` is what the field carries."""

    seconds: str
    words: str
    is_allowed: bool
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Decider:
    """Who decides at one stage, first name first, as what they are asked, and how long they usually take."""

    names: tuple[str, ...]
    asked_as: str
    #: None where people decided too seldom to say.
    usual: AnswerTimes | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One role to choose, with the line about who decides."""

    offer: Offer
    who: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Asking:
    """The drawer for one application as of `at`. `offer` is the chosen role."""

    at: datetime

    application: Application
    choices: tuple[Choice, ...]
    offer: Offer
    lengths: tuple[Length, ...]
    longest: str
    ends_at: datetime | None
    stages: tuple[Decider, ...]
    is_instant: bool
    #: The rules about duties that the chosen role would break in the chosen time.
    duties: tuple[DutyConflict, ...] = ()
    #: Whether the person may take a role here at once in an emergency.
    has_break_glass: bool = False

    @property
    def is_forbidden(self) -> bool:
        """Tell whether a rule refuses the chosen role from the first moment, however short the time."""
        return any(one.is_refused and one.begins_at <= self.at for one in self.duties)

    @property
    def purposes(self) -> list[str]:
        """Return the purposes the policy knows."""
        return list(self.offer.version.purposes)


@dataclass(frozen=True, slots=True)
class NothingToAsk:
    """There is nothing for this person to ask for in an application; `owners` can help."""

    application: Application
    owners: tuple[Person, ...]


def asking(
    person: Person,
    slug: str,
    at: datetime,
    *,
    role: str = "",
    length: str = "",
    changes: AccessRequest | None = None,
) -> Asking | NothingToAsk:
    """Return the drawer for an application, with the named role and length chosen where they are possible.

    A request that is to be changed does not stand in its own way.
    Raises NotFound when there is no such application.
    """
    held = held_by(person, at)
    if changes is not None:
        held.requests.pop(changes.entitlement_id, None)
    offers = offers_to(person, held, at, application_slug=slug)
    if not offers:
        return _nothing(slug)
    offer = _chosen(offers, role)
    known = deciders([offer.role.application_id])
    lengths = lengths_up_to(offer.version.max_duration, chosen=length, usual=offer.version.default_duration,
                            allows_open_end=offer.version.allows_open_end)  # fmt: skip
    span = span_of(next((one.seconds for one in lengths if one.is_chosen), NO_END))
    broken = () if offer.grant or offer.request else of_ask(person, offer.role, Ask(span, "", ""), at=at)
    return Asking(
        at=at,
        application=offer.role.application,
        choices=tuple(Choice(one, who_decides(one, known, person), one is offer) for one in offers),
        offer=offer,
        lengths=lengths,
        longest=spoken(offer.version.max_duration),
        ends_at=None if span is None else at + span,
        stages=tuple(_stages(offer, known, person, answer_times(offer.role.pk, at=at))),
        is_instant=_is_instant(offer, span) and not (broken and offer.version.stages),
        duties=broken,
        has_break_glass=any(one.version.break_glass_up_to for one in offers),
    )


def lengths_up_to(
    most: timedelta, *, chosen: str, usual: timedelta, allows_open_end: bool = False
) -> tuple[Length, ...]:
    """Return the lengths people usually choose, those beyond `most` not allowed, one of the allowed chosen."""
    spans = sorted({*COMMON, usual, most})
    allowed = {seconds_of(span) for span in spans if span <= most} | ({NO_END} if allows_open_end else set())
    picked = chosen if chosen in allowed else seconds_of(most) if chosen.isdigit() and chosen else seconds_of(usual)
    lengths = [Length(seconds_of(span), spoken(span), span <= most, seconds_of(span) == picked)
               for span in spans]  # fmt: skip
    if allows_open_end:
        lengths.append(Length(NO_END, "No end", is_allowed=True, is_chosen=picked == NO_END))
    return tuple(lengths)


def seconds_of(span: timedelta | None) -> str:
    """Return a length as the field carries it."""
    return NO_END if span is None else str(int(span.total_seconds()))


def span_of(seconds: str) -> timedelta | None:
    """Return the length that the field carries; none when there is to be no end."""
    return None if seconds == NO_END else timedelta(seconds=int(seconds))


def _nothing(slug: str) -> NothingToAsk:
    application = application_called(slug)
    if application.retired_at is not None:
        raise NotFound(f"{application.name} is not in use any more.")
    owners = Person.objects.filter(ownerships__application=application).order_by("ownerships__since")
    return NothingToAsk(application, tuple(owners))


def _chosen(offers: list[Offer], role: str) -> Offer:
    """Return the named role, else the one with the least risk that is not held and not waited for."""
    free = [offer for offer in offers if not offer.grant and not offer.request]
    return next((offer for offer in offers if offer.role.slug == role), (free or offers)[0])


def _is_instant(offer: Offer, span: timedelta | None) -> bool:
    version = offer.version
    if not version.stages:
        return True
    return offer.approves_itself and span is not None and span <= version.auto_approve_up_to


def _stages(
    offer: Offer, known: Deciders, person: Person, usual: Mapping[str, AnswerTimes] = MappingProxyType({})
) -> Iterator[Decider]:
    for stage in offer.version.route:
        found = known.eligible(stage, person=person, application_id=offer.role.application_id, excluded_ids=[person.pk])
        names = tuple(one.display_name for one in found)
        yield Decider(names, ASKED_AS[ApproverKind(stage.kind)], usual.get(stage.kind))


def who_decides(offer: Offer, known: Deciders, person: Person) -> str:
    """Return who will decide about a role, in words: nobody has to choose them."""
    if offer.is_instant:
        limit = f", up to {spoken(offer.version.auto_approve_up_to)}" if offer.version.stages else ""
        return f"At once, by policy{limit}"
    first = [stage.names[0] if stage.names else "Security" for stage in _stages(offer, known, person)]
    return ", then ".join(first) + (" decides" if len(first) == 1 else "")
