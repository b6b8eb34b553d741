"""What a report is: a query with a name, the meaning of each column, and the rule of its population.

The text of the query is the version of the report: what was asked can be read in every bundle, and its SHA-256 says
whether two bundles asked the same. Cells are made text in SQL, so that neither the session nor the driver can differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

#: Cells that a spreadsheet would take for a formula get an apostrophe in front: those that begin with one of these, or
#: with a full-width sign, which some take for the plain one.
FORMULA_SIGNS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
#: The same in SQL. By number: a pattern takes several times as long, and there are millions of cells.
_IS_FORMULA = f"ascii({{cell}}) IN ({', '.join(str(ord(sign)) for sign in FORMULA_SIGNS)})"


class Kind(StrEnum):
    """What a cell holds, and so how it is written."""

    TEXT = "text"
    NUMBER = "number"
    INSTANT = "instant"
    YES_NO = "yes_no"


_FORMATS = {
    Kind.TEXT: "NULLIF(CASE WHEN " + _IS_FORMULA + " THEN '''' || {cell} ELSE {cell} END, '')",
    Kind.NUMBER: "{cell}::text",
    Kind.INSTANT: "to_char({cell} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
    Kind.YES_NO: "CASE WHEN {cell} THEN 'yes' WHEN NOT {cell} THEN 'no' END",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a report, with the sentence that the data dictionary gives it."""

    name: str
    kind: Kind
    meaning: str

    @property
    def cell(self) -> str:
        """Return the SQL of the cell as text, as the CSV has it; null where it is empty."""
        return _FORMATS[self.kind].format(cell="found." + self.name)

    def formatted(self) -> str:
        """Return the SQL that writes the cell as text."""
        return f"{self.cell} AS {self.name}"


def text(name: str, meaning: str) -> Column:
    """Return a column of text, guarded against formulas."""
    return Column(name, Kind.TEXT, meaning)


def number(name: str, meaning: str) -> Column:
    """Return a column of numbers, with a point as decimal sign."""
    return Column(name, Kind.NUMBER, meaning)


def instant(name: str, meaning: str) -> Column:
    """Return a column of instants, in UTC with microseconds."""
    return Column(name, Kind.INSTANT, meaning)


def yes_no(name: str, meaning: str) -> Column:
    """Return a column of yes and no."""
    return Column(name, Kind.YES_NO, meaning)


ROW_NO = Column("row_no", Kind.NUMBER, "Ordinal of the row in this report, from 1. The order is fixed by the row id.")

#: The last columns of every report whose rows rest on ledger entries.
SUPPORT = (
    text("exceptions", "What an auditor should look at, codes separated by a space; empty when nothing."),
    number("first_entry", "Index of the first ledger entry that supports the row; empty when none was recorded."),
    number("last_entry", "Index of the last ledger entry below the pinned ledger size that supports the row."),
)


#: The column that holds the short name of an application, in the reports that are about applications.
BY_APPLICATION = "application"
#: What stands there for Gatehouse itself.
ITSELF = "gatehouse"


def within(column: str) -> str:
    """Return the SQL that keeps the applications that a question is about; all where it names none.

    What is about no single application, or about Gatehouse itself, stays: it cannot be told to be somebody else's.
    """
    named = f"coalesce({column}, '{ITSELF}') = '{ITSELF}' OR {column} = ANY(%(applications)s::text[])"
    return f"(%(applications)s::text[] IS NULL OR {named})"


@dataclass(frozen=True, slots=True)
class Report:
    """A report: `body` is the query that finds the rows; columns and order are said here and put around it.

    `subject` names the column with the reference and the kind of ledger subject the supporting entries are about. Of
    the kind `entry`, the column is the index of the entry that the row is.
    `person` and `system` name the columns that the control totals count distinct values of.
    """

    id: str
    title: str
    population: str
    exceptions: tuple[tuple[str, str], ...]
    columns: tuple[Column, ...]
    body: str
    order: tuple[str, ...]
    subject: tuple[str, str]
    person: str | None = "person_ref"
    system: str | None = "application"
    #: What the entries of a row are about that has nothing in the first column.
    or_subject: tuple[str, str] | None = None
    #: Conditions on `found` that a definition puts: only the rows that meet all of them are in it.
    only: tuple[str, ...] = ()
    #: What the conditions say, in words, and the names of columns that the definition leaves out.
    only_said: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def sql(self) -> str:
        """Return the whole query: numbered, formatted, in a fixed order. Its parameters are named %(so)s."""
        order = ", ".join(f'found.{name} COLLATE "C"' for name in self.order)
        cells = ",\n    ".join(column.formatted() for column in self.columns)
        return (
            f"-- {self.id} {self.title}\n"
            f"SELECT\n    row_number() OVER (ORDER BY {order}) AS row_no,\n    {cells}\n"
            f"FROM (\n{self.body.strip()}\n) AS found\n{self._where}ORDER BY {order}\n"
        )

    @property
    def population_sql(self) -> str:
        """Return the query of the rows alone, in no order: for counting."""
        return f"SELECT * FROM (\n{self.body.strip()}\n) AS found {self._where}"

    @property
    def is_by_application(self) -> bool:
        """Tell whether a choice of applications narrows it."""
        return self.system == BY_APPLICATION

    @property
    def is_narrowed(self) -> bool:
        """Tell whether a definition leaves out rows or columns of it."""
        return bool(self.only or self.left_out)

    @property
    def _where(self) -> str:
        scope = [within(f"found.{BY_APPLICATION}")] if self.is_by_application else []
        conditions = " AND ".join((*scope, *self.only))
        return f"WHERE {conditions}\n" if conditions else ""

    @property
    def version(self) -> str:
        """Return the SHA-256 of the query text, hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def file_stem(self) -> str:
        """Return the name of its files in a bundle, without folder and ending."""
        return f"{self.id}_{self.title.lower().replace(' ', '_')}"

    @property
    def header(self) -> tuple[str, ...]:
        """Return the names of the columns as they stand in the first line of the CSV."""
        return (ROW_NO.name, *(column.name for column in self.columns))

    def dictionary(self) -> dict[str, object]:
        """Return the data dictionary: what each column and each exception code means."""
        return {
            "report": self.id,
            "title": self.title,
            "version": self.version,
            "population": self.population,
            "columns": [_described(column) for column in (ROW_NO, *self.columns)],
            "exceptions": [{"code": code, "meaning": meaning} for code, meaning in self.exceptions],
            "format": FORMAT_NOTES,
            **({"only_rows": list(self.only_said)} if self.only else {}),
            **({"columns_left_out": list(self.left_out)} if self.left_out else {}),
        }


@dataclass(frozen=True, slots=True)
class Unbuilt:
    """A report that auditors ask for and that cannot be given, with the reason: it is stated as a gap."""

    id: str
    title: str
    why: str


FORMAT_NOTES: Sequence[str] = (
    "UTF-8, comma, double quotes where needed, lines end in LF, the first line names the columns.",
    "Instants are UTC with microseconds. An empty cell means there is none.",
    "Text that begins with = + - @ (also full-width), TAB, CR or LF has an apostrophe in front: it is no formula.",
)


def _described(column: Column) -> dict[str, object]:
    described: dict[str, object] = {"name": column.name, "kind": column.kind.value, "meaning": column.meaning}
    if column.kind is Kind.TEXT:
        described["guarded"] = True
    return described


def exceptions_sql(*tests: tuple[str, str]) -> str:
    """Return the SQL that lists the codes whose test holds, separated by a space."""
    cases = ", ".join(f"CASE WHEN {test} THEN '{code}' END" for code, test in tests)
    return f"concat_ws(' ', {cases})"
