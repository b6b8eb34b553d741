"""Who could reach what at an instant, by which reason, as it was known at another instant.

"Could" is the union of grants: every reason is a row. The intervals are those that were known; names and departments
are those of that time; what a role reaches is what it said of itself then. A fixed number of statements.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from governance.access import asof_sql as sql
from governance.access.models import GrantCause
from governance.core.clock import is_open_ended

PAGE_SIZE = 50
#: Up to so many people a page is found through all reasons; with more, every few people of any page have one.
FEW_PEOPLE = 3_000
#: So many rows of a file are read at once.
CHUNK = 5_000


@dataclass(frozen=True, slots=True)
class Asked:
    """Who could at `at`, as known at `known_at`: reach a class of data, an application, a role, or be one person.

    Empty fields do not narrow. `applications` are the primary keys the reader may see; None means all.
    """

    at: datetime
    known_at: datetime
    #: Nothing can have been given up since then: `known_at` is now.
    is_known_now: bool = False
    applications: Collection[int] | None = None
    data_class: str = ""
    application_id: int | None = None
    entitlement_id: int | None = None
    person_id: int | None = None

    def parameters(self, **more: Any) -> dict[str, Any]:
        """Return the named parameters of every statement."""
        return {
            "at": self.at,
            "known": self.known_at,
            "applications": None if self.applications is None else list(self.applications),
            "data_class": self.data_class or None,
            "application": self.application_id,
            "entitlement": self.entitlement_id,
            **more,
        }


@dataclass(frozen=True, slots=True)
class RoleThen:
    """A role and its application as they spoke of themselves then."""

    id: int
    slug: str
    name: str
    sentence: str
    risk: int
    data_classes: tuple[str, ...]
    is_privileged: bool
    application_id: int
    application_slug: str
    application_name: str
    application_icon: str
    application_risk: int
    application_data_classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoleTotal:
    """How many reasons reach a role, and how many people have one."""

    role: RoleThen
    reasons: int
    people: int


@dataclass(frozen=True, slots=True)
class Totals:
    """How many there are in all; the roles that somebody reached, the most reached first."""

    reasons: int
    people: int
    by_role: tuple[RoleTotal, ...]


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason for one person to reach one role. `ends_at` is none where no end was known."""

    grant_id: int
    person_ref: str
    person: str
    department: str
    title: str
    has_left: bool
    role: RoleThen
    cause: str
    starts_at: datetime
    ends_at: datetime | None
    #: What it came from: the number of a request; a birthright rule and the number of its version.
    request: int | None
    rule: str
    rule_version: int | None
    #: The revision that says so: its number, since when it was known, what it changed.
    revision: int
    known_since: datetime
    change: str

    @property
    def kind(self) -> str:
        """Return the kind of access in the words of the matrix, as far as was known."""
        if self.cause == GrantCause.BIRTHRIGHT:
            return "birthright"
        if self.cause == GrantCause.BREAK_GLASS:
            return "breakglass"
        return "standing" if self.ends_at is None else "temporary"


@dataclass(frozen=True, slots=True)
class Page:
    """Some reasons, by name of the person. `back` and `next` are the grants to continue before and after, or None."""

    rows: tuple[Reason, ...]
    back: int | None
    next: int | None


def roles_then(asked: Asked) -> list[RoleThen]:
    """Return the roles that are asked about, as they were: by name of the application, the most harmful first."""
    return [_role(*found) for found in _rows(sql.ROLES, asked.parameters())]


def totals(asked: Asked, roles: Sequence[RoleThen]) -> Totals:
    """Return how many reasons and people reach these roles. One statement."""
    found = _rows(sql.totals(asked.is_known_now), _about(asked, roles))
    numbers = {role_id: (reasons, people) for role_id, reasons, people in found}
    _, everybody = numbers.pop(None, (0, 0))
    by_role = [RoleTotal(role, *numbers[role.id]) for role in roles if role.id in numbers]
    by_role.sort(key=lambda one: -one.people)
    return Totals(sum(one.reasons for one in by_role), everybody, tuple(by_role))


def page(
    asked: Asked,
    roles: Sequence[RoleThen],
    *,
    people: int,
    after: int | None = None,
    before: int | None = None,
    limit: int = PAGE_SIZE,
) -> Page:
    """Return one page. `people` is how many have a reason, as `totals` says. Two statements.

    `after` and `before` are grants at the edge of the present page; an unknown one leads nowhere.
    """
    edge, backwards = (before, True) if before is not None and after is None else (after, False)
    found = _found(asked, roles, people=people, edge=edge, backwards=backwards, limit=limit + 1)
    has_more, found = len(found) > limit, found[:limit]
    if backwards:
        found.reverse()
    first, last = (found[0][1], found[-1][1]) if found else (None, None)
    has_back = has_more if backwards else edge is not None
    return Page(
        tuple(_detailed(asked, roles, found)), first if has_back else None, last if backwards or has_more else None
    )


def of_person(asked: Asked, roles: Sequence[RoleThen]) -> list[Reason]:
    """Return every reason of the person that is asked about. Two statements."""
    found = _rows(sql.ONE_PERSON, _about(asked, roles, person=asked.person_id))
    return _detailed(asked, roles, found)


def everything(asked: Asked, roles: Sequence[RoleThen]) -> Iterator[Reason]:
    """Yield every reason, by name of the person, in chunks: what is known at an instant does not change meanwhile."""
    if asked.person_id is not None:
        yield from of_person(asked, roles)
        return
    people, edge = totals(asked, roles).people, None
    while True:
        found = _found(asked, roles, people=people, edge=edge, backwards=False, limit=CHUNK)
        yield from _detailed(asked, roles, found)
        if len(found) < CHUNK:
            return
        edge = found[-1][1]


Found = tuple[int, int, int, datetime, datetime]


def _found(
    asked: Asked, roles: Sequence[RoleThen], *, people: int, edge: int | None, backwards: bool, limit: int
) -> list[Any]:
    known = _about(asked, roles, limit=limit, edge=edge)
    if edge is None:
        del known["edge"]
    if people <= FEW_PEOPLE:
        statement = sql.page_of_few(asked.is_known_now, has_edge=edge is not None, backwards=backwards)
    else:
        statement = sql.page_of_many(has_edge=edge is not None, backwards=backwards)
    return _rows(statement, known)


def _about(asked: Asked, roles: Sequence[RoleThen], **more: Any) -> dict[str, Any]:
    return {"at": asked.at, "known": asked.known_at, "roles": [role.id for role in roles], **more}


def _detailed(asked: Asked, roles: Sequence[RoleThen], found: Sequence[Found]) -> list[Reason]:
    """Return what was found with everything there is to say of it, in order. One statement."""
    if not found:
        return []
    known = {"at": asked.at, "known": asked.known_at, "grants": [grant_id for _, grant_id, *_ in found]}
    details = {grant_id: said for grant_id, *said in _rows(sql.DETAILS, known)}
    by_id = {role.id: role for role in roles}
    return [
        _reason(grant_id, by_id[role_id], starts_at, ends_at, details[grant_id])
        for _, grant_id, role_id, starts_at, ends_at in found
    ]


def _reason(grant_id: int, role: RoleThen, starts_at: datetime, ends_at: datetime, said: Sequence[Any]) -> Reason:
    ref, name, department, title, status, cause, _, request, rule, version, revision, known_since, change = said
    return Reason(
        grant_id=grant_id,
        person_ref=ref,
        person=name,
        department=department,
        title=title,
        has_left=status == "left",
        role=role,
        cause=cause,
        starts_at=starts_at,
        ends_at=None if is_open_ended(ends_at) else ends_at,
        request=request,
        rule=rule or "",
        rule_version=version,
        revision=revision,
        known_since=known_since,
        change=change,
    )


def _role(*said: Any) -> RoleThen:
    id_, slug, name, sentence, risk, data, is_privileged, *application = said
    app_id, app_slug, app_name, icon, app_risk, app_data = application
    return RoleThen(
        id_, slug, name, sentence, risk, tuple(data), is_privileged, app_id, app_slug, app_name, icon, app_risk,
        tuple(app_data),
    )  # fmt: skip


def _rows(statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Run a statement that is planned for its own values: a plan for any would walk through millions of grants."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
