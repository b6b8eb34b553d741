"""What the storages of all types share: one query for a page, one for its links, plain dicts out."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet, TextField
from scim2_models import NotFoundException

from governance.identity.conditions.sql import Matching, Template
from scim_bridge.adapters import Adapter, Caller
from scim_bridge.projection import Projection
from scim_bridge.storage import waymarks
from scim_bridge.storage.compiled import ANY_ID, ANY_UUID, Statement, open_condition, read_document, remembered
from scim_bridge.storage.paging import BY_ID, Key, Listing, Order

#: The fields a reader needs. Rows, not model objects: a page of 100 costs half.
FIELDS = ("id", "scim_id", "document", "version", "created_at", "modified_at")
#: Read as texts: making two instants and a UUID of each row, and texts of them again, costs a third of a page.
_TEXTS = {
    "scim_id": "{scim_id}::text",
    **{
        name: f"to_char({{{name}}} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
        for name in ("created_at", "modified_at")
    },
}


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
        uuid = canonical_uuid(scim_id)
        found = [] if uuid is None else self._read(self._statement("row", self._one), uuid=uuid)
        if not found:
            raise self.missing(scim_id)
        return found[0]

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
        if not _is_by_id(listing):
            beside = self._beside(listing, key, backwards=backwards)
            return list(self._as_fields(beside, listing.order)[:limit])
        condition = listing.condition
        return self._read(
            self._statement(
                ("beside", _shape(condition), key is None, backwards, limit),
                lambda: self._as_texts(self._beside(_opened(listing), key and Key(ANY_ID), backwards=backwards))[
                    :limit
                ],
            ),
            condition,
            id=0 if key is None else key.id,
        )

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

    def view_of_new(self, row: Any, projection: Projection) -> dict[str, Any]:
        """Return a resource that was just created as the client asked for it."""
        return self.views([row], projection)[0]

    def _far_page(self, listing: Listing) -> tuple[int, list[Any]]:
        """Return the total and a page far from the beginning: from the last way-mark, or past ids alone."""
        if not self._has_marks(listing):
            total = self.total(listing)
            return total, [] if listing.start > total else self._rows(listing, listing.start - 1)
        marks, total = self._marks(listing)
        after, passed = marks.before(listing.start)
        return total, [] if listing.start > total else self._rows(listing, listing.start - 1 - passed, after=after)

    def _rows(self, listing: Listing, skipped: int, *, after: int = 0) -> list[Any]:
        """Return the rows behind those skipped."""
        if not _is_by_id(listing):
            return list(self._as_fields(self._page(listing, skipped, after), listing.order))
        name = ("page", _shape(listing.condition), skipped, listing.count, after > 0)

        def make() -> QuerySet[Any]:
            return self._as_texts(self._page(_opened(listing), skipped, ANY_ID if after else 0))

        return self._read(self._statement(name, make), listing.condition, id=after)

    def _one(self) -> QuerySet[Any]:
        return self._as_texts(self.listed().filter(scim_id=ANY_UUID))

    def _as_texts(self, chosen: QuerySet[Any]) -> QuerySet[Any]:
        """Return what a view needs of these rows, in the order of the fields, instants and ids as texts."""
        if self.fields is not FIELDS:
            return chosen.values_list(*self.fields)
        return chosen.values_list(
            *(Template(_TEXTS[name], (), TextField()) if name in _TEXTS else name for name in FIELDS)
        )

    def _as_fields(self, chosen: QuerySet[Any], order: Order) -> QuerySet[Any]:
        return chosen.values_list(*self.fields, *order.fields, named=True)

    def _beside(self, listing: Listing, key: Key | None, *, backwards: bool) -> QuerySet[Any]:
        ordered = listing.order.applied(self._selected(listing), backwards=backwards)
        if key is not None:
            ordered = ordered.filter(listing.order.beyond(key, backwards=backwards))
        return ordered

    def _page(self, listing: Listing, skipped: int, after: int) -> QuerySet[Any]:
        """Return a page behind what is skipped, which is read from the index, without its documents."""
        ordered = self._ordered(listing)
        if after:
            ordered = ordered.filter(id__gt=after)
        page = ordered[skipped:] if listing.count is None else ordered[skipped : skipped + listing.count]
        if skipped:
            chosen = listing.order.annotated(self.listed().filter(id__in=page.values("id")))
            page = listing.order.applied(chosen)
        return page

    def _has_marks(self, listing: Listing) -> bool:
        return self.has_stamp and listing.is_plain

    def _marks(self, listing: Listing) -> tuple[waymarks.Marks, int]:
        whole = remembered(self._name("whole"), lambda: waymarks.WholeList.of(self._selected(listing)))
        return waymarks.measured(whole)

    def _name(self, what: Any) -> tuple[Any, ...]:
        """Return a name for SQL of this shelf: all that `listed` may depend on is in it."""
        caller = self.caller
        return type(self), caller.source, caller.connection_id, caller.others, what

    def _statement(self, what: Any, make: Callable[[], QuerySet[Any]]) -> Statement:
        return remembered(self._name(what), lambda: Statement.of(make()))

    def _read(self, statement: Statement, condition: Any = None, **values: Any) -> list[Any]:
        """Return the rows of a statement as those of the ORM are: with named fields, documents as Python has them."""
        make = row_type(self.fields)
        found = statement.rows(() if condition is None else condition.params, **values)
        if "document" not in self.fields:
            return [make(*each) for each in found]
        place = self.fields.index("document")
        return [make(*each[:place], read_document(each[place]), *each[place + 1 :]) for each in found]

    def _selected(self, listing: Listing) -> QuerySet[Any]:
        listed = self.listed() if listing.condition is None else self.listed().filter(listing.condition)
        return listing.order.annotated(listed)

    def _ordered(self, listing: Listing) -> QuerySet[Any]:
        return listing.order.applied(self._selected(listing))


@cache
def row_type(fields: tuple[str, ...]) -> Callable[..., Any]:
    """Return what makes a row with these fields."""
    return namedtuple("Row", fields)


def _is_by_id(listing: Listing) -> bool:
    """Tell whether the SQL of a listing can be kept: no value of it is part of its order."""
    return listing.order.by is None and isinstance(listing.condition, Matching | None)


def _shape(condition: Any) -> Any:
    return None if condition is None else (condition.template, len(condition.params))


def _opened(listing: Listing) -> Listing:
    condition = listing.condition
    opened = open_condition(condition) if isinstance(condition, Matching) else None
    return Listing(opened, BY_ID, listing.start, listing.count)


def canonical_uuid(text: str) -> UUID | None:
    """Return the id, or None for what cannot be one; ids are compared exactly (RFC 7643 §3.1)."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None
