"""A file of people (CSV) read into rows, every problem named by its row, its field and the reason. Touches no table.

The format is in docs/operations.md.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from governance.identity.profiles import LIMITS, key

#: The columns a file may have. Those that are missing are not spoken of; `manager` is a user name or employee number.
COLUMNS = (
    "employee_number",
    "user_name",
    "display_name",
    "given_name",
    "family_name",
    "email",
    "title",
    "department",
    "person_type",
    "time_zone",
    "manager",
    "status",
    "leave_date",
    "leave_zone",
)
ACTIVE_WORDS, LEFT_WORDS = frozenset({"", "active"}), frozenset({"left", "inactive", "terminated"})
LARGEST_BYTES = 50_000_000
MOST_ROWS = 200_000
#: So many problems are told; who has more has the wrong file.
MOST_PROBLEMS = 200
_MAIL = re.compile(r"[^@\s]+@[^@\s]+")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong. `row` is the line as a spreadsheet counts it, the head being 1; 0 is the file itself."""

    row: int
    field: str
    reason: str

    def __str__(self) -> str:
        where = f"Row {self.row}" if self.row else "The file"
        return f"{where}, {self.field}: {self.reason}" if self.field else f"{where}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Row:
    """What a file says about one person: texts by field, only those of its columns."""

    number: int
    said: dict[str, str]
    has_left: bool
    #: The last day; they leave when it is over.
    leave_date: date | None
    #: Where it is over, when the file says so.
    leave_zone: str = ""

    @property
    def user_name(self) -> str:
        """Return the user name, or nothing."""
        return self.said.get("user_name", "")

    @property
    def employee_number(self) -> str:
        """Return the employee number, or nothing."""
        return self.said.get("employee_number", "")


@dataclass(frozen=True, slots=True)
class Content:
    """What a file says, as far as it can be read."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...] = field(default=())


def read(raw: bytes) -> Content:
    """Return what a file says, and everything that is wrong with it."""
    if len(raw) > LARGEST_BYTES:
        return _nothing(f"At most {LARGEST_BYTES // 1_000_000} MB.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _nothing(f"It is not UTF-8: byte {error.start} cannot be read. Save it as “CSV UTF-8”.")
    if "\x00" in text:
        return _nothing("It holds the character NUL. Is it a spreadsheet? Save it as “CSV UTF-8”.")
    head = text.partition("\n")[0]
    try:
        lines = list(csv.reader(io.StringIO(text), delimiter=";" if head.count(";") > head.count(",") else ","))
    except csv.Error as error:
        return _nothing(f"It is not CSV: {error}.")
    if not lines:
        return _nothing("It is empty. A file without people has at least the names of its columns.")
    columns = tuple(name.strip().lower().replace(" ", "_").replace("-", "_") for name in lines[0])
    if problems := tuple(_of_columns(columns)):
        return Content(columns, (), problems)
    return _rows(columns, lines[1:])


def end_of(day: date, zones: Iterable[str]) -> datetime:
    """Return the instant at which a last day is over, in the first of these zones that there is, else in UTC."""
    name = next((zone for zone in zones if zone in _zones()), "UTC")
    return datetime.combine(day + timedelta(days=1), time.min, tzinfo=ZoneInfo(name)).astimezone(UTC)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _rows(columns: tuple[str, ...], lines: Sequence[Sequence[str]]) -> Content:
    if len(lines) > MOST_ROWS:
        return Content(columns, (), (Problem(0, "", f"At most {MOST_ROWS:,} rows; this has {len(lines):,}."),))
    rows: list[Row] = []
    problems: list[Problem] = []
    for number, cells in enumerate(lines, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(columns):
            problems.append(Problem(number, "", f"It has {len(cells)} cells and the head has {len(columns)}."))
            continue
        said = {name: cell.strip() for name, cell in zip(columns, cells, strict=True)}
        row, wrong = _row(number, said)
        problems += wrong
        if row is not None:
            rows.append(row)
    problems += _named_twice(rows)
    return Content(columns, tuple(rows), tuple(sorted(problems, key=lambda one: one.row)))


def _row(number: int, said: dict[str, str]) -> tuple[Row | None, list[Problem]]:
    wrong = [Problem(number, name, reason) for name, reason in _of_values(said)]
    status = said.pop("status", "").lower()
    if status not in ACTIVE_WORDS | LEFT_WORDS:
        wrong.append(Problem(number, "status", f"“{status[:40]}” is neither active nor left."))
    leave_date = _date(said.pop("leave_date", ""))
    if isinstance(leave_date, str):
        wrong.append(Problem(number, "leave_date", leave_date))
        leave_date = None
    leave_zone = said.pop("leave_zone", "")
    if leave_zone and leave_zone not in _zones():
        wrong.append(Problem(number, "leave_zone", f"“{leave_zone[:40]}” is not a time zone like Europe/Berlin."))
    if not said.get("user_name") and not said.get("employee_number"):
        wrong.append(Problem(number, "user_name", "A user name or an employee number is needed."))
    return (None if wrong else Row(number, said, status in LEFT_WORDS, leave_date, leave_zone)), wrong


def _of_values(said: dict[str, str]) -> Iterable[tuple[str, str]]:
    for name, value in said.items():
        limit = LIMITS.get("manager_hint" if name == "manager" else name)
        if limit is not None and len(value) > limit:
            yield name, f"At most {limit} characters; this has {len(value)}."
    if said.get("email") and not _MAIL.fullmatch(said["email"]):
        yield "email", f"“{said['email'][:80]}” is not an address."


def _date(text: str) -> date | str | None:
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return f"“{text[:40]}” is not a date like 2026-03-31."
    return found if 2000 <= found.year <= 2200 else f"{text} is too far away."


def _of_columns(columns: tuple[str, ...]) -> Iterable[Problem]:
    for name in dict.fromkeys(columns):
        if name not in COLUMNS:
            yield Problem(1, name[:80], f"There is no such column. Known are: {', '.join(COLUMNS)}.")
        elif columns.count(name) > 1:
            yield Problem(1, name, "The column is there twice.")
    if "user_name" not in columns and "employee_number" not in columns:
        yield Problem(1, "user_name", "A column user_name or employee_number is needed.")


def _named_twice(rows: Sequence[Row]) -> Iterable[Problem]:
    for name in ("user_name", "employee_number"):
        first: dict[str, int] = {}
        for row in rows:
            value = key(row.said.get(name, ""))
            if value and first.setdefault(value, row.number) != row.number:
                yield Problem(row.number, name, f"Row {first[value]} names the same person.")


def _nothing(reason: str) -> Content:
    return Content((), (), (Problem(0, "", reason),))
