"""What the storages of users and groups share: one query for a page, one for its links, plain dicts out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.expressions import OrderBy
from scim2_models import NotFoundException

from governance.identity.conditions.sql import matching
from governance.identity.conditions.terms import About, Condition
from scim_bridge.adapters import Adapter, Caller
from scim_bridge.projection import Projection

#: The fields a reader needs. Rows, not model objects: a page of 100 costs half.
FIELDS = ("id", "scim_id", "document", "version", "created_at", "modified_at")


@dataclass(frozen=True, slots=True)
class Listing:
    """Which part of which selection, in which order. `count` None is all, 0 only the total."""

    condition: Condition | None = None
    order: Sequence[OrderBy] = field(default_factory=tuple)
    start: int = 1
    count: int | None = None


class Shelf:
    """The resources of one type."""

    name: ClassVar[str]
    about: ClassVar[About]
    #: The attribute whose values are other rows, read only when it is asked for.
    link: ClassVar[str]

    def __init__(self, caller: Caller, base_url: str = "") -> None:
        self.caller = caller
        self.base_url = base_url

    def row(self, scim_id: str) -> Any:
        """Return the fields of one resource. Raises NotFoundException."""
        found = canonical_uuid(scim_id)
        row = None
        if found is not None:
            row = self.listed().filter(scim_id=found).values_list(*FIELDS, named=True).first()
        if row is None:
            raise NotFoundException(detail=f"There is no {self.name.lower()} with the id {scim_id}.")
        return row

    def locked(self, scim_id: str) -> Any:
        """Return one resource as a model object, locked until the transaction ends. Raises NotFound."""
        raise NotImplementedError

    def total(self, listing: Listing) -> int:
        """Return how many resources the listing selects."""
        return self._selected(listing).count()

    def page(self, listing: Listing, projection: Projection) -> tuple[int, list[dict[str, Any]]]:
        """Return how many resources are selected, and those of the page. Counts only when the page does not tell."""
        if listing.count == 0:
            return self.total(listing), []
        rows = self._rows(listing)
        is_last = listing.count is None or len(rows) < listing.count
        if is_last and (rows or listing.start == 1):
            return listing.start - 1 + len(rows), self.views(rows, projection)
        return self.total(listing), self.views(rows, projection)

    def listed(self) -> QuerySet[Any]:
        """Return every resource that SCIM shows."""
        raise NotImplementedError

    def view(self, row: Any, links: Sequence[Any]) -> dict[str, Any]:
        """Return one resource with its links."""
        raise NotImplementedError

    def links(self, ids: Collection[int], projection: Projection) -> Mapping[int, list[Any]]:
        """Return the links of these rows, by primary key. One statement."""
        raise NotImplementedError

    def adapter(self, row: Any) -> Adapter:
        """Return the adapter of a row, or of None for one that is to be."""
        raise NotImplementedError

    def views(self, rows: Sequence[Any], projection: Projection) -> list[dict[str, Any]]:
        """Return the resources of these rows as the client asked for them."""
        if not projection.keeps(self.link):
            return [projection.apply(self.adapter(row).to_dict()) for row in rows]
        links = self.links([row.id for row in rows], projection) if rows else {}
        return [projection.apply(self.view(row, links.get(row.id, ()))) for row in rows]

    def _selected(self, listing: Listing) -> QuerySet[Any]:
        listed = self.listed()
        return listed if listing.condition is None else listed.filter(matching(listing.condition))

    def _rows(self, listing: Listing) -> list[Any]:
        ordered = self._selected(listing).order_by(*listing.order, "created_at", "id")
        start = listing.start - 1
        stop = None if listing.count is None else start + listing.count
        return list(ordered.values_list(*FIELDS, named=True)[start:stop])


def canonical_uuid(text: str) -> UUID | None:
    """Return the id, or None for what cannot be one; ids are compared exactly (RFC 7643 §3.1)."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None
