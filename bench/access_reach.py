"""Measures who could reach what: a class of data, a role, a person, as of a date and as known on another."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import psutil
from django.db import connection

from governance.access import asof
from governance.access.asof import Asked
from governance.access.matrix import Question, matrix
from governance.access.why import chained, why
from governance.catalog.models import Entitlement
from governance.core.clock import now
from governance.identity.models import Person

ROUNDS = 5
#: Days before now: the instant that is asked about, and the one whose knowledge counts (none: now).
MOMENTS = ((0, None), (100, None), (100, 90))


@dataclass(frozen=True, slots=True)
class Took:
    """Milliseconds on the clock, and of processors here and in the database: on a shared machine the steadier one."""

    clock: float
    processor: float


Figures = dict[str, Took]


def reach() -> Figures:
    """Return the median milliseconds of each question."""
    found: Figures = {}
    for data in ("phi", "pii"):
        for days, known in MOMENTS:
            asked = _asked(days, known, data_class=data)
            name = f"{data}, {_words(days, known)}"
            found[f"bare count, {name}"] = _median(lambda asked=asked: _bare(asked))  # type: ignore[misc]
            found[f"count and first page, {name}"] = _median(lambda asked=asked: _answer(asked))  # type: ignore[misc]
    one_role = _asked(100, 90, entitlement_id=_some(Entitlement))
    found["one role, count and first page, 100 days ago as known 90 days ago"] = _median(lambda: _answer(one_role))
    person = _asked(100, 90, person_id=_some(Person))
    found["one person, 100 days ago as known 90 days ago"] = _median(
        lambda: asof.of_person(person, asof.roles_then(person))
    )
    found["why of one grant"] = _median(_why)
    return found


def matrices() -> Figures:
    """Return the median milliseconds of the matrix, now and as of a date, without the page around it."""
    then = Question(now() - timedelta(days=60), is_past=True)
    return {
        "matrix now": _median(lambda: matrix(Question(now())), rounds=2),
        "matrix as of 60 days ago": _median(lambda: matrix(then), rounds=2),
    }


def _answer(asked: Asked) -> None:
    roles = asof.roles_then(asked)
    totals = asof.totals(asked, roles)
    page = asof.page(asked, roles, people=totals.people)
    assert len(page.rows) == min(asof.PAGE_SIZE, totals.reasons), (asked, totals.reasons)


def _why() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(grant_id) FROM access_grantrevision")
        (grant_id,) = cursor.fetchone()
    assert why(chained(grant_id), at=now()).changes


def _bare(asked: Asked) -> None:
    """Count the grants that cover the instant as they are known now: what any answer has to read."""
    with connection.cursor() as cursor:
        cursor.execute(_BARE, [[role.id for role in asof.roles_then(asked)], asked.at, asked.at])
        assert cursor.fetchone()[0] > 0


_BARE = (
    "SELECT count(*) FROM access_grant WHERE entitlement_id = ANY(%s::bigint[]) AND ends_at > %s AND starts_at <= %s"
)


def _asked(days: int, known: int | None, **about: object) -> Asked:
    at = now()
    known_at = at if known is None else at - timedelta(days=known)
    return Asked(at - timedelta(days=days), known_at, is_known_now=known is None, **about)  # type: ignore[arg-type]


def _words(days: int, known: int | None) -> str:
    when = f"{days} days ago" if days else "now"
    return f"{when} as known {known} days ago" if known else when


def _some(model: type[Entitlement] | type[Person]) -> int:
    keys = list(model._default_manager.order_by("pk").values_list("pk", flat=True)[:60])
    return int(keys[-1])


def _median(act: Callable[[], object], rounds: int = ROUNDS) -> Took:
    """Return the medians of some rounds, after one that warms the caches."""
    act()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        involved = [psutil.Process(), psutil.Process(cursor.fetchone()[0])]
    costs = []
    for _ in range(rounds):
        busy = -sum(sum(process.cpu_times()[:2]) for process in involved)
        began = time.perf_counter()
        act()
        seconds = time.perf_counter() - began
        costs.append((seconds, busy + sum(sum(process.cpu_times()[:2]) for process in involved)))
    return Took(*(1_000 * statistics.median(each) for each in zip(*costs, strict=True)))
