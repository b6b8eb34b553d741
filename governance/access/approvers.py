"""Who may decide a stage of a request now. Computed at the moment it is needed, never stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db.models import QuerySet

from governance.catalog.models import ApplicationOwner, ApproverKind
from governance.identity.models import Person, Status
from governance.identity.queries import security_admins


@dataclass(frozen=True, slots=True)
class Deciders:
    """The owners of some applications and everybody who administers security, read once for many requests.

    Security is only read when it is asked, for most requests have an owner or a manager.
    """

    owners: dict[int, list[Person]]
    admins: QuerySet[Person]

    def eligible(self, kind: str, *, person: Person, application_id: int, excluded_ids: Iterable[int]) -> list[Person]:
        """Return the active people who may decide, the first asked first; nobody of `excluded_ids`.

        When nobody is left as asked for, security decides, so that a request can always be decided.
        """
        excluded = frozenset(excluded_ids)
        asked = [one for one in self._asked(kind, person, application_id) if one.pk not in excluded]
        return asked or [one for one in self.admins if one.pk not in excluded]

    def _asked(self, kind: str, person: Person, application_id: int) -> list[Person]:
        if kind == ApproverKind.MANAGER:
            return [person.manager] if person.manager is not None and person.manager.is_active else []
        return self.owners.get(application_id, []) if kind == ApproverKind.OWNER else list(self.admins)


def deciders(application_ids: Collection[int]) -> Deciders:
    """Return who decides about these applications. At most two statements, however many."""
    owners: dict[int, list[Person]] = defaultdict(list)
    ownerships = ApplicationOwner.objects.filter(
        application_id__in=application_ids, person__status=Status.ACTIVE
    ).select_related("person")
    for ownership in ownerships.order_by("since", "id"):
        owners[ownership.application_id].append(ownership.person)
    return Deciders(owners=owners, admins=security_admins())
