"""One search over one type of resource or several: conditions, order, and pages by index or by position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from scim2_models import InvalidCursorException, ResourceType, SearchRequest

from governance.core.errors import Invalid
from governance.identity.conditions.language import InvalidCondition, about_both
from governance.identity.conditions.sql import matching
from governance.identity.conditions.terms import About
from scim_bridge.projection import Projection
from scim_bridge.storage.catalogue import Catalogue
from scim_bridge.storage.paging import BY_ID, SORT_KEY, Key, Listing, Order, Position, trimmed, without_value
from scim_bridge.storage.shelf import Shelf

#: Every primary key lies between these.
_NO_ID, _ANY_ID = 0, 2**63 - 1
#: More than this many rows are not merged to find a page of a sorted search over several types.
MERGED = 10_000


@dataclass(frozen=True, slots=True)
class Found:
    """A page. By position, only the first page says how many there are (RFC 9865 §2 lets the others leave it out)."""

    total: int | None
    views: list[tuple[ResourceType, dict[str, Any]]]
    next: list[Any] | None = None
    previous: list[Any] | None = None


@dataclass(frozen=True, slots=True)
class _Hit:
    """A row and the place of its type among those that are searched."""

    rank: int
    row: Any

    @property
    def place(self) -> tuple[int, int]:
        """Return what orders rows whose sort values are equal."""
        return self.rank, self.row.id

    @property
    def sort_key(self) -> tuple[bool, Any]:
        """Return the sort value so that it can be compared: none comes last."""
        value = getattr(self.row, SORT_KEY, None)
        return value is None, "" if value is None else value


class Search:
    """A search, with its conditions and orders read for every type it covers. Raises InvalidCondition or Invalid."""

    def __init__(
        self, types: Sequence[tuple[ResourceType, Shelf]], text: str | None, request: SearchRequest[Any]
    ) -> None:
        self.types = types
        self.start = request.start_index or 1
        self.count = request.count
        self.descending = request.sort_order == SearchRequest.SortOrder.descending
        self.sort_by = None if request.sort_by is None else str(request.sort_by)
        conditions = _conditions([shelf for _, shelf in types], text)
        orders = {shelf.name: self._order(shelf) for _, shelf in types}
        self.listings = [Listing(conditions[shelf.name], orders[shelf.name]) for _, shelf in types]

    def by_index(self, projection: Projection) -> Found:
        """Return the page that begins with the row at `startIndex`."""
        if self.sort_by is not None and len(self.types) > 1 and self.count != 0:
            return self._merged(projection)
        total, page, left = 0, [], self.count
        for (resource_type, shelf), listing in zip(self.types, self.listings, strict=True):
            part = Listing(listing.condition, listing.order, max(self.start - total, 1), left)
            number, rows = shelf.page(part)
            total += number
            page += [(resource_type, view) for view in shelf.views(rows, projection)]
            left = None if left is None else left - len(rows)
        return Found(total, page)

    def by_cursor(self, projection: Projection, position: Position | None) -> Found:
        """Return the page beside a position, or the first one."""
        if self.count == 0:
            return Found(self._total(), [])
        backwards = position is not None and position.backwards
        limit = _ANY_ID if self.count is None else self.count
        hits, has_more = trimmed(self._beside(position, limit + 1), limit, backwards=backwards)
        has_previous, has_next = (has_more, True) if backwards else (position is not None, has_more)
        return Found(
            self._total() if position is None or not hits else None,
            self._views(hits, projection),
            self._position(hits[-1], backwards=False) if hits and has_next else None,
            self._position(hits[0], backwards=True) if hits and has_previous else None,
        )

    def _merged(self, projection: Projection) -> Found:
        """Return a page of several types sorted together."""
        limit = self.start - 1 + (self.count or 0)
        if self.count is None or limit > MERGED:
            raise Invalid({"startIndex": f"A sorted search over all types reaches {MERGED} results; page by cursor."})
        return Found(self._total(), self._views(self._beside(None, limit)[self.start - 1 :], projection))

    def _beside(self, position: Position | None, limit: int) -> list[_Hit]:
        """Return at most `limit` rows of all types together, from a position on, in the direction it says."""
        backwards = position is not None and position.backwards
        hits = [
            _Hit(rank, row)
            for rank, ((_, shelf), listing) in enumerate(zip(self.types, self.listings, strict=True))
            for row in shelf.beside(listing, self._key(position, rank), backwards=backwards, limit=limit)
        ]
        if len(self.types) > 1:
            hits.sort(key=attrgetter("place"), reverse=backwards)
            hits.sort(key=attrgetter("sort_key"), reverse=self.descending != backwards)
        return hits[:limit]

    def _key(self, position: Position | None, rank: int) -> Key | None:
        """Return the position as a key among rows of one type: all of an earlier type come before a later one."""
        if position is None:
            return None
        there = next((number for number, (each, _) in enumerate(self.types) if each.name == position.type_name), None)
        if there is None:
            raise InvalidCursorException
        key = self.listings[there].order.key_of(position)
        if rank == there:
            return key
        return Key(_ANY_ID if rank < there else _NO_ID, key.value)

    def _position(self, hit: _Hit, *, backwards: bool) -> list[Any]:
        resource_type, _ = self.types[hit.rank]
        key = self.listings[hit.rank].order.key(hit.row)
        return Position.at(str(resource_type.name), key, backwards=backwards).written()

    def _views(self, hits: Sequence[_Hit], projection: Projection) -> list[tuple[ResourceType, dict[str, Any]]]:
        views: dict[tuple[int, int], dict[str, Any]] = {}
        for rank, (_, shelf) in enumerate(self.types):
            rows = [hit.row for hit in hits if hit.rank == rank]
            views |= {(rank, row.id): view for row, view in zip(rows, shelf.views(rows, projection), strict=True)}
        return [(self.types[hit.rank][0], views[hit.place]) for hit in hits]

    def _total(self) -> int:
        pairs = zip(self.types, self.listings, strict=True)
        return sum(shelf.total(listing) for (_, shelf), listing in pairs)

    def _order(self, shelf: Shelf) -> Order:
        """Return the order of one type; one that lacks the attribute has no value to be sorted by."""
        if self.sort_by is None:
            return BY_ID
        try:
            return shelf.order(self.sort_by, descending=self.descending)
        except InvalidCondition as error:
            if len(self.types) > 1:
                return without_value(descending=self.descending)
            raise Invalid({"sortBy": error.sentence}) from error


def _conditions(shelves: Sequence[Shelf], text: str | None) -> Mapping[str, Any]:
    """Return the filter for each type. What one type lacks and another has selects nothing there."""
    if text is None:
        return {shelf.name: None for shelf in shelves}
    if len(shelves) == 1:
        return {shelves[0].name: shelves[0].condition(text)}
    others = [shelf for shelf in shelves if isinstance(shelf, Catalogue)]
    both = about_both(text, *(shelf.model for shelf in others))
    hidden = shelves[0].caller.others
    return {
        "User": matching(both[About.PEOPLE], hidden=hidden),
        "Group": matching(both[About.GROUPS], hidden=hidden),
        **{shelf.name: shelf.condition(text, is_among_others=True) for shelf in others},
    }
