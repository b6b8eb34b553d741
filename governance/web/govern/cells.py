"""From the access of a row to what its cells show: the most telling access, and how many more there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from django.utils import timezone

from governance.access.matrix import Access, Column, Question, Row
from governance.web.charts import Cell
from governance.web.clock_words import day, short_length
from governance.web.govern.pages import end_of_day

#: Ink goes to risk: what stands in the cell when there is more than one reason.
TELLING = ("breakglass", "orphan", "drift", "temporary", "standing", "pending", "birthright")
_PLACE = {kind: place for place, kind in enumerate(TELLING)}
#: From here on a temporary access turns amber.
ENDS_SOON = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row as the template wants it."""

    name: str
    title: str
    href: str
    is_unowned: bool
    cells: list[Cell | None]


def row_of(row: Row, columns: Mapping[int, Column], question: Question) -> ShownRow:
    """Return the row with a cell, or nothing, for each column."""
    title = row.title
    if row.left_at:
        title = f"Left {day(timezone.localtime(row.left_at).date(), timezone.localtime(question.at).date())}"
    is_unowned = bool(row.account_ids)
    href = f"/people/{row.ref}/" if row.ref else f"/orphans/?q={quote(row.name)}"
    cells = [
        cell_of(found, column, _address(row, column, question), question.at)
        if (found := row.access.get(column.id))
        else None
        for column in columns.values()
    ]
    return ShownRow(row.name, title, href, is_unowned, cells)


def cell_of(found: list[Access], column: Column, href: str, at: datetime) -> Cell:
    """Return the cell for what somebody has in one application."""
    most = min(found, key=_telling)
    others = {one.role for one in found} - {most.role}
    left = most.ends_at - at if most.ends_at else None
    is_timed = left is not None and most.kind in ("temporary", "breakglass")
    return Cell(
        href=href,
        application=column.name,
        kind=most.kind,
        role=most.role,
        text=short_length(left) if is_timed and left is not None else most.role,
        is_privileged=any(one.is_privileged for one in found if one.kind != "pending"),
        is_ending=is_timed and left is not None and left < ENDS_SOON,
        share=_share(most, at) if is_timed else None,
        more=len(others),
    )


def _telling(access: Access) -> tuple[int, bool, int, str]:
    return _PLACE[access.kind], not access.is_privileged, -access.risk, access.role


def _share(access: Access, at: datetime) -> float | None:
    if access.ends_at is None:
        return None
    whole = access.ends_at - access.starts_at
    return (access.ends_at - at) / whole if whole else 0.0


def _address(row: Row, column: Column, question: Question) -> str:
    account = row.account_ids.get(column.id)
    place = f"/orphans/{account}/" if account is not None else f"/matrix/{row.ref}/{column.slug}/"
    return f"{place}?at={_instant(question.at)}" if question.is_past else place


def _instant(at: datetime) -> str:
    """Return an instant as an address says it in the reader's zone: a day for its end."""
    local = timezone.localtime(at)
    return f"{local:%Y-%m-%d}" if at == end_of_day(local.date()) else f"{local:%Y-%m-%dT%H:%M:%S}"
