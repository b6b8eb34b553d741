"""How lists are asked for and what a request may say: unknown words are refused by name, pages go by key."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import DataError
from django.db.models import QuerySet
from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.doorway import DoorView
from governance.api.words import MOST_ROWS
from governance.core.errors import Invalid


class KeyPages(CursorPagination):
    """Pages by key: a page costs the same wherever it is, and rows that come or go shift nothing."""

    page_size = 50
    max_page_size = MOST_ROWS
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


def checked(shape: type[StrictSerializer], request: Request) -> dict[str, Any]:
    """Return what the body says. Raises ValidationError naming each field."""
    said = shape(data=request.data)
    said.is_valid(raise_exception=True)
    return dict(said.validated_data)


class ListView(DoorView):
    """A view that answers with pages of rows."""

    ordering = "id"
    shape: type[serializers.Serializer[Any]]

    def page(self, rows: QuerySet[Any, Any]) -> Response:
        """Return one page of rows, in their stable order."""
        pages = KeyPages()
        pages.ordering = (self.ordering, "id") if self.ordering.lstrip("-") != "id" else (self.ordering,)  # type: ignore[assignment]
        try:
            found = pages.paginate_queryset(rows, self.request, view=self)
        except (ValueError, DataError) as error:
            raise Invalid({"cursor": str(KeyPages.invalid_cursor_message)}) from error
        return pages.get_paginated_response(self.shape(found, many=True, context={"view": self}).data)


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


#: How every list is paged.
PAGE_WORDS = (
    OpenApiParameter("limit", int, description=f"Rows of a page, 1 to {MOST_ROWS}; default 50"),
    OpenApiParameter("cursor", str, description="Where a page begins, as `next` and `previous` say"),
)


def page_of(shape: type[serializers.Serializer[Any]]) -> serializers.Serializer[Any]:
    """Return the shape of a page of these, for the schema."""
    link = {"allow_null": True, "help_text": "Null: there is none"}
    return inline_serializer(
        f"{shape.__name__.removesuffix('Shape')}Page",
        {
            "results": shape(many=True),
            "next": serializers.URLField(**link),  # type: ignore[arg-type]
            "previous": serializers.URLField(**link),  # type: ignore[arg-type]
        },
    )


def choice(request: Request, name: str, values: list[str]) -> str | None:
    """Return the choice a query names. Raises Invalid."""
    text = request.query_params.get(name)
    if text is not None and text not in values:
        raise Invalid({name: f"Choose one of {', '.join(values)}."})
    return text


def reference(request: Request, name: str) -> uuid.UUID | None:
    """Return the reference a query names. Raises Invalid."""
    text = request.query_params.get(name)
    try:
        return None if text is None else uuid.UUID(text)
    except ValueError as error:
        raise Invalid({name: "Write a reference, as other answers give it."}) from error


def _moment(text: str) -> datetime | None:
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def _day_end(text: str, zone: str, at: datetime) -> datetime | None:
    try:
        tz = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, OSError, ValueError) as error:
        raise Invalid({"zone": "There is no such time zone. Write it like Europe/Berlin."}) from error
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    today = at.astimezone(tz).date()
    if day >= today:
        return at if day == today else at + timedelta(days=1)
    return datetime.combine(day + timedelta(days=1), datetime.min.time(), tz).astimezone(UTC)
