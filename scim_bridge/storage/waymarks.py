"""Way-marks: where every thousandth row of a whole list is, so that a page far back costs what the first one costs.

`startIndex=90001` counts ninety thousand rows and throws them away, however good the index, and `totalResults` counts
all of them once more. Both follow from where the thousandth, the two thousandth … row is, and that hardly ever
changes: rows are ordered by a primary key that only grows, so what is added comes last. It changes when a row leaves
the list, comes back or changes hands; a trigger of the identity room then moves a stamp, in the same transaction
(`identity_listingstamp`). Each process remembers marks under the stamp they were read with and the very SQL they are
true for, asks for the stamp with each page, and measures again when it moved.

A mark is only set on ground that no longer moves: on rows older than every running transaction by a margin. What lies
behind the last mark is counted. Whatever could be wrong all the same ends with `KEPT_FOR`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from time import monotonic
from typing import Any

from django.db import connection
from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber

from scim_bridge.storage.compiled import ANY_ID, Statement

#: Rows from one mark to the next.
STEP = 1000
#: How much older than every running transaction a row has to be to carry a mark: more than any two clocks differ by.
MARGIN = timedelta(minutes=2)
KEPT_FOR = timedelta(minutes=10)
#: So often at most the same list is measured again because it grew.
MEASURED_EVERY = timedelta(seconds=10)
#: So many lists are remembered: one for each type and each connection that sees less than all.
REMEMBERED = 128

_SETTLED_BEFORE = """
    SELECT LEAST(statement_timestamp(), min(xact_start)) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_xid IS NOT NULL
"""
_STAMP = "SELECT string_agg(stamp::text, ' ' ORDER BY slot) FROM identity_listingstamp WHERE table_name = %(table)s"


@dataclass(frozen=True, slots=True)
class Marks:
    """The primary keys of the rows at the places STEP, 2 STEP, … of a list."""

    stamp: str | None
    ids: tuple[int, ...]
    measured_at: float

    @property
    def last(self) -> int:
        """Return the primary key of the last mark; 0 when there is none."""
        return self.ids[-1] if self.ids else 0

    def before(self, start: int) -> tuple[int, int]:
        """Return the primary key of the last mark before the row at `start`, and how many rows are up to it."""
        number = min(bisect_right(range(STEP, STEP * len(self.ids) + 1, STEP), start - 1), len(self.ids))
        return (self.ids[number - 1], number * STEP) if number else (0, 0)


@dataclass(frozen=True, slots=True)
class WholeList:
    """A whole list, with the SQL that counts what is behind a mark, made once."""

    rows: QuerySet[Any]
    counting: Statement
    sql: str

    @classmethod
    def of(cls, rows: QuerySet[Any]) -> WholeList:
        """Return the list of these rows."""
        behind = Statement.of(rows.filter(id__gt=ANY_ID).order_by().values("id"))
        counting = f"SELECT ({_STAMP}), (SELECT count(*) FROM ({behind.sql}) AS behind)"  # noqa: S608 - Django's SQL
        fixed = {**behind.fixed, "table": rows.model._meta.db_table}
        return cls(rows, Statement(counting, fixed), f"{behind.sql} {sorted(behind.fixed.items())}")


_remembered: OrderedDict[tuple[str, str], Marks] = OrderedDict()


def measured(whole: WholeList) -> tuple[Marks, int]:
    """Return the marks of a whole list, ordered by primary key, and how many rows it has.

    One statement; a second measures the list, when nothing is remembered or what is remembered no longer holds.
    """
    name = (connection.settings_dict["NAME"], whole.sql)
    known = _remembered.get(name) or Marks(None, (), 0.0)
    stamp, behind = _counted(whole, known)
    if _is_due(known, stamp, behind):
        known = Marks(stamp, _measure(whole.rows), monotonic())
        _remember(name, known)
        stamp, behind = _counted(whole, known)
    return known, len(known.ids) * STEP + behind


def forget() -> None:
    """Forget every mark."""
    _remembered.clear()


def _is_due(known: Marks, stamp: str | None, behind: int) -> bool:
    age = monotonic() - known.measured_at
    if known.ids and (stamp != known.stamp or age > KEPT_FOR.total_seconds()):
        return True
    return behind >= 2 * STEP and age > MEASURED_EVERY.total_seconds()


def _counted(whole: WholeList, known: Marks) -> tuple[str | None, int]:
    """Return the stamp now, and how many rows are behind the last mark."""
    stamp, behind = whole.counting.rows(id=known.last)[0]
    return stamp, behind


def _measure(rows: QuerySet[Any]) -> tuple[int, ...]:
    numbered = rows.order_by("id").annotate(place=Window(RowNumber(), order_by="id"))
    marks = numbered.annotate(nth=F("place") % STEP).filter(nth=0).values_list("id", "created_at")
    settled = _settled_before() - MARGIN
    return tuple(id_ for id_, _ in takewhile(lambda mark: mark[1] < settled, marks))


def _settled_before() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute(_SETTLED_BEFORE)
        found: datetime = cursor.fetchone()[0]
    return found


def _remember(name: tuple[str, str], marks: Marks) -> None:
    _remembered[name] = marks
    _remembered.move_to_end(name)
    while len(_remembered) > REMEMBERED:
        _remembered.popitem(last=False)
