"""The access matrix: who can reach what at an instant, people by applications, wanted and observed together.

Wanted is what grants and waiting requests say; observed is what was read in the applications. What is observed and
covered by no grant is drift; an active account without a present person is an orphan. Set-based: a fixed number of
statements, however many people and applications there are.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from governance.access import matrix_sql as sql
from governance.core import statements

#: Rows of people and columns of applications on one page.
PAGE_ROWS = 50
PAGE_COLUMNS = 40
#: Rows without a person: the worst ones above the people, and a page of them when they are asked for.
FEW_ORPHANS = 6
PAGE_ORPHANS = 50
#: Above this, in the planner's units, counting is left out: about a tenth of a second.
MOST_COST = 25_000


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the matrix. Empty fields do not narrow it.

    `applications` are the primary keys the reader may see; None means all. `at` is the instant it is about.
    """

    at: datetime
    is_past: bool = False
    applications: Collection[int] | None = None
    kinds: Collection[str] = ()
    department: str | None = None
    data_class: str = ""
    text: str = ""

    @property
    def is_narrowed(self) -> bool:
        """Tell whether only people with a matching access are shown, instead of everybody."""
        return bool(self.kinds or self.data_class or self.applications is not None)

    def parameters(self, **more: Any) -> dict[str, Any]:
        """Return the named parameters of every statement."""
        return {
            "at": self.at,
            "applications": None if self.applications is None else list(self.applications),
            "kinds": list(self.kinds) or None,
            "department": self.department,
            "data_class": self.data_class or None,
            "text": f"%{sql.escape_like(self.text)}%" if self.text else None,
            **more,
        }


@dataclass(frozen=True, slots=True)
class Column:
    """An application at the top of the matrix."""

    id: int
    slug: str
    name: str
    icon: str
    risk: int


@dataclass(frozen=True, slots=True)
class Access:
    """One reason why somebody can, or will perhaps, reach something. `ends_at` is none where no end is known."""

    kind: str
    application_id: int
    role: str
    is_privileged: bool
    risk: int
    starts_at: datetime
    ends_at: datetime | None
    #: What it comes from: grant, request or holding, and its primary key.
    source: str
    source_id: int


@dataclass(slots=True)
class Row:
    """A person, or an account without one (`account_ids` by application, no `ref`), and their access by application."""

    name: str
    title: str
    department: str
    ref: str = ""
    left_at: datetime | None = None
    account_ids: dict[int, int] = field(default_factory=dict)
    access: dict[int, list[Access]] = field(default_factory=dict)

    def add(self, access: Access) -> None:
        """Put one access into its cell."""
        self.access.setdefault(access.application_id, []).append(access)


@dataclass(frozen=True, slots=True)
class Counts:
    """How much there is under the filters, without regard to the kind: by kind, and which applications have which."""

    by_kind: dict[str, int]
    by_application: dict[int, dict[str, int]]
    departments: dict[str, int]
    #: False: there is too much to count while somebody waits, so nothing is said about kinds.
    is_counted: bool = True

    @property
    def total(self) -> int:
        """Return the number of grants: the wanted access that is in force."""
        return sum(self.by_kind.get(kind, 0) for kind in ("birthright", "standing", "temporary", "breakglass"))


@dataclass(frozen=True, slots=True)
class Matrix:
    """One page of the matrix. `back` and `next` are references of people to continue before or after."""

    columns: tuple[Column, ...]
    orphans: tuple[Row, ...]
    people: tuple[Row, ...]
    counts: Counts
    hidden_columns: int
    column_pages: int
    orphan_count: int
    #: None: too much to count while somebody waits.
    row_count: int | None
    back: str
    next: str


@dataclass(frozen=True, slots=True)
class _People:
    """A page of people, how many each department has, and as of an instant the keys of all who were not here."""

    rows: list[tuple[int, Row]]
    departments: dict[str, int]
    absent: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Edge:
    """Where a page begins: at a reference of a person, going up or down from there."""

    ref: str = ""
    backwards: bool = False


def matrix(question: Question, *, after: str = "", before: str = "", column_page: int = 1) -> Matrix:
    """Return one page. `after` and `before` are references of people at the edge of the present page.

    Seven statements. An unknown reference starts at the beginning,
    and so does one with nobody behind it.
    """
    edge = _Edge(after or before, bool(before and not after))
    statement = _counting(question)
    is_counted = _cost(statement, question.parameters(absent=[])) <= MOST_COST
    people = _people(question, limit=PAGE_ROWS + 1, edge=edge, is_counted=is_counted)
    if edge.ref and not people.rows:
        edge = _Edge()
        people = _people(question, limit=PAGE_ROWS + 1, edge=edge, is_counted=is_counted)
    counts = _counted(question, people, statement if is_counted else "")
    every = columns(question.applications)
    shown = _columns_with_hits(every, counts, question)
    pages = max(1, -(-len(shown) // PAGE_COLUMNS))
    place = min(max(column_page, 1), pages) - 1
    visible = shown[place * PAGE_COLUMNS : (place + 1) * PAGE_COLUMNS]
    found, back, following = _page(people.rows, edge)
    rows = dict(found)
    _fill(rows, question, [column.id for column in visible])
    how_many, orphans = _orphans(question, people.absent, limit=_orphan_rows(question)) if not back else (0, [])
    return Matrix(
        columns=tuple(visible),
        orphans=tuple(orphans),
        people=tuple(rows.values()),
        counts=counts,
        hidden_columns=len(every) - len(shown),
        column_pages=pages,
        orphan_count=how_many,
        row_count=_row_count(counts, question),
        back=back,
        next=following,
    )


def everything(question: Question) -> tuple[list[Column], list[Row]]:
    """Return all rows under the filters with all their access, people without a person first. For the export."""
    every = columns(question.applications)
    people = _people(question, limit=None, edge=_Edge(), is_counted=True)
    rows = dict(people.rows)
    _fill(rows, question, [column.id for column in every])
    _, orphans = _orphans(question, people.absent, limit=None)
    return every, [*orphans, *(row for row in rows.values() if row.access)]


def columns(applications: Collection[int] | None) -> list[Column]:
    """Return the applications in force within reach, the most harmful first."""
    wanted = {"applications": None if applications is None else list(applications)}
    return [Column(*row) for row in statements.rows(sql.COLUMNS, wanted)]


def _counting(question: Question) -> str:
    """Return the statement that counts access of each kind in each application."""
    return sql.counts(
        question.is_past,
        about_people=bool(question.text) or question.department is not None,
        about_data=bool(question.data_class),
    )


def _counted(question: Question, people: _People, statement: str) -> Counts:
    """Return how much access of each kind each application has, and how many people each department.

    Where counting would keep somebody waiting there is no statement, and nothing is said about kinds.
    """
    if not statement:
        return Counts({}, _reaching(question), people.departments, is_counted=False)
    by_kind: dict[str, int] = {}
    by_application: dict[int, dict[str, int]] = {}
    for application_id, kind, number in _rows(statement, question.parameters(absent=list(people.absent))):
        by_kind[kind] = by_kind.get(kind, 0) + number
        by_application.setdefault(application_id, {})[kind] = number
    return Counts(by_kind, by_application, people.departments)


def _people(question: Question, *, limit: int | None, edge: _Edge, is_counted: bool) -> _People:
    """Return a page of people with what else is said of people: one statement as of an instant, and two of now."""
    shape = {
        "is_narrowed": question.is_narrowed,
        "has_edge": bool(edge.ref),
        "backwards": edge.backwards,
        "is_large": not is_counted,
    }
    wanted = question.parameters(edge=edge.ref or None, limit=limit)
    ask = _rows if question.is_narrowed else statements.rows
    if not question.is_past:
        departments = _rows(sql.departments(question.is_narrowed and is_counted), question.parameters())
        return _People([_row_of(*row) for row in ask(sql.people(**shape), wanted)], dict(departments))
    found = _rows(sql.past(**shape), wanted)
    return _People(
        rows=[_row_of(*row[1:6]) for row in found if row[0] == "person"],
        departments={row[5]: row[6] for row in found if row[0] == "department"},
        absent=next((tuple(row[7]) for row in found if row[7]), ()),
    )


def _row_of(id_: int, ref: object, name: str, title: str, department: str) -> tuple[int, Row]:
    return id_, Row(name=name, title=title, department=department, ref=str(ref))


def _cost(statement: str, parameters: dict[str, Any]) -> float:
    """Return what the planner expects a statement to cost, in its units."""
    ((plan,),) = _rows(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
    return float((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]["Total Cost"])


def _reaching(question: Question) -> dict[int, dict[str, int]]:
    """Return the applications with a role that reaches the class of data, as if each kind had a hit there."""
    if not question.data_class:
        return {}
    found = _rows(sql.REACHING, question.parameters())
    return {application_id: dict.fromkeys(question.kinds or ("standing",), 1) for (application_id,) in found}


def _columns_with_hits(every: Sequence[Column], counts: Counts, question: Question) -> list[Column]:
    if not (question.kinds or question.data_class) or not (counts.is_counted or question.data_class):
        return list(every)
    wanted = set(question.kinds)
    hits = counts.by_application
    return [one for one in every if any(not wanted or kind in wanted for kind in hits.get(one.id, ()))]


def _row_count(counts: Counts, question: Question) -> int | None:
    if question.is_narrowed and not counts.is_counted:
        return None
    if question.department is not None:
        return counts.departments.get(question.department, 0)
    return sum(counts.departments.values())


def _page(found: list[tuple[int, Row]], edge: _Edge) -> tuple[list[tuple[int, Row]], str, str]:
    """Return a page of people, of which one more was read, with the references for Back and Next."""
    has_more, shown = len(found) > PAGE_ROWS, found[:PAGE_ROWS]
    if edge.backwards:
        shown.reverse()
        return shown, shown[0][1].ref if has_more else "", shown[-1][1].ref if shown else ""
    back = shown[0][1].ref if edge.ref and shown else ""
    return shown, back, shown[-1][1].ref if has_more else ""


def _fill(rows: dict[int, Row], question: Question, application_ids: Collection[int]) -> None:
    if not rows or not application_ids:
        return
    wanted = question.parameters(people=list(rows), shown=list(application_ids))
    for person_id, *access in statements.rows(sql.ACCESS, wanted):
        rows[person_id].add(Access(*access))


def _orphans(question: Question, absent: Collection[int], *, limit: int | None) -> tuple[int, list[Row]]:
    """Return how many there are, and the accounts nobody present stands behind: a row for each name."""
    if not _wants_orphans(question):
        return 0, []
    found: dict[str, Row] = {}
    total = 0
    for how_many, key, *known, account_id, application_id, role, is_privileged, risk, since, end, source, id_ in _rows(
        sql.orphans(question.is_past), question.parameters(limit=limit, absent=list(absent))
    ):
        total = how_many
        name, title, ref, left_at = known
        row = found.setdefault(key, Row(name=name, title=title, department="", ref=ref or "", left_at=left_at))
        row.account_ids[application_id] = account_id
        row.add(Access("orphan", application_id, role, is_privileged, risk, since, end, source, id_))
    return total, list(found.values())


def _orphan_rows(question: Question) -> int:
    return PAGE_ORPHANS if "orphan" in question.kinds else FEW_ORPHANS


def _wants_orphans(question: Question) -> bool:
    return question.department is None and (not question.kinds or "orphan" in question.kinds)


def _rows(statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Run a statement that is planned for its filters anew; what is not filtered is prepared (`core.statements`)."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
