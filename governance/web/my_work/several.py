"""Asking for several roles at once, as its page shows it. What is chosen stands in the address, so nothing is kept.
Once something is written it goes along in the form instead: words are not for addresses.

A colleague's access, a package or a search only say what to choose from; what somebody may not ask for is never shown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.http import QueryDict

from governance.access.approvers import deciders
from governance.access.models import Grant
from governance.access.queries import covering
from governance.access.requests import MOST_TOGETHER
from governance.catalog.packages_queries import PackageInForce, package_in_force, packages_in_force
from governance.catalog.queries import applications_owned_by
from governance.core.errors import NotFound
from governance.identity.models import Person
from governance.identity.queries import people_by_email
from governance.policy.durations import spoken
from governance.web.my_work.asking import Length, lengths_up_to, who_decides
from governance.web.my_work.offers import Offer, held_by, offers_to
from governance.web.roles import Standing

#: So many roles are found at most by a search.
MOST_FOUND = 60


@dataclass(frozen=True, slots=True)
class Said:
    """What the address says: for whom, what is chosen, and where to choose from."""

    roles: tuple[str, ...]
    for_: str = ""
    like: str = ""
    package: str = ""
    question: str = ""
    length: str = ""

    @classmethod
    def read(cls, data: QueryDict) -> Said:
        """Return what a query or a form says. No name holds a control character."""
        within = data.get("carry", "")
        named = [f"{within}/{role}" if within else role for role in data.getlist("role")]
        more = data.getlist("more") if "choose" in data else []
        kept = dict.fromkeys(role[:161] for role in (*named, *more) if role != data.get("without"))
        roles = tuple(kept)[: 2 * MOST_TOGETHER]

        def word(name: str, limit: int = 320) -> str:
            return "".join(one for one in data.get(name, "") if one.isprintable()).strip()[:limit]

        return cls(roles, word("for"), word("like"), word("package", 80), word("q", 100), word("length", 12))

    @property
    def address(self) -> str:
        """Return the query that says the same."""
        query = QueryDict(mutable=True)
        query.setlist("role", list(self.roles))
        names = {"for": self.for_, "like": self.like, "package": self.package, "q": self.question}
        for name, value in (names | {"length": self.length}).items():
            if value:
                query[name] = value
        return f"?{query.urlencode()}"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A role that is asked for, and who will decide about it; empty while one looks for more."""

    offer: Offer
    key: str
    who: str


@dataclass(frozen=True, slots=True)
class Terms:
    """What can be said of all these roles together: the shortest of the longest times, the shared purposes."""

    lengths: tuple[Length, ...]
    longest: str
    purposes: tuple[str, ...]
    needs_ticket: bool


@dataclass(frozen=True, slots=True)
class Several:
    """The whole page."""

    said: Said
    person: Person
    is_for_other: bool
    chosen: tuple[Chosen, ...]
    #: Chosen, but held or waited for already: left out and said.
    left_out: tuple[Offer, ...]
    #: To choose from, with the key of each.
    found: tuple[tuple[str, Offer], ...]
    found_words: str
    terms: Terms
    #: To begin with, while nothing is chosen or looked for.
    packages: tuple[PackageInForce, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def lapses(self) -> timedelta | None:
        """Return how soon unanswered requests lapse, the soonest."""
        return min((one.offer.version.lapses_after for one in self.chosen), default=None)


def several(asker: Person, standing: Standing, said: Said, at: datetime) -> Several:
    """Return the page for what the address says; what it says wrong stands in `problems`."""
    problems: list[str] = []
    emails = {one for one in (said.for_, said.like) if one}
    known = people_by_email(emails) if emails else {}
    person = _named(said.for_, known, problems) or asker
    offers = {_key(one): one for one in _offers(asker, standing, person, at, problems)}
    roles, words, choice = list(said.roles), "", []
    if said.package:
        roles += [key for key in _of_package(said.package, problems) if key in offers and key not in roles]
    if said.like and (colleague := _named(said.like, known, problems)):
        choice, words = _of_colleague(colleague, offers, at), f"What {colleague.display_name} has and you may ask for"
    elif said.question:
        choice, words = _searched(said.question, offers), f"Roles that match “{said.question}”"
    picked = [offers[key] for key in roles if key in offers]
    free = [one for one in picked if not one.grant and not one.request]
    # While one still looks for roles, who decides can wait: the page keeps within its statements.
    asked = None if words else deciders({one.role.application_id for one in free})
    return Several(
        said=said,
        person=person,
        is_for_other=person.pk != asker.pk,
        chosen=tuple(Chosen(one, _key(one), who_decides(one, asked, person) if asked else "") for one in free),
        left_out=tuple(one for one in picked if one.grant or one.request),
        found=tuple((key, offers[key]) for key in choice if key not in roles)[:MOST_FOUND],
        found_words=words,
        terms=_terms(free, said.length),
        packages=() if picked or words else tuple(packages_in_force()),
        problems=tuple(problems),
    )


def _terms(free: Collection[Offer], length: str) -> Terms:
    if not free:
        return Terms((), "", (), needs_ticket=False)
    versions = [one.version for one in free]
    most = min(one.max_duration for one in versions)
    usual = min(*(one.default_duration for one in versions), most)
    allows_open_end = all(one.allows_open_end for one in versions)
    return Terms(
        lengths_up_to(most, chosen=length, usual=usual, allows_open_end=allows_open_end),
        spoken(most),
        _shared_purposes([one.purposes for one in versions if one.purposes]),
        needs_ticket=any(one.requires_ticket for one in versions),
    )


def _shared_purposes(lists: list[list[str]]) -> tuple[str, ...]:
    """Return the purposes every policy knows; all of them where they share none, and the refusal says the rest."""
    if not lists:
        return ()
    shared = [one for one in lists[0] if all(one in other for other in lists[1:])]
    return tuple(shared or dict.fromkeys(one for each in lists for one in each))


def _offers(asker: Person, standing: Standing, person: Person, at: datetime, problems: list[str]) -> Iterable[Offer]:
    offers = offers_to(person, held_by(person, at), at)
    if asker.pk in (person.pk, person.manager_id) or standing.is_security_admin:
        return offers
    owned = applications_owned_by(asker.pk) if standing.is_owner else ()
    if not owned:
        problems.append(f"Only {person.display_name}, their manager, owners of applications and security ask for them.")
    return [one for one in offers if one.role.application_id in owned]


def _named(email: str, known: Mapping[str, Person], problems: list[str]) -> Person | None:
    if not email:
        return None
    found = known.get(email)
    if found is None:
        problems.append(f"Nobody has the address {email}.")
        return None
    if not found.is_active:
        problems.append(f"{found.display_name} is not active any more.")
        return None
    return found


def _of_package(slug: str, problems: list[str]) -> list[str]:
    try:
        return [f"{role.application.slug}/{role.slug}" for role in package_in_force(slug).roles]
    except NotFound as gone:
        problems.append(str(gone))
        return []


def _of_colleague(colleague: Person, offers: dict[str, Offer], at: datetime) -> list[str]:
    held = set(Grant.objects.filter(covering(at), person=colleague).values_list("entitlement_id", flat=True))
    return [key for key, one in offers.items() if one.role.pk in held and not one.grant and not one.request]


def _searched(question: str, offers: dict[str, Offer]) -> list[str]:
    words = question.casefold().split()

    def text(offer: Offer) -> str:
        role, application = offer.role, offer.role.application
        return f"{role.name} {role.sentence} {application.name} {application.category}".casefold()

    return [
        key
        for key, one in offers.items()
        if not one.grant and not one.request and all(word in text(one) for word in words)
    ]


def _key(offer: Offer) -> str:
    return f"{offer.role.application.slug}/{offer.role.slug}"
