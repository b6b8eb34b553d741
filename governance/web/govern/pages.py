"""What the pages here have in common: which part to render, paging by key, days in the reader's zone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Generic, TypeVar

from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils import timezone

from governance.core.errors import Invalid

Row = TypeVar("Row", bound=Model)

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Slice(Generic[Row]):
    """Some rows in order; `back` and `next` are the primary keys to continue before and after, or None."""

    rows: Sequence[Row]
    back: int | None
    next: int | None


def is_htmx(request: HttpRequest) -> bool:
    """Tell whether htmx asked for a part of the page."""
    return request.headers.get("HX-Request") == "true"


def show(
    request: HttpRequest, template: str, part: str, context: Mapping[str, Any], *, status: int = 200
) -> HttpResponse:
    """Render the page, or only its named part when htmx asked."""
    name = f"{template}#{part}" if is_htmx(request) else template
    return render(request, name, dict(context), status=status)


def go(request: HttpRequest, name: str, *args: Any) -> HttpResponse:
    """Go to another page as a whole, also when htmx asked."""
    if is_htmx(request):
        return HttpResponse(status=204, headers={"HX-Redirect": resolve_url(name, *args)})
    return redirect(name, *args)


def sliced(rows: QuerySet[Row], key: str, data: Mapping[str, str], *, descending: bool = False) -> Slice[Row]:
    """Return one page of rows ordered by `key` and primary key. `data` is the query string (`after`, `before`).

    Paging by key: rows that come or go meanwhile move nothing that is on another page.
    """
    after, before = _number(data.get("after")), _number(data.get("before"))
    backwards = before is not None and after is None
    edge = rows.filter(pk=before if backwards else after).values_list(key, "pk").first() if (after or before) else None
    goes_down = descending != backwards
    found = rows if edge is None else rows.filter(_beyond(key, edge, goes_down=goes_down))
    sign = "-" if goes_down else ""
    read = list(found.order_by(f"{sign}{key}", f"{sign}pk")[: PAGE_SIZE + 1])
    has_more, read = len(read) > PAGE_SIZE, read[:PAGE_SIZE]
    if backwards:
        read.reverse()
    first, last = (read[0].pk, read[-1].pk) if read else (None, None)
    has_back = has_more if backwards else edge is not None
    return Slice(read, first if has_back else None, last if backwards or has_more else None)


def whole_number(text: str | None, default: int) -> int:
    """Return the number in a query string, or the default for anything else."""
    number = _number(text)
    return default if number is None else number


def end_of_day(day: date) -> datetime:
    """Return the last instant of a day in the reader's zone."""
    return timezone.make_aware(datetime.combine(day + timedelta(days=1), time.min)) - timedelta(microseconds=1)


def start_of_day(day: date) -> datetime:
    """Return the first instant of a day in the reader's zone."""
    return timezone.make_aware(datetime.combine(day, time.min))


def add_errors(form: Any, error: Invalid) -> None:
    """Put the sentences of a refused input at the fields they are about; others stand above the form."""
    for name, sentences in error.fields.items():
        for sentence in sentences:
            form.add_error(name if name in form.fields else None, sentence)


def _beyond(key: str, edge: tuple[Any, ...], *, goes_down: bool) -> Q:
    compare = "lt" if goes_down else "gt"
    value, pk = edge
    return Q(**{f"{key}__{compare}": value}) | Q(**{key: value, f"pk__{compare}": pk})


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None
