"""How lists are asked for and what a request may say: unknown words are refused by name, pages go by key."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db.models import Model, QuerySet
from django.utils.dateparse import parse_datetime
from rest_framework import serializers
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.doorway import DoorView
from governance.core.errors import Invalid

PAGING = frozenset({"cursor", "limit", "format"})


class KeyPages(CursorPagination):
    """Pages by key: a page costs the same wherever it is, and rows that come or go shift nothing."""

    page_size = 50
    max_page_size = 200
    page_size_query_param = "limit"
    ordering = "id"
    invalid_cursor_message = "This cursor leads nowhere. Start again without one."

    def get_paginated_response(self, data: Any) -> Response:
        """Return a page with where the next one is."""
        links = {"next": self.get_next_link(), "previous": self.get_previous_link()}
        return Response(OrderedDict(results=data, **links))


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields it does not know, by name."""

    def to_internal_value(self, data: Any) -> Any:
        """Return what was sent, checked. Raises ValidationError naming each field."""
        if isinstance(data, Mapping):
            unknown = {name: ["There is no such field."] for name in data if name not in self.fields}
            if unknown:
                raise serializers.ValidationError(unknown)
        return super().to_internal_value(data)


class ListView(DoorView):
    """A view that answers with pages of rows."""

    #: The words a request may narrow the list by.
    filters: frozenset[str] = frozenset()
    ordering = "id"
    shape: type[serializers.Serializer[Any]]

    def page(self, rows: QuerySet[Any, Any]) -> Response:
        """Return one page of rows, in their stable order."""
        check_words(self.request, self.filters)
        pages = KeyPages()
        pages.ordering = (self.ordering, "id") if self.ordering.lstrip("-") != "id" else (self.ordering,)  # type: ignore[assignment]
        found = pages.paginate_queryset(rows, self.request, view=self)
        return pages.get_paginated_response(self.shape(found, many=True, context={"view": self}).data)


def check_words(request: Request, known: frozenset[str]) -> None:
    """Refuse words in the query that mean nothing here. Raises Invalid naming each."""
    unknown = set(request.query_params) - known - PAGING
    if unknown:
        raise Invalid(dict.fromkeys(sorted(unknown), "This word means nothing here."))
    limit = request.query_params.get("limit")
    if limit is not None and not (limit.isdecimal() and 1 <= int(limit) <= KeyPages.max_page_size):
        raise Invalid({"limit": f"A whole number from 1 to {KeyPages.max_page_size}."})


def instant(request: Request, name: str, at: datetime) -> datetime | None:
    """Return the instant a query names: RFC 3339, or a day, which means its end in `zone` (default UTC).

    Today's end is `at`. Raises Invalid for what cannot be read and for the future.
    """
    text = request.query_params.get(name)
    if text is None:
        return None
    found = _day_end(text, request.query_params.get("zone", "UTC"), at) if len(text) == 10 else _moment(text)
    if found is None:
        raise Invalid({name: "Write an instant like 2026-03-03T12:00:00Z or a day like 2026-03-03."})
    if found > at:
        raise Invalid({name: "This lies in the future."})
    return found


def number(request: Request, name: str) -> int | None:
    """Return the whole number a query names. Raises Invalid."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 18:
        raise Invalid({name: "A whole number."})
    return int(text)


def choice(request: Request, name: str, values: list[str]) -> str | None:
    """Return the choice a query names. Raises Invalid."""
    text = request.query_params.get(name)
    if text is not None and text not in values:
        raise Invalid({name: f"Choose one of {', '.join(values)}."})
    return text


def found_or_invalid(rows: QuerySet[Any, Any], name: str, **lookup: Any) -> Model:
    """Return the row a field names. Raises Invalid naming the field."""
    row: Model | None = rows.filter(**lookup).first()
    if row is None:
        raise Invalid({name: f"There is no {name} by that name."})
    return row


def _moment(text: str) -> datetime | None:
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def _day_end(text: str, zone: str, at: datetime) -> datetime | None:
    try:
        day = date.fromisoformat(text)
        tz = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, IsADirectoryError) as error:
        raise Invalid({"zone": "There is no such time zone. Write it like Europe/Berlin."}) from error
    except ValueError:
        return None
    if day == at.astimezone(tz).date():
        return at
    return datetime.combine(day + timedelta(days=1), datetime.min.time(), tz).astimezone(UTC)
