"""Who may decide a stage of a request now. Computed at the moment it is needed, never stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import QuerySet

from governance.access.models import Absence, AccessRequest, RequestState, TurnKind
from governance.catalog import stages
from governance.catalog.models import ApplicationOwner
from governance.catalog.stages import BY_SECURITY, Approvers, Stage
from governance.core.clock import now
from governance.identity.models import Person, Status
from governance.identity.queries import security_admins


@dataclass(frozen=True, slots=True)
class Voter:
    """Somebody who may answer: in their own right, or in the place of `on_behalf_of`.

    `is_away` says that somebody else may answer meanwhile, who is to be told instead.
    """

    person: Person
    on_behalf_of: Person | None = None
    is_away: bool = False


@dataclass(frozen=True, slots=True)
class Deciders:
    """The owners of some applications and everybody who administers security, read once for many requests.

    Security, groups, named people and deputies are only read when they are asked, each once: most requests have an
    owner or a manager who is there.
    """

    owners: dict[int, list[Person]]
    admins: QuerySet[Person]
    at: datetime
    _members: dict[Approvers, list[Person]] = field(default_factory=dict)
    _deputies: dict[int, Person | None] = field(default_factory=dict)

    def eligible(
        self,
        stage: Stage,
        *,
        person: Person,
        application_id: int,
        excluded_ids: Iterable[int],
        is_escalated: bool = False,
    ) -> list[Person]:
        """Return the active people who are asked, the first asked first; nobody of `excluded_ids`.

        When nobody is left as asked for, the fallback of the stage decides, and then security, so that a request can
        always be decided. After a silence the fallback decides as well, or instead.
        """
        excluded = frozenset(excluded_ids)

        def first_of(*levels: Approvers | None) -> list[Person]:
            for asked in levels:
                found = [one for one in self._asked(asked, person, application_id) if one.pk not in excluded]
                if found:
                    return found
            return []

        asked = first_of(stage.asked, stage.fallback, BY_SECURITY)
        if not is_escalated:
            return asked
        fallback = first_of(stage.fallback, BY_SECURITY)
        if fallback and not stage.stays:
            return fallback
        known = {one.pk for one in asked}
        return [*asked, *(one for one in fallback if one.pk not in known)]

    def stand_ins(self, holder: Person, barred_ids: Collection[int]) -> list[Person]:
        """Return the deputy of somebody who is away, the deputy's deputy, and so on; nobody twice.

        The chain ends at somebody who left or who is barred: who asks never chooses who answers.
        """
        found: list[Person] = []
        seen = {holder.pk, *barred_ids}
        last: Person | None = holder
        while last is not None:
            last = self._deputy_of(last.pk)
            if last is None or last.pk in seen or not last.is_active:
                break
            seen.add(last.pk)
            found.append(last)
        return found

    def _deputy_of(self, person_id: int) -> Person | None:
        if person_id not in self._deputies:
            away = Absence.objects.filter(person=person_id, starts_at__lte=self.at, ends_at__gt=self.at)
            absence = away.select_related("deputy").order_by("pk").first()
            self._deputies[person_id] = absence.deputy if absence else None
        return self._deputies[person_id]

    def know_deputies_of(self, people: Iterable[Person]) -> None:
        """Read at once who stands in for these people, and for those who do. One statement for each link."""
        unknown = {one.pk for one in people} - self._deputies.keys()
        while unknown:
            self._deputies.update(dict.fromkeys(unknown))
            away = Absence.objects.filter(person__in=unknown, starts_at__lte=self.at, ends_at__gt=self.at)
            for absence in away.select_related("deputy").order_by("-pk"):
                self._deputies[absence.person_id] = absence.deputy
            named = {found.pk for key in unknown if (found := self._deputies[key]) is not None}
            unknown = named - self._deputies.keys()

    def _asked(self, asked: Approvers | None, person: Person, application_id: int) -> Iterable[Person]:
        if asked is None:
            return []
        if asked.kind == stages.OWNER:
            return self.owners.get(application_id, [])
        if asked.kind == stages.SECURITY:
            return self.admins
        if asked.kind in (stages.GROUP, stages.PEOPLE):
            if asked not in self._members:
                self._members[asked] = _named(asked)
            return self._members[asked]
        manager = person.manager
        if manager is not None and not manager.is_active:
            # Whose manager left has their manager's manager, until the directory says so.
            manager = manager.manager
        if asked.kind == stages.MANAGERS_MANAGER:
            manager = manager.manager if manager is not None else None
        return [manager] if manager is not None and manager.is_active else []


def deciders(application_ids: Collection[int]) -> Deciders:
    """Return who decides about these applications. Two statements, and one for each group or list that is asked."""
    owners: dict[int, list[Person]] = defaultdict(list)
    ownerships = ApplicationOwner.objects.filter(
        application_id__in=application_ids, person__status=Status.ACTIVE
    ).select_related("person")
    for ownership in ownerships.order_by("since", "id"):
        owners[ownership.application_id].append(ownership.person)
    return Deciders(owners=owners, admins=security_admins(), at=now())


def voters(request: AccessRequest, known: Deciders | None = None) -> list[Voter]:
    """Return who may answer at the stage that waits, now: those who are there first; empty when nothing waits.

    Whoever said yes, at this stage or before, is not asked again, nor anybody in whose place that was said. Pass
    `known` when asking for many requests. In SQL, for one reader, it is `access.waiting_sql`: tested to agree.
    """
    if request.state != RequestState.PENDING:
        return []
    known = known or deciders([request.entitlement.application_id])
    concerned = {request.requester_id, request.person_id}
    answered = {
        key for one in request.approvals.all() for key in (one.approver_id, one.on_behalf_of_id) if key is not None
    }
    barred = concerned | answered
    asked = known.eligible(
        request.route[request.stage],
        person=request.person,
        application_id=request.entitlement.application_id,
        excluded_ids=barred,
        is_escalated=request.escalated_at is not None,
    )
    holders = _holders(request)
    held = [(_holder(one, holders, barred), one) for one in asked]
    known.know_deputies_of([holder for holder, _ in held])
    found: dict[int, Voter] = {}
    for holder, one in held:
        stand_ins = [each for each in known.stand_ins(holder, concerned) if each.pk not in barred]
        chain = (holder, *stand_ins)
        for person in chain:
            voter = Voter(person, None if person.pk == one.pk else one, is_away=person is not chain[-1])
            before = found.get(person.pk)
            if before is None or (before.on_behalf_of is not None and voter.on_behalf_of is None):
                found[person.pk] = voter
    return sorted(found.values(), key=lambda one: one.is_away)


def _holders(request: AccessRequest) -> dict[int, Person]:
    """Return who holds whose answer at the stage that waits, after all hand-overs."""
    is_read = "turns" in getattr(request, "_prefetched_objects_cache", {})
    turns = request.turns.all() if is_read else request.turns.filter(kind=TurnKind.HANDED_OVER).select_related("to")
    handed = [one for one in turns if one.kind == TurnKind.HANDED_OVER and one.stage == request.stage]
    handed.sort(key=lambda one: one.pk)
    return {one.holder_of_id: one.to for one in handed if one.holder_of_id is not None and one.to is not None}


def _holder(asked: Person, holders: dict[int, Person], barred: Collection[int]) -> Person:
    """Return who holds somebody's answer: they themselves again when the other cannot give it any more."""
    to = holders.get(asked.pk, asked)
    return to if to.is_active and to.pk not in barred else asked


def _named(asked: Approvers) -> list[Person]:
    people = Person.objects.filter(status=Status.ACTIVE)
    if asked.kind == stages.GROUP:
        people = people.filter(memberships__group__ref=asked.group, memberships__group__is_listed=True)
    else:
        people = people.filter(ref__in=asked.people)
    return list(people.order_by("display_name", "pk"))
