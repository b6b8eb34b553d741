"""Measures the ledger: what it costs whoever writes, how soon a row is under a signed head, draining, and verifying.

`--full` drains a backlog of a million entries; else of 50,000. Writers are processes of their own, as web workers are.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from house import BENCH, FOLDER, medians, rate, row, throw_away_database  # isort: skip - sets Django up

from django.conf import settings
from django.db import connection, transaction

from governance.core.clock import now
from governance.identity.models import Group
from governance.ledger.models import Checkpoint, Entry, Pending
from governance.ledger.recording import Record, Subject, record, record_many
from governance.ledger.verification import Request, verify

ROWS = 5_000
WRITERS = (1, 4, 16)
SECONDS = 5.0
ROUNDS = 3
DELAYED = 400
BACKLOG, FULL_BACKLOG = 50_000, 1_000_000
#: Entries recorded in one statement while a backlog is made.
BATCH = 5_000
ROOT = Path(__file__).resolve().parents[1]
_GOVERNED = "identity_group"


def capture() -> None:
    """Measure what the triggers cost each kind of write to a governed table, beside the same with them off."""
    at = now()
    Group.objects.bulk_create(
        Group(display_name=f"g{one}", display_name_key=f"g{one}", source="bench", created_at=at, modified_at=at)
        for one in range(ROWS)
    )
    ids = list(Group.objects.values_list("pk", flat=True))

    def one_by_one() -> None:
        with transaction.atomic():
            for pk in ids[:500]:
                Group.objects.filter(pk=pk).update(external_id=str(random.random()))

    def all_at_once() -> None:
        with transaction.atomic():
            Group.objects.filter(pk__in=ids).update(external_id=str(random.random()))

    for what, count, act in (("updates one by one", 500, one_by_one), ("updates in one statement", ROWS, all_at_once)):
        bare, captured = medians(count, lambda act=act: _without_triggers(act), act)
        row(f"{what}, rows not captured", f"{bare:,.0f}/s")
        row(f"{what}, captured", f"{captured:,.0f}/s", f"{captured / bare:.2f} of not captured")


def _without_triggers(act: Callable[[], None]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {_GOVERNED} DISABLE TRIGGER USER")
    try:
        act()
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {_GOVERNED} ENABLE TRIGGER USER")


def writers() -> None:
    """Measure durable transactions of one UPDATE, by writers that never meet, with and without a ledger entry."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench_counter (id int PRIMARY KEY, n bigint NOT NULL)")
        cursor.execute("INSERT INTO bench_counter SELECT number, 0 FROM generate_series(0, 63) AS number")
    with sequencing():
        for number in WRITERS:
            plain, kept = [], []
            for _ in range(ROUNDS):
                plain.append(_transactions(number, is_recorded=False))
                kept.append(_transactions(number, is_recorded=True))
            bare, recorded = statistics.median(plain), statistics.median(kept)
            said = f"{number} {'writer' if number == 1 else 'writers'}"
            row(f"durable transactions, {said}, without the ledger", f"{bare:,.0f}/s")
            row(f"the same, each with its entry, {said}", f"{recorded:,.0f}/s", f"{recorded / bare:.2f} of without")


def _transactions(number: int, *, is_recorded: bool) -> float:
    """Return how many transactions a second so many processes commit together."""
    connection.close()
    context = multiprocessing.get_context("fork")
    with context.Pool(number) as pool:
        done = pool.starmap(_write, [(place, is_recorded, time.time() + 0.5) for place in range(number)])
    return sum(done) / SECONDS


def _write(place: int, is_recorded: bool, begins: float) -> int:
    connection.close()
    connection.ensure_connection()
    time.sleep(max(0.0, begins - time.time()))
    done, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("UPDATE bench_counter SET n = n + 1 WHERE id = %s", [place])
            if is_recorded:
                record("bench.written", actor=BENCH, subjects=[Subject("counter", str(place))], data={"n": done})
        done += 1
    connection.close()
    return done


def delay() -> None:
    """Measure how long it takes from recording to a signed head over it, while entries trickle in."""
    with sequencing():
        _until_sealed()
        first = Entry.objects.order_by("-index").values_list("index", flat=True).first() or 0
        for _ in range(DELAYED):
            with transaction.atomic():
                record("bench.trickled", actor=BENCH, subjects=[Subject("bench", "delay")])
            time.sleep(random.uniform(0.0, 0.04))
        _until_sealed()
    heads = list(Checkpoint.objects.filter(size__gt=first).order_by("size").values_list("size", "at"))
    delays = []
    for index, at in Entry.objects.filter(index__gt=first, event="bench.trickled").values_list("index", "at"):
        signed = next(when for size, when in heads if size > index)
        delays.append((signed - at).total_seconds())
    delays.sort()
    p50, p99 = delays[len(delays) // 2], delays[int(len(delays) * 0.99)]
    row("from recording to a signed head, p50 / p99", f"{p50:.2f} / {p99:.2f} s")


def draining(backlog: int) -> None:
    """Measure sealing a backlog that grew while nobody sealed."""
    _seal()
    for start in range(0, backlog, BATCH):
        with transaction.atomic():
            record_many(
                Record("bench.waited", BENCH, [Subject("bench", str(number))], data={"number": number})
                for number in range(start, min(start + BATCH, backlog))
            )
    sealed = rate(backlog, _seal)
    row(f"sealing a backlog of {backlog:,} entries", f"{sealed:,.0f}/s")


def verifying() -> None:
    """Measure the whole inner check beside bare SHA-256 over the same bytes."""
    bodies = [body.encode() for body in Entry.objects.order_by("index").values_list("body", flat=True)]
    bare, plain = medians(
        len(bodies),
        lambda: [hashlib.sha256(body).digest() for body in bodies],
        lambda: verify(Request()),
    )
    strict = rate(len(bodies), lambda: verify(Request(is_strict=True)))
    row(f"bare SHA-256 over {len(bodies):,} bodies in memory", f"{bare:,.0f}/s")
    row("verify_ledger, read from the database", f"{plain:,.0f}/s", f"{plain / bare:.2f} of bare")
    row("verify_ledger --strict", f"{strict:,.0f}/s", f"{strict / bare:.2f} of bare")


@contextmanager
def sequencing() -> Iterator[None]:
    """Have the sequencer at work, as a process of its own."""
    command = [sys.executable, str(ROOT / "manage.py"), "ledger_sequencer", "--skip-checks"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        time.sleep(3)
        yield
        _until_sealed()
    finally:
        process.terminate()
        process.wait(timeout=30)


def _until_sealed() -> None:
    while Pending.objects.exists():
        time.sleep(0.2)


def _seal() -> None:
    subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "ledger_sequencer", "--once", "--skip-checks"],
        cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help=f"a backlog of {FULL_BACKLOG:,} entries")
    asked = parser.parse_args()
    if not settings.ENVIRONMENT.uses_embedded_database:
        sys.exit("The bench makes a database of its own: run it without DATABASE_URL.")
    try:
        with throw_away_database():
            capture()
            writers()
            delay()
            draining(FULL_BACKLOG if asked.full else BACKLOG)
            verifying()
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)


if __name__ == "__main__":
    main()
