"""Measures access: how it ends (everything due at once, punctuality, a leaver), and who could reach what when.

`--full` takes 100,000 people, 500 applications and five million grants with ten million revisions: half an hour, and
15 GB meanwhile. `--scale` takes a part of it. `--growth` measures what should be flat at three sizes, a factor of ten
apart up to the scale, and prints the slopes: 0 is flat, 1 grows with the company.
"""

from __future__ import annotations

import argparse
import math
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil

from house import FOLDER, KEPT_FOLDER, migrated, row  # isort: skip - sets Django up

from access_pages import pages  # isort: skip
from access_reach import matrices, reach  # isort: skip
from access_world import ACTOR, World, add_due, build, give_to, settle, show  # isort: skip
from django.conf import settings
from django.db import connection, transaction

from governance.access.sweep import sweep
from governance.config import postgres
from governance.core.clock import now
from governance.identity.models import Person
from governance.lifecycle import actions as lifecycle

FULL = World(people=100_000, applications=500, grants=5_000_000)
DUE = 100_000
ROUNDS = 3
PER_SECOND = 500
#: Until a process has started, or as many rows are written, on a busy machine.
START_SECONDS = 5
ROOT = Path(__file__).resolve().parents[1]
#: The transactions of the anchor are as large as those of the sweep.
ANCHOR_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Cost:
    """What something took: on the clock, and of processors here and in the database's process."""

    seconds: float
    processor_seconds: float


def expiry(world: World, due: int) -> None:
    """Measure ordering away everything that is due, beside the bare statements for as many rows."""
    swept, bare = [], []
    for _ in range(ROUNDS):
        keys = add_due(world, due, first=now() - timedelta(minutes=10), per_second=due / 300)
        settle()
        swept.append(_cost(lambda: _check_count(sweep(), due)))
        _check_ends(keys)
        keys = add_due(world, due, first=now() + timedelta(days=1), per_second=due / 300)
        _prepare_bare(keys)
        settle()
        bare.append(_cost(lambda keys=keys: _bare(keys)))  # type: ignore[misc]
    ours, anchor = (_rate(costs, due, "seconds") for costs in (swept, bare))
    row(f"bare UPDATE and INSERTs for {due:,} ends", f"{anchor:,.0f}/s")
    row(f"expiry of {due:,} due grants, with ledger and orders", f"{ours:,.0f}/s", f"{ours / anchor:.2f} of bare")
    ours, anchor = (_rate(costs, due, "processor_seconds") for costs in (swept, bare))
    row("  bare, in a second of processor time", f"{anchor:,.0f}")
    row("  expiry, in a second of processor time", f"{ours:,.0f}", f"{ours / anchor:.2f} of bare")


def lateness(world: World, seconds: int) -> None:
    """Measure from the end of a grant to the commit of its order, with a sweep each second and with the sweeper."""
    for what, sweeping in (("a sweep each second", _ticking), ("the sweeper", _sweeper)):
        with sweeping():
            time.sleep(START_SECONDS)
            first = now() + timedelta(seconds=START_SECONDS)
            keys = add_due(world, PER_SECOND * seconds, first=first, per_second=PER_SECOND)
            time.sleep(START_SECONDS + seconds)
            _wait_until_ordered(keys, patience_seconds=60)
        row(f"lateness at {PER_SECOND} ends a second, {what}", _percentiles(keys))


def away(world: World, seconds: int) -> None:
    """Measure how long a sweeper that starts anew takes to order what came due while there was none."""
    keys = add_due(world, PER_SECOND * seconds, first=now() - timedelta(seconds=seconds), per_second=PER_SECOND)
    with _sweeper():
        took = _seconds(lambda: _wait_until_ordered(keys, patience_seconds=120))
    row(f"killed for {seconds} s, {PER_SECOND} ends a second: caught up", f"{took:.1f} s", "from its start")


def leaver(applications: int, people: int = 15) -> None:
    """Measure the transaction in which somebody with access to many applications leaves."""
    costs = []
    for person in list(Person.objects.filter(status="active").order_by("pk")[:people]):
        give_to(person.pk, applications)
        settle()
        costs.append(_cost(lambda person=person: lifecycle.leave(person, actor=ACTOR)))  # type: ignore[misc]
        assert _count(_REMOVED_FROM, person.pk) >= applications
    took, busy = (statistics.median(getattr(cost, name) for cost in costs) for name in ("seconds", "processor_seconds"))
    ratio = f"{busy * 1_000:.0f} ms of processor"
    row(f"a leaver with {applications} applications, all orders written", f"{took * 1_000:.0f} ms", ratio)


_REMOVED_FROM = """
SELECT count(DISTINCT application_id) FROM provisioning_operation WHERE person_id = %s AND kind = 'take'
"""


def _bare(keys: list[int]) -> None:
    """Write as many rows as the sweep does, knowing everything: no locks, no union, no Python."""
    for start in range(0, len(keys), ANCHOR_BATCH):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_BARE_ORDERS, [keys[start : start + ANCHOR_BATCH]])
            cursor.execute(_BARE_ENDS, [keys[start : start + ANCHOR_BATCH]])
            cursor.execute(_BARE_ENTRIES, [keys[start : start + ANCHOR_BATCH]])


def _prepare_bare(keys: list[int]) -> None:
    """Find out beforehand what the bare statements write."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bench_known")
        cursor.execute(_KNOWN, [keys])
        cursor.execute("ALTER TABLE bench_known ADD PRIMARY KEY (id)")
        cursor.execute("ANALYZE bench_known")


_KNOWN = """
CREATE TABLE bench_known AS
SELECT id, person_id, entitlement_id, application_id,
    CASE WHEN NOT EXISTS (
        SELECT FROM access_grant other
        WHERE other.person_id = ended.person_id AND other.entitlement_id = ended.entitlement_id
            AND other.id <> ended.id AND other.ends_at > ended.ends_at
    ) THEN nextval(pg_get_serial_sequence('provisioning_operation', 'id')) END AS removal,
    jsonb_build_object('v', 1, 'event', 'grant.ended', 'at', now(), 'correlation', repeat('c', 32),
    'actor', '{"kind": "system", "ref": "expiry", "door": "clock"}'::jsonb, 'private', '{}'::jsonb,
    'data', '{"cause": "expired"}'::jsonb, 'subjects', jsonb_build_array(
        jsonb_build_object('kind', 'grant', 'ref', id::text),
        jsonb_build_object('kind', 'person', 'ref', gen_random_uuid()::text),
        jsonb_build_object('kind', 'application', 'ref', application_id::text),
        jsonb_build_object('kind', 'entitlement', 'ref', entitlement_id::text))) AS body
FROM access_grant ended WHERE id = ANY(%s::bigint[])
"""
_BARE_ORDERS = """
INSERT INTO provisioning_operation
    (id, kind, state, origin, idempotency_key, correlation_id, ordered_at, attempts, next_attempt_at, claimed_by,
    last_error, next_step, application_id, entitlement_id, person_id, closes_account)
SELECT removal, 'take', 'waiting', 'grant:' || id, 'grant:' || id || ':take:1', repeat('c', 32), now(), 0, now(), '',
    '', '', application_id, entitlement_id, person_id, false
FROM bench_known WHERE id = ANY(%s::bigint[]) AND removal IS NOT NULL
"""
_BARE_ENDS = """
UPDATE access_grant AS ended SET end_ordered_at = now(), end_cause = 'expired', take_operation_id = removal
FROM bench_known WHERE bench_known.id = ended.id AND ended.id = ANY(%s::bigint[])
"""
_BARE_ENTRIES = "INSERT INTO ledger_pending (body) SELECT body FROM bench_known WHERE id = ANY(%s::bigint[])"


def _cost(act: Callable[[], object]) -> Cost:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        involved = [psutil.Process(), psutil.Process(cursor.fetchone()[0])]
    busy = [sum(process.cpu_times()[:2]) for process in involved]
    seconds = _seconds(act)
    return Cost(seconds, sum(sum(process.cpu_times()[:2]) for process in involved) - sum(busy))


def _rate(costs: list[Cost], count: int, name: str) -> float:
    return count / statistics.median(getattr(cost, name) for cost in costs)


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _check_count(done: int, wanted: int) -> None:
    assert done == wanted, f"{done} of {wanted}"


def _check_ends(keys: list[int]) -> None:
    """Hold what was ordered against the union: a removal exactly where no running grant supports the access."""
    wrong = _count(_WRONG, keys)
    assert wrong == 0, wrong


_WRONG = """
SELECT count(*) FROM access_grant ended
LEFT JOIN provisioning_operation removal
    ON removal.id = ended.take_operation_id AND removal.kind = 'take' AND removal.entitlement_id = ended.entitlement_id
WHERE ended.id = ANY(%s::bigint[]) AND (
    ended.end_ordered_at IS NULL OR ended.end_cause <> 'expired' OR (removal.id IS NOT NULL) = EXISTS (
        SELECT FROM access_grant other
        WHERE other.person_id = ended.person_id AND other.entitlement_id = ended.entitlement_id
            AND other.starts_at <= ended.end_ordered_at AND other.ends_at > ended.end_ordered_at))
"""


def _wait_until_ordered(keys: list[int], *, patience_seconds: float) -> None:
    end = time.monotonic() + patience_seconds
    while left := _count("SELECT count(*) FROM access_grant WHERE end_ordered_at IS NULL AND ends_at <= now()"):
        assert time.monotonic() < end, f"{left} of {len(keys)} are not ordered"
        time.sleep(0.1)
    _check_ends(keys)


def _percentiles(keys: list[int]) -> str:
    """Return p50, p95 and p99, in milliseconds, of what passed between an end and the commit of its order."""
    with connection.cursor() as cursor:
        cursor.execute(_LATENESS, [keys])
        ((p50, p95, p99),) = cursor.fetchone()
    return f"{p50:.0f} / {p95:.0f} / {p99:.0f} ms"


_LATENESS = """
SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY late)
FROM (
    SELECT 1000 * extract(epoch FROM pg_xact_commit_timestamp(xmin) - ends_at) AS late FROM access_grant
    WHERE id = ANY(%s::bigint[])
) measured
"""


def _count(sql: str, *parameters: object) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, list(parameters))
        return int(cursor.fetchone()[0])


_TICK = """
import time
from governance.access.sweep import sweep
while True:
    sweep()
    time.sleep(1 - time.time() % 1)
"""


@contextmanager
def _ticking() -> Iterator[None]:
    """Have a process that sweeps each second, as the clock alone would."""
    code = (
        "import time\nfrom governance.access.sweep import sweep\nwhile True: sweep(); time.sleep(1 - time.time() % 1)"
    )
    with _process("shell", "--no-imports", "--command", code):
        yield


@contextmanager
def _sweeper() -> Iterator[None]:
    with _process("sweeper"):
        yield


@contextmanager
def _process(*arguments: str) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, str(ROOT / "manage.py"), *arguments], cwd=ROOT)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)


@contextmanager
def _world(world: World) -> Iterator[None]:
    """Have a database of its own with this company in it, and remove it afterwards unless its folder was named."""
    durable = {"track_commit_timestamp": "on", "max_wal_size": "4GB", "shared_buffers": "1GB"}
    try:
        with postgres.running(settings.ENVIRONMENT.data_dir, settings=durable):
            migrated()
            if not Person.objects.exists():
                build(world)
            yield
            connection.close()
    finally:
        if not KEPT_FOLDER:
            shutil.rmtree(FOLDER, ignore_errors=True)


def reached(world: World) -> dict[str, float]:
    """Measure questions about any date; return the milliseconds of processors, by what was asked."""
    found = reach()
    for name, took in found.items():
        row(name, f"{took.clock:,.0f} ms", f"{took.processor:,.0f} ms of processor")
    return {name: took.processor for name, took in found.items()}


def shown(world: World) -> dict[str, float]:
    """Measure the matrix and the pages, with what applications show; return milliseconds by page."""
    show(world)
    found = {name: took.processor for name, took in matrices().items()}
    for name, milliseconds in found.items():
        row(name, f"{milliseconds:,.0f} ms", "of processor")
    through = pages()
    anchor = next(iter(through.values()))
    for name, milliseconds in through.items():
        row(f"p95 of the page: {name}", f"{milliseconds:,.0f} ms", f"{milliseconds / anchor:.1f} of settings")
    return {**found, **through}


def growth(scale: float) -> None:
    """Measure what should be flat at three sizes and print how it grows: by the power of the size."""
    sizes = [scale / 100, scale / 10, scale]
    found: list[dict[str, float]] = []
    for size in sizes:
        world = _world_of(size)
        with _world(world):
            row(f"{world.people:,} people, {world.grants:,} grants", "")
            found.append({**reached(world), **shown(world)})
    for name in found[0]:
        first, last = (max(each[name], 0.1) for each in (found[0], found[-1]))
        row(f"slope: {name}", f"{math.log10(last / first) / 2:.2f}", f"{first:,.0f} to {last:,.0f} ms")


def _world_of(scale: float) -> World:
    return World(
        max(200, int(FULL.people * scale)),
        max(60, int(FULL.applications * scale)),
        max(10_000, int(FULL.grants * scale)),
    )


def main() -> None:
    """Measure and print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--scale", type=float, default=0.02, help="the part of the full size (0.02)")
    options.add_argument("--full", dest="scale", action="store_const", const=1.0, help="the full size")
    options.add_argument("--growth", action="store_true", help="measure at three sizes and print slopes")
    parts = ("expiry", "lateness", "away", "leaver", "reach", "pages")
    options.add_argument("--only", nargs="+", choices=parts, default=parts, metavar="PART")
    chosen = options.parse_args()
    if not settings.ENVIRONMENT.uses_embedded_database:
        sys.exit("The bench makes a database of its own: run it without DATABASE_URL.")
    scale = chosen.scale
    if chosen.growth:
        growth(scale)
        return
    world = _world_of(scale)
    acts: dict[str, Callable[[], object]] = {
        "expiry": lambda: expiry(world, max(int(DUE * scale), 10_000)),
        "lateness": lambda: lateness(world, 20),
        "away": lambda: away(world, 30),
        "leaver": lambda: leaver(50),
        "reach": lambda: reached(world),
        "pages": lambda: shown(world),
    }
    began = time.perf_counter()
    with _world(world):
        size = f"{world.people:,} people, {world.applications} applications, {world.grants:,} grants"
        row(size, f"{time.perf_counter() - began:.0f} s", "to make")
        for name in chosen.only:
            acts[name]()


if __name__ == "__main__":
    main()
