"""What the storages of all types share: one query for a page, one for its links, plain dicts out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from scim2_models import NotFoundException

from scim_bridge.adapters import Adapter, Caller
from scim_bridge.projection import Projection
from scim_bridge.storage import waymarks
from scim_bridge.storage.paging import Key, Listing, Order

#: The fields a reader needs. Rows, not model objects: a page of 100 costs half.
FIELDS = ("id", "scim_id", "document", "version", "created_at", "modified_at")


class Shelf:
    """The resources of one type."""

    name: ClassVar[str]
    #: The attribute whose values are other rows, read only when it is asked for.
    link: ClassVar[str]
    fields: ClassVar[tuple[str, ...]] = FIELDS
    #: Whether a trigger moves a stamp for the table, so that way-marks can be kept.
    has_stamp: ClassVar[bool] = True

    def __init__(self, caller: Caller, base_url: str = "") -> None:
        self.caller = caller
        self.base_url = base_url

    def row(self, scim_id: str) -> Any:
        """Return the fields of one resource. Raises NotFoundException."""
        found = canonical_uuid(scim_id)
        row = None
        if found is not None:
            row = self.listed().filter(scim_id=found).values_list(*self.fields, named=True).first()
        if row is None:
            raise self.missing(scim_id)
        return row

    def missing(self, scim_id: str) -> NotFoundException:
        """Return the error that says that there is no such resource."""
        return NotFoundException(detail=f"There is no {self.name.lower()} with the id {scim_id}.")

    def locked(self, scim_id: str) -> Any:
        """Return one resource as a model object, locked until the transaction ends. Raises NotFound."""
        raise NotImplementedError

    def total(self, listing: Listing) -> int:
        """Return how many resources the listing selects. One statement."""
        return self._marks(listing)[1] if self._has_marks(listing) else self._selected(listing).count()

    def page(self, listing: Listing) -> tuple[int, list[Any]]:
        """Return how many resources are selected, and the rows of the page. Counts only when the page does not tell."""
        if listing.count == 0:
            return self.total(listing), []
        if listing.start > waymarks.STEP:
            return self._far_page(listing)
        rows = self._rows(listing, listing.start - 1)
        is_last = listing.count is None or len(rows) < listing.count
        if is_last and (rows or listing.start == 1):
            return listing.start - 1 + len(rows), rows
        return self.total(listing), rows

    def beside(self, listing: Listing, key: Key | None, *, backwards: bool, limit: int) -> list[Any]:
        """Return the rows that follow a key (or the beginning), or precede it (or the end), the nearest first."""
        ordered = listing.order.applied(self._selected(listing), backwards=backwards)
        if key is not None:
            ordered = ordered.filter(listing.order.beyond(key, backwards=backwards))
        return list(ordered.values_list(*self.fields, *listing.order.fields, named=True)[:limit])

    def listed(self) -> QuerySet[Any]:
        """Return every resource that SCIM shows to this connection."""
        raise NotImplementedError

    def condition(self, text: str) -> Any:
        """Return a filter as an expression over the rows. Raises InvalidCondition."""
        raise NotImplementedError

    def order(self, name: str, *, descending: bool) -> Order:
        """Return the order by an attribute. Raises InvalidCondition."""
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

    def _far_page(self, listing: Listing) -> tuple[int, list[Any]]:
        """Return the total and a page far from the beginning: from the last way-mark, or past ids alone."""
        if not self._has_marks(listing):
            total = self.total(listing)
            return total, [] if listing.start > total else self._rows(listing, listing.start - 1)
        marks, total = self._marks(listing)
        after, passed = marks.before(listing.start)
        return total, [] if listing.start > total else self._rows(listing, listing.start - 1 - passed, after=after)

    def _rows(self, listing: Listing, skipped: int, *, after: int = 0) -> list[Any]:
        """Return the rows behind those skipped; what is skipped is read from the index, without its documents."""
        ordered = self._ordered(listing)
        if after:
            ordered = ordered.filter(id__gt=after)
        page = ordered[skipped:] if listing.count is None else ordered[skipped : skipped + listing.count]
        if skipped:
            chosen = listing.order.annotated(self.listed().filter(id__in=page.values("id")))
            page = listing.order.applied(chosen)
        return list(page.values_list(*self.fields, *listing.order.fields, named=True))

    def _has_marks(self, listing: Listing) -> bool:
        return self.has_stamp and listing.is_plain

    def _marks(self, listing: Listing) -> tuple[waymarks.Marks, int]:
        return waymarks.measured(self._selected(listing))

    def _selected(self, listing: Listing) -> QuerySet[Any]:
        listed = self.listed() if listing.condition is None else self.listed().filter(listing.condition)
        return listing.order.annotated(listed)

    def _ordered(self, listing: Listing) -> QuerySet[Any]:
        return listing.order.applied(self._selected(listing))


def canonical_uuid(text: str) -> UUID | None:
    """Return the id, or None for what cannot be one; ids are compared exactly (RFC 7643 §3.1)."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None
