"""Who may decide a stage of a request now. Computed at the moment it is needed, never stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from django.db.models import QuerySet

from governance.catalog import stages
from governance.catalog.models import ApplicationOwner
from governance.catalog.stages import BY_SECURITY, Approvers, Stage
from governance.identity.models import Person, Status
from governance.identity.queries import security_admins


@dataclass(frozen=True, slots=True)
class Deciders:
    """The owners of some applications and everybody who administers security, read once for many requests.

    Security, groups and named people are only read when they are asked, each once: most requests have an owner or a
    manager.
    """

    owners: dict[int, list[Person]]
    admins: QuerySet[Person]
    _members: dict[Approvers, list[Person]] = field(default_factory=dict)

    def eligible(
        self, stage: Stage, *, person: Person, application_id: int, excluded_ids: Iterable[int]
    ) -> list[Person]:
        """Return the active people who may decide, the first asked first; nobody of `excluded_ids`.

        When nobody is left as asked for, the fallback of the stage decides, and then security, so that a request can
        always be decided.
        """
        excluded = frozenset(excluded_ids)
        for asked in (stage.asked, stage.fallback, BY_SECURITY):
            found = [one for one in self._asked(asked, person, application_id) if one.pk not in excluded]
            if found:
                return found
        return []

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
    return Deciders(owners=owners, admins=security_admins())


def _named(asked: Approvers) -> list[Person]:
    people = Person.objects.filter(status=Status.ACTIVE)
    if asked.kind == stages.GROUP:
        people = people.filter(memberships__group__ref=asked.group, memberships__group__is_listed=True)
    else:
        people = people.filter(ref__in=asked.people)
    return list(people.order_by("display_name", "pk"))
