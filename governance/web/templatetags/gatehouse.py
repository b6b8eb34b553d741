"""Filters and tags of our pages. Built in: templates need no `{% load %}`."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path

from django import template
from django.conf import settings
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from governance.core import clock
from governance.policy.durations import spoken
from governance.web import charts, clock_words
from governance.web.kinds import KINDS

register = template.Library()

RISKS = {1: "Low", 2: "Medium", 3: "High", 4: "Critical"}
OPERATION_ICONS = {"verified": "check-check", "failed": "circle-alert", "delivered": "send"}


@register.filter
def kind_word(kind: str) -> str:
    """Return the word of a kind of access."""
    return KINDS[kind][0]


@register.filter
def kind_icon(kind: str) -> str:
    """Return the icon of a kind of access."""
    return KINDS[kind][1]


@register.filter
def kind_sentence(kind: str) -> str:
    """Return what a kind of access means."""
    return KINDS[kind][2]


@register.filter
def risk_word(level: int | str) -> str:
    """Return the word of a level of risk, 1 to 4."""
    return RISKS[int(level)]


@register.filter
def operation_icon(state: str) -> str:
    """Return the icon for the state of an order to an application; only `verified` gets the double check."""
    return OPERATION_ICONS.get(state, "circle-dashed")


@register.filter
def initials(name: str) -> str:
    """Return up to two letters for an avatar. A name without letters gives a dot."""
    words = name.replace("-", " ").replace(".", " ").split()
    letters = [next((sign for sign in word if sign.isalnum()), "") for word in words]
    return "".join(letters)[:2].upper() or "·"


@register.filter
def hue(name: str) -> int:
    """Return the number (1 to 12) of the colour class for a name; the same name has the same colour everywhere."""
    return sum(map(ord, name)) % 12 + 1


@register.filter
def length_words(span: timedelta | None) -> str:
    """Return a length in words: `4 hours`, `no end`."""
    return spoken(span)


@register.filter
def is_open(at: datetime) -> bool:
    """Tell whether an end means that there is none."""
    return clock.is_open_ended(at)


@register.filter
def short_length(span: timedelta) -> str:
    """Return a length for narrow places: `2 h 12`."""
    return clock_words.short_length(span)


@register.filter
def share(left: timedelta, whole: timedelta) -> str:
    """Return how much of `whole` is left, as a width from 0 to 36 for the time bar."""
    part = left / whole if whole else 0
    return f"{36 * min(max(part, 0), 1):.1f}"


@register.filter
def money(amount: Decimal | None) -> str:
    """Return an amount with thousands separated and without cents: `$ 1,204`."""
    return "" if amount is None else f"$ {amount:,.0f}"


@register.simple_tag
def clock_time(at: datetime | None) -> SafeString | str:
    """Return `<time>` with `today at 16:24` in the reader's zone; zone and ISO form stand in the title."""
    return "" if at is None else _time(at, clock_words.moment(at, clock.now()))


@register.simple_tag
def clock_day(at: datetime | None) -> SafeString | str:
    """Return `<time>` with the day alone: `Mon 23 Nov`."""
    if at is None:
        return ""
    today = timezone.localtime(clock.now()).date()
    return _time(at, clock_words.day(timezone.localtime(at).date(), today))


@register.simple_tag
def clock_ago(at: datetime | None) -> SafeString | str:
    """Return `<time>` with `6 min ago`; the clock time stands in the title."""
    return "" if at is None else _time(at, clock_words.ago(at, clock.now()))


@register.simple_tag
def time_left(until: datetime) -> SafeString:
    """Return `<time>` with `2 h 12`, which the script keeps current."""
    return format_html(
        '<time datetime="{0}" data-until="{0}" title="{1}">{2}</time>',
        until.isoformat(),
        clock_words.exact(until),
        clock_words.short_length(until - clock.now()),
    )


@register.simple_tag
def brand(icon: str) -> str:
    """Return the address of an application's mark, or nothing: then the tile shows two letters."""
    return static(f"brands/{icon}.svg") if icon in known_brands() else ""


@cache
def known_brands() -> frozenset[str]:
    """Return the names of the marks we ship. Read once: they come with the code."""
    return frozenset(path.stem for path in (Path(settings.BASE_DIR) / "static" / "brands").glob("*.svg"))


def _time(at: datetime, text: str) -> SafeString:
    if clock.is_open_ended(at):
        return format_html("{}", text)
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), clock_words.exact(at), text)


@register.simple_tag
def peer_dots(have: int, size: int) -> SafeString:
    """Return one dot for each peer, filled for those with the same role."""
    return charts.dots(have, size)


@register.simple_tag
def matrix_row(cells: list[charts.Cell | None]) -> SafeString:
    """Return the cells of one matrix row: the hot loop, in Python."""
    return charts.row_cells(cells, static("icons.svg"))
