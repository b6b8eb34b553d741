"""Measures evidence: each report over many grants, a long CSV beside the bare COPY, a workbook, the cover on paper, and
a bundle over a long ledger with its verification.

`--full` takes two million grants and a ledger of a million entries; the default a twentieth of that.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path

import psutil

from house import FOLDER, KEPT_FOLDER, migrated, row  # isort: skip - sets Django up

from access_world import World, build, settle, show  # isort: skip
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

from governance.config import postgres
from governance.core.actor import Actor, Door
from governance.core.clock import now
from governance.evidence import actions, building, cover_pdf, sheets
from governance.evidence.periods import Period
from governance.evidence.questions import Question
from governance.evidence.reading import RollForward, copy_out, snapshot
from governance.evidence.reports.registry import REPORTS
from governance.evidence.verifier.source import verifier_source
from governance.identity.models import Person
from governance.ledger.queries import latest_checkpoint
from governance.ledger.recording import Record, Subject, record_many

BENCH = Actor.system("bench", door=Door.COMMAND)
FULL_GRANTS, FULL_ENTRIES = 2_000_000, 1_000_000


def question() -> Question:
    """Ask about the last whole year."""
    at, head = now(), latest_checkpoint()
    period = Period(date(at.year - 1, 12, 1), at.date(), "Europe/Berlin")
    return Question("soc2", period, at, head.size if head else 0, 24, 24)


def reports(world: World) -> None:
    """Measure each report, read by COPY into a file as a bundle does."""
    with tempfile.TemporaryDirectory() as folder, snapshot():
        for report in REPORTS:
            began = time.perf_counter()
            file, _ = copy_out(report, question().parameters(), Path(folder))
            took = time.perf_counter() - began
            row(f"{report.id} {report.title}, {world.grants:,} grants", f"{took:.1f} s", f"{file.size / 1e6:.1f} MB")


_ROWS = """
SELECT n AS row_no, md5(n::text) AS a, md5((n + 1)::text) AS b, 'grant:' || n AS c, n % 97 AS d, now() AS e,
    'Ada Lovelace' AS f, 'snowflake' AS g, 'analyst' AS h, n AS i, 'manual' AS j, NULL AS k
FROM generate_series(1, {count}) AS n"""


def long_csv(count: int) -> None:
    """Measure a CSV of many rows with its digests, beside the bare COPY of the same; and the memory it takes."""
    statement = _ROWS.format(count=count)

    def bare() -> None:
        with connection.cursor() as cursor, cursor.copy(f"COPY ({statement}) TO STDOUT (FORMAT csv)") as copy:
            for _ in copy:
                pass

    class Long:
        file_stem, sql = "long", statement

    with tempfile.TemporaryDirectory() as folder:
        before = psutil.Process().memory_info().rss
        anchor, ours = _seconds(bare), _seconds(lambda: copy_out(Long(), {}, Path(folder)))  # type: ignore[arg-type]
        grown = psutil.Process().memory_info().rss - before
    row(f"bare COPY of {count:,} rows", f"{count / anchor:,.0f}/s")
    row("the same into a CSV with a digest for each row", f"{count / ours:,.0f}/s", f"{anchor / ours:.2f} of bare")
    row("memory it took besides", f"{grown / 1e6:.0f} MB")


def copies(count: int) -> None:
    """Measure a workbook of many rows and the cover on paper."""
    report = REPORTS[0]
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "rows.csv")
        with table.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(report.header)
            writer.writerows([str(number), *["7"] * (len(report.header) - 1)] for number in range(1, count + 1))
        took = _seconds(lambda: sheets.sheet(report, table))
    row(f"workbook of {count:,} rows, {len(report.header)} columns", f"{took:.1f} s")
    gaps = [("stale", f"application-{number}", "Last read completely 30 h before.") for number in range(200)]
    asked = {"root": bytes(32), "told": [], "gaps": gaps, "rolled": RollForward(1, 1, 1, 1)}
    row("cover on paper", f"{_seconds(lambda: cover_pdf.cover_pdf(question(), **asked)):.2f} s")  # type: ignore[arg-type]


def bundle(entries: int) -> None:
    """Measure a bundle over a ledger of so many entries, built and verified alone."""
    people = list(Person.objects.values_list("ref", flat=True)[:1000])
    for start in range(0, entries, 10_000):
        with transaction.atomic():
            record_many(
                [
                    Record("bench.written", BENCH, [Subject("person", str(people[number % 500]))], {"n": number})
                    for number in range(start, min(start + 10_000, entries))
                ]
            )
    sealed = _seconds(lambda: call_command("ledger_sequencer", "--once"))
    row(f"sealing a backlog of {entries:,} entries", f"{entries / sealed:,.0f}/s", f"{sealed:.0f} s")
    asked = actions.request_bundle("soc2", first=date(now().year - 1, 12, 1), last=now().date(), actor=BENCH)

    def build_it() -> None:
        for _ in range(6):
            if building.advance(asked.pk):
                return
            call_command("ledger_sequencer", "--once")

    took = _seconds(build_it)
    asked.refresh_from_db()
    assert asked.state == "ready", asked.last_error
    packed = Path(settings.BUNDLE_DIR, asked.file_name)
    row(f"bundle over {asked.ledger_size:,} entries", f"{took:.1f} s", f"{packed.stat().st_size / 1e6:.0f} MB")
    script = Path(FOLDER, "verify.py")
    script.write_text(verifier_source())
    command = [sys.executable, "-I", "-S", script, packed]
    checked = _seconds(lambda: subprocess.run(command, check=True, capture_output=True))
    row("the same, verified alone", f"{checked:.1f} s")


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def main() -> None:
    """Measure and print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--full", dest="scale", action="store_const", const=1.0, default=0.05, help="the full size")
    options.add_argument("--scale", type=float, help="the part of the full size (0.05)")
    parts = ("reports", "csv", "copies", "bundle")
    options.add_argument("--only", nargs="+", choices=parts, default=parts, metavar="PART")
    chosen = options.parse_args()
    if not settings.ENVIRONMENT.uses_embedded_database:
        sys.exit("The bench makes a database of its own: run it without DATABASE_URL.")
    scale = chosen.scale
    world = World(max(500, int(40_000 * scale)), max(60, int(200 * scale)), max(10_000, int(FULL_GRANTS * scale)))
    acts: dict[str, Callable[[], object]] = {
        "reports": lambda: reports(world),
        "csv": lambda: long_csv(max(50_000, int(1_000_000 * scale))),
        "copies": lambda: copies(max(5_000, int(50_000 * scale))),
        "bundle": lambda: bundle(max(20_000, int(FULL_ENTRIES * scale))),
    }
    durable = {"max_wal_size": "4GB", "shared_buffers": "1GB"}
    try:
        with postgres.running(settings.ENVIRONMENT.data_dir, settings=durable):
            migrated()
            if not Person.objects.exists():
                with Path(os.devnull).open("w") as nowhere:
                    call_command("ledger_key", "create", stdout=nowhere)
                took = _seconds(lambda: (build(world), show(world), settle()))
                row(f"{world.people:,} people, {world.grants:,} grants, with what applications show", f"{took:.0f} s")
            for name in chosen.only:
                acts[name]()
            connection.close()
    finally:
        if not KEPT_FOLDER:
            with suppress(OSError):
                shutil.rmtree(FOLDER)


if __name__ == "__main__":
    main()
