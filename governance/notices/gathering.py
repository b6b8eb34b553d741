"""From ledger entries to happenings: reads what they are about, for many entries in a fixed number of statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from governance.access.approvers import Voter, deciders, voters
from governance.access.break_glass import reviewers
from governance.access.models import AccessRequest, BreakGlass, Grant, RequestState
from governance.catalog.models import Application, ApplicationOwner, Entitlement
from governance.core.clock import is_open_ended
from governance.exceptions.events import READING_FINISHED
from governance.exceptions.queries import digest_of
from governance.identity.models import Person, Status
from governance.identity.queries import security_admins
from governance.ledger.queries import SealedEntry
from governance.notices.happenings import Asked, Exceptions, Given, Happening, What, Who
from governance.notices.kinds import ASKING
from governance.notices.models import Notice
from governance.notices.naming import audits_of

#: An owner whose ownership is not older than this before an entry came with it.
_CAME_WITH = timedelta(seconds=5)
#: What entries call people in their data.
_NAMED_IN_DATA = ("owner", "deputy")


@dataclass(frozen=True, slots=True)
class _Owned:
    person_id: int
    since: datetime


class Gathered:
    """What a batch of entries is about, by key."""

    def __init__(self, entries: Sequence[SealedEntry]) -> None:
        grants = _grants(_keys(entries, "grant") | _origins(entries))
        requests = _requests(_keys(entries, "request"))
        self._people = _people(entries, grants.values(), requests.values())
        application_ids = _keys(entries, "application")
        application_ids |= {one.application_id for one in grants.values()}
        application_ids |= {one.entitlement.application_id for one in requests.values()}
        self._applications = {one.pk: one for one in Application.objects.filter(pk__in=application_ids)}
        self._roles = dict(Entitlement.objects.filter(pk__in=_keys(entries, "entitlement")).values_list("pk", "name"))
        self._owners = _owners(application_ids)
        self._security = tuple(security_admins().values_list("pk", flat=True)) if entries else ()
        self._reviewers = _reviewers(_keys(entries, "break_glass"))
        self._digests = {ref: digest_of(ref) for ref in _finished_readings(entries)}
        self._audits = audits_of(entries)
        self._grants = grants
        self._requests = requests
        self._voters = _voters(requests.values())
        #: Request number → person → when they were asked last, and who still is. The reader adds what it writes.
        self.asked, self.holding = _asked(requests)

    def happening(self, entry: SealedEntry) -> Happening:
        """Return an entry with what it is about."""
        grant = self._grants.get(_first(entry, "grant") or _origin(entry) or 0)
        request = self._requests.get(_first(entry, "request") or 0)
        refs = (one.ref for one in entry.subjects if one.kind == "person")
        named = tuple(self._people[ref] for ref in refs if ref in self._people)
        exceptions, of_nobody = self._exceptions(entry)
        return Happening(
            event=entry.event,
            index=entry.index,
            correlation=entry.correlation_id,
            at=entry.at,
            data=entry.data,
            actor=self._people.get(entry.actor_ref),
            person=named[0] if named else None,
            what=self._what(_first(entry, "application"), _first(entry, "entitlement"), entry.at),
            request=self._asked(request, entry.at) if request else None,
            grant=self._given(grant, entry.at) if grant else None,
            named=named,
            refs={one.kind: one.ref for one in reversed(entry.subjects)},
            security_ids=self._security,
            reviewer_ids=self._reviewers.get(_first(entry, "break_glass") or 0, ()),
            audit=self._audits.get(entry.index),
            by_ref=self._people,
            exceptions=exceptions,
            exceptions_of_nobody=of_nobody,
        )

    def _exceptions(self, entry: SealedEntry) -> tuple[dict[int, Exceptions], Exceptions]:
        ref = next((one.ref for one in entry.subjects if one.kind == "control_reading"), "")
        digest = self._digests.get(ref) if entry.event == READING_FINISHED else None
        if digest is None:
            return {}, Exceptions()
        people = {*digest.new, *digest.overdue, *digest.near}
        counted = {
            key: Exceptions(digest.new.get(key, 0), digest.overdue.get(key, 0), digest.near.get(key, 0))
            for key in sorted(people)
        }
        return counted, Exceptions(digest.new_of_nobody, digest.overdue_of_nobody)

    def _what(self, application_id: int | None, entitlement_id: int | None, at: datetime) -> What | None:
        application = self._applications.get(application_id or 0)
        if application is None:
            return None
        owners = self._owners[application.pk]
        return What(
            application.name,
            application.slug,
            self._roles.get(entitlement_id or 0, ""),
            tuple(one.person_id for one in owners),
            tuple(one.person_id for one in owners if one.since >= at - _CAME_WITH),
        )

    def _asked(self, request: AccessRequest, at: datetime) -> Asked:
        answers = sorted(request.approvals.all(), key=lambda one: one.stage)
        answered = frozenset(
            key for one in answers for key in (one.approver_id, one.on_behalf_of_id) if key is not None
        )
        what = self._what(request.entitlement.application_id, None, at)
        assert what is not None  # a request's application is never deleted
        return Asked(
            number=request.number,
            requester=_who(request.requester),
            person=_who(request.person),
            what=What(what.application, what.application_slug, request.entitlement.name, what.owner_ids),
            is_pending=request.state == RequestState.PENDING,
            stage=request.stage,
            approver_ids=tuple(one.person.pk for one in self._voters.get(request.pk, ())),
            tell_ids=tuple(one.person.pk for one in self._voters.get(request.pk, ()) if not one.is_away),
            holding_ids=frozenset(self.holding[request.number]),
            answered_ids=answered,
            asked_at=dict(self.asked[request.number]),
            reason=answers[-1].reason if answers else "",
        )

    def _given(self, grant: Grant, at: datetime) -> Given:
        what = self._what(grant.application_id, None, at)
        assert what is not None  # an application is never deleted
        return Given(
            id=grant.pk,
            person=_who(grant.person),
            what=What(what.application, what.application_slug, grant.entitlement.name, what.owner_ids),
            cause=grant.cause,
            ends_at=None if is_open_ended(grant.ends_at) else grant.ends_at,
            requester=_who(grant.request.requester) if grant.request else None,
            number=grant.request.number if grant.request else None,
        )


def _finished_readings(entries: Iterable[SealedEntry]) -> set[str]:
    """Return the readings of the controls that the entries say are finished: one or two a day."""
    finished = (entry for entry in entries if entry.event == READING_FINISHED)
    return {one.ref for entry in finished for one in entry.subjects if one.kind == "control_reading"}


def _who(person: Person) -> Who:
    return Who(person.pk, str(person.ref), person.display_name)


def _number(ref: str) -> int | None:
    return int(ref) if ref.isascii() and ref.isdigit() and len(ref) < 19 else None


def _first(entry: SealedEntry, kind: str) -> int | None:
    return next((_number(one.ref) for one in entry.subjects if one.kind == kind), None)


def _origin(entry: SealedEntry) -> int | None:
    """Return the grant that an order to an application comes from."""
    origin = str(entry.data.get("origin", ""))
    return _number(origin.removeprefix("grant:")) if origin.startswith("grant:") else None


def _keys(entries: Iterable[SealedEntry], kind: str) -> set[int]:
    return {key for entry in entries if (key := _first(entry, kind)) is not None}


def _origins(entries: Iterable[SealedEntry]) -> set[int]:
    return {key for entry in entries if (key := _origin(entry)) is not None}


def _grants(keys: set[int]) -> dict[int, Grant]:
    found = Grant.objects.filter(pk__in=keys).select_related("person", "entitlement", "request__requester")
    return {one.pk: one for one in found}


def _requests(numbers: set[int]) -> dict[int, AccessRequest]:
    found = (
        AccessRequest.objects.filter(number__in=numbers)
        .select_related("requester", "person__manager__manager", "entitlement__application", "policy_version__policy")
        .prefetch_related("approvals", "turns__to")
    )
    return {one.number: one for one in found}


def _voters(requests: Iterable[AccessRequest]) -> dict[int, list[Voter]]:
    """Return who may decide now, asked at this moment: never those who could when it was sent."""
    waiting = [one for one in requests if one.state == RequestState.PENDING]
    known = deciders({one.entitlement.application_id for one in waiting}) if waiting else None
    return {one.pk: voters(one, known) for one in waiting}


def _reviewers(keys: set[int]) -> dict[int, tuple[int, ...]]:
    """Return who may review these break-glasses now."""
    found = list(
        BreakGlass.objects.filter(pk__in=keys).select_related(
            "person__manager__manager", "entitlement", "policy_version"
        )
    )
    known = deciders({one.entitlement.application_id for one in found}) if found else None
    return {one.pk: tuple(who.pk for who in reviewers(one, known)) for one in found}


def _people(
    entries: Iterable[SealedEntry], grants: Iterable[Grant], requests: Iterable[AccessRequest]
) -> dict[str, Who]:
    refs = {one.ref for entry in entries for one in entry.subjects if one.kind == "person"}
    refs |= {entry.actor_ref for entry in entries if entry.actor_kind == "person"}
    refs |= {str(ref) for entry in entries for name in _NAMED_IN_DATA if (ref := entry.data.get(name)) is not None}
    found = Person.objects.filter(ref__in=refs).only("id", "ref", "display_name")
    known = {str(one.ref): _who(one) for one in found}
    asked = [person for one in requests for person in (one.requester, one.person)]
    return known | {str(one.ref): _who(one) for one in (*asked, *(grant.person for grant in grants))}


def _owners(application_ids: Iterable[int]) -> Mapping[int, list[_Owned]]:
    found: dict[int, list[_Owned]] = defaultdict(list)
    for application_id, person_id, since in (
        ApplicationOwner.objects.filter(application_id__in=list(application_ids), person__status=Status.ACTIVE)
        .order_by("since", "id")
        .values_list("application_id", "person_id", "since")
    ):
        found[application_id].append(_Owned(person_id, since))
    return found


def _asked(requests: Mapping[int, AccessRequest]) -> tuple[dict[int, dict[int, datetime]], dict[int, set[int]]]:
    found: dict[int, dict[int, datetime]] = defaultdict(dict)
    holding: dict[int, set[int]] = defaultdict(set)
    about = {f"request:{number}": number for number in requests}
    earlier = Notice.objects.filter(about__in=about, kind__in=ASKING).order_by("at")
    for subject, person_id, at, settled_at in earlier.values_list("about", "person_id", "at", "settled_at"):
        found[about[subject]][person_id] = at
        if settled_at is None:
            holding[about[subject]].add(person_id)
    return found, holding
