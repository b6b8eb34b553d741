"""Users: people who are listed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from governance.core.errors import NotFound
from governance.core.statements import rows
from governance.identity.conditions.language import about_people
from governance.identity.conditions.ordering import ordered_by
from governance.identity.conditions.sql import Matching, matching
from governance.identity.conditions.terms import About
from governance.identity.models import Person
from governance.identity.queries import locked_person
from governance.lifecycle import actions as lifecycle
from scim_bridge.adapters import PersonAdapter
from scim_bridge.projection import Projection
from scim_bridge.storage.ownership import naming
from scim_bridge.storage.paging import Order
from scim_bridge.storage.shelf import Shelf, canonical_uuid


class Users(Shelf):
    """Reads and writes users; every write is a lifecycle action."""

    name = "User"
    link = "groups"

    def listed(self) -> QuerySet[Person]:
        """Return every listed person but those of other connections; who left stays, inactive users are readable."""
        people = Person.objects.filter(is_listed=True)
        return people.exclude(source__in=self.caller.others) if self.caller.others else people

    def condition(self, text: str) -> Matching:
        """Return a filter as an expression over people."""
        return matching(about_people(text), hidden=self.caller.others)

    def order(self, name: str, *, descending: bool) -> Order:
        """Return the order by an attribute of people."""
        return Order(ordered_by(About.PEOPLE, name, descending=descending))

    def adapter(self, row: Any) -> PersonAdapter:
        """Return the adapter of a person."""
        return PersonAdapter(row, base_url=self.base_url, caller=self.caller)

    def view(self, row: Any, links: Sequence[Any]) -> dict[str, Any]:
        """Return a person with their groups."""
        return self.adapter(row).with_groups(links)

    def view_of_new(self, row: Any, projection: Projection) -> dict[str, Any]:
        """Return a person who was just created: in no group, unless they came back, which is a later version."""
        return projection.apply(self.view(row, ())) if row.version == 1 else super().view_of_new(row, projection)

    def links(self, ids: Collection[int], projection: Projection) -> Mapping[int, list[tuple[UUID, str]]]:
        """Return the groups of these people."""
        found: defaultdict[int, list[tuple[UUID, str]]] = defaultdict(list)
        sql, wanted = (_GROUPS_OF_ONE, next(iter(ids))) if len(ids) == 1 else (_GROUPS, list(ids))
        for person_id, group_id, name in rows(sql, [wanted, list(self.caller.others)]):
            found[person_id].append((group_id, name))
        return found

    def locked(self, scim_id: str) -> Person:
        """Return the person, locked until the transaction ends. Raises NotFound."""
        if canonical_uuid(scim_id) is None:
            raise self.missing(scim_id)
        try:
            person = locked_person(scim_id)
        except NotFound as error:
            raise self.missing(scim_id) from error
        if person.source in self.caller.others:
            raise self.missing(scim_id)
        return person

    def write(self, person: Person | None, document: Mapping[str, Any]) -> Person:
        """Create or rewrite a (locked) person from a validated document."""
        adapter = self.adapter(person)
        adapter.from_dict(document)
        with naming(Person, adapter.profile.user_name):
            return adapter.save()

    def create_many(self, documents: Sequence[Mapping[str, Any]]) -> list[Person]:
        """Create users together, set-based. Raises Conflict, Invalid and InvalidValue for what has to be told apart."""
        adapters = [self.adapter(None) for _ in documents]
        for adapter, document in zip(adapters, documents, strict=True):
            adapter.from_dict(document)
        profiles = [adapter.profile for adapter in adapters]
        return lifecycle.join_many(profiles, source=self.caller.source, actor=self.caller.actor)


_GROUPS = """
SELECT link.person_id, grouped.scim_id, grouped.display_name
FROM identity_membership link JOIN identity_group grouped ON grouped.id = link.group_id
WHERE link.person_id = ANY(%s::bigint[]) AND grouped.is_listed AND grouped.source <> ALL(%s::text[]) ORDER BY link.id
"""
# For an array of any length PostgreSQL has no plan that suits all, and makes one each time; for one value it keeps one.
_GROUPS_OF_ONE = _GROUPS.replace("ANY(%s::bigint[])", "%s::bigint")
