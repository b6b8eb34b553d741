"""Groups and their members. A change of members is set-based: its cost does not grow with the group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from scim2_models import InvalidValueException

from governance.core.errors import NotFound
from governance.core.statements import rows
from governance.identity.conditions.language import about_groups
from governance.identity.conditions.ordering import ordered_by
from governance.identity.conditions.sql import Matching, matching
from governance.identity.conditions.terms import About
from governance.identity.models import Group, Membership
from governance.identity.queries import locked_group, person_ids_by_scim_id
from governance.lifecycle import actions as lifecycle
from scim_bridge.adapters import GroupAdapter
from scim_bridge.members import MemberChange
from scim_bridge.projection import Projection
from scim_bridge.storage.ownership import naming
from scim_bridge.storage.paging import Order
from scim_bridge.storage.shelf import Shelf, canonical_uuid


class Groups(Shelf):
    """Reads and writes groups; every write is a lifecycle action."""

    name = "Group"
    link = "members"

    def listed(self) -> QuerySet[Group]:
        """Return every group the directory has, but those of other connections."""
        groups = Group.objects.filter(is_listed=True)
        return groups.exclude(source__in=self.caller.others) if self.caller.others else groups

    def condition(self, text: str) -> Matching:
        """Return a filter as an expression over groups."""
        return matching(about_groups(text), hidden=self.caller.others)

    def order(self, name: str, *, descending: bool) -> Order:
        """Return the order by an attribute of groups."""
        return Order(ordered_by(About.GROUPS, name, descending=descending))

    def adapter(self, row: Any) -> GroupAdapter:
        """Return the adapter of a group."""
        return GroupAdapter(row, base_url=self.base_url, caller=self.caller)

    def view(self, row: Any, links: Sequence[Any]) -> dict[str, Any]:
        """Return a group with its members."""
        return self.adapter(row).with_members(links)

    def links(self, ids: Collection[int], projection: Projection) -> Mapping[int, list[tuple[UUID, str | None]]]:
        """Return the members of these groups; their names only when asked for, which costs more to read."""
        found: defaultdict[int, list[tuple[UUID, str | None]]] = defaultdict(list)
        with_names = projection.asks_for("members", "display")
        sql = _NAMED_MEMBERS if with_names else _MEMBERS
        for group_id, person_id, name in rows(sql, [list(ids), list(self.caller.others)]):
            found[group_id].append((person_id, name))
        return found

    def locked(self, scim_id: str) -> Group:
        """Return the group, locked until the transaction ends. Raises NotFound."""
        if canonical_uuid(scim_id) is None:
            raise self.missing(scim_id)
        try:
            group = locked_group(scim_id)
        except NotFound as error:
            raise self.missing(scim_id) from error
        if group.source in self.caller.others:
            raise self.missing(scim_id)
        return group

    def write(self, group: Group | None, document: Mapping[str, Any], members: Iterable[str] | None) -> Group:
        """Create or rewrite a (locked) group from a validated document; without `members` they stay."""
        adapter = self.adapter(group)
        adapter.from_dict(document)
        chosen = None if members is None else [*self._everybody(members), *self._hidden_members(group)]
        with naming(Group, str(adapter.document["displayName"])):
            return adapter.save(member_ids=chosen)

    def change(self, group: Group, change: MemberChange) -> None:
        """Put people into and take people out of a locked group.

        Raises InvalidValueException when somebody to add is unknown; somebody to remove who is not there is fine.
        """
        known = self._known([*change.add, *change.remove])
        entering = _all_known(change.add, known)
        if change.empties:
            adapter = self.adapter(group)
            adapter.from_dict(group.document)
            adapter.save(member_ids=[*entering, *self._hidden_members(group)])
            return
        leaving = [known[id_] for id_ in change.remove if id_ in known]
        self.adapter(group).claim()
        lifecycle.change_members(group, add=entering, remove=leaving, actor=self.caller.actor)

    def _everybody(self, ids: Iterable[str]) -> list[int]:
        wanted = list(ids)
        return _all_known(wanted, self._known(wanted))

    def _known(self, ids: Iterable[str]) -> dict[str, int]:
        """Return the primary keys of those that this connection sees. One statement, or none for nobody."""
        uuids = {uuid for id_ in ids if (uuid := canonical_uuid(id_)) is not None}
        if not uuids:
            return {}
        found = person_ids_by_scim_id(uuids, not_from=self.caller.others)
        return {str(uuid): key for uuid, key in found.items()}

    def _hidden_members(self, group: Group | None) -> list[int]:
        """Return the members of other connections: who cannot see them does not take them out by not naming them."""
        if group is None or not self.caller.others:
            return []
        hidden = Membership.objects.filter(group=group, person__source__in=self.caller.others)
        return list(hidden.values_list("person_id", flat=True))


def _all_known(ids: Iterable[str], known: Mapping[str, int]) -> list[int]:
    unknown = sorted(id_ for id_ in ids if id_ not in known)
    if unknown:
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        raise InvalidValueException(detail=f"members: there is no user with the id {', '.join(unknown[:3])}{more}.")
    return [known[id_] for id_ in ids]


_MEMBERS = """
SELECT link.group_id, person.scim_id, NULL
FROM identity_membership link JOIN identity_person person ON person.id = link.person_id
WHERE link.group_id = ANY(%s::bigint[]) AND person.is_listed AND person.source <> ALL(%s::text[]) ORDER BY link.id
"""
_NAMED_MEMBERS = _MEMBERS.replace("NULL", "person.display_name")
