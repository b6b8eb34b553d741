"""Measures evidence: each report over many grants, a long CSV beside the bare COPY, a workbook, the cover on paper, and
a bundle over a long ledger with its verification. What takes memory is measured in processes of their own.

`--full` takes two million grants and a ledger of a million entries; the default a twentieth of that.
"""

from __future__ import annotations

import argparse
import csv
import json
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

from house import FOLDER, KEPT_FOLDER, migrated, row  # isort: skip - sets Django up

from access_world import World, build, settle, show  # isort: skip
from evidence_world import stand_behind  # isort: skip
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

from governance.access.models import Grant
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
from governance.ledger.queries import latest_checkpoint, verifier_key
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


class Long:
    """A report of many rows, as far as `copy_out` looks at it."""

    file_stem = "long"

    def __init__(self, count: int) -> None:
        """Be of so many rows."""
        self.sql = _ROWS.format(count=count)


def long_csv(count: int) -> None:
    """Measure a CSV of many rows with its digests, beside the bare COPY of the same; and the memory it takes."""

    def bare() -> None:
        with connection.cursor() as cursor, cursor.copy(f"COPY ({Long(count).sql}) TO STDOUT (FORMAT csv)") as copy:
            for _ in copy:
                pass

    anchor, ours, few = _seconds(bare), alone("csv", count), alone("csv", 1000)
    row(f"bare COPY of {count:,} rows", f"{count / anchor:,.0f}/s")
    took = ours["seconds"]
    row("the same into a CSV with a digest for each row", f"{count / took:,.0f}/s", f"{anchor / took:.2f} of bare")
    grown = f"{ours['peak'] / few['peak']:.2f} of that for 1,000"
    row("peak memory of the process that writes it", f"{ours['peak'] / 1e6:.0f} MB", grown)


def write_csv(count: int) -> None:
    """Write a CSV of so many rows: what `alone` does of it."""
    with tempfile.TemporaryDirectory() as folder:
        copy_out(Long(count), {}, Path(folder))  # type: ignore[arg-type]


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
    asked = {"root": bytes(32), "told": [], "gaps": gaps, "rolled": RollForward(1, 1, 1, 1), "answered": "none"}
    row("cover on paper", f"{_seconds(lambda: cover_pdf.cover_pdf(question(), **asked)):.2f} s")  # type: ignore[arg-type]


def bundle(entries: int) -> None:
    """Measure a bundle over a ledger of so many entries, built and verified alone."""
    fill_ledger(entries)
    asked = actions.request_bundle("soc2", first=date(now().year - 1, 12, 1), last=now().date(), actor=BENCH)
    made = alone("bundle", asked.pk)
    asked.refresh_from_db()
    assert asked.state == "ready", (asked.state, asked.step, asked.last_error)
    packed = Path(settings.BUNDLE_DIR, asked.file_name)
    size = f"{packed.stat().st_size / 1e6:.0f} MB"
    cpu = f"{made['cpu']:.0f} s of processor, ours"
    row(f"bundle over {asked.ledger_size:,} entries, {size}", f"{made['seconds']:.0f} s", cpu)
    row("peak memory of the process that builds it", f"{made['peak'] / 1e6:.0f} MB")
    script = Path(FOLDER, "verify.py")
    script.write_text(verifier_source())
    began, peak = time.perf_counter(), 0
    command = [sys.executable, "-I", "-S", script, packed, "--key", verifier_key() or ""]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as verifier:
        while verifier.poll() is None:
            peak = max(peak, _peak(verifier.pid))
            time.sleep(0.02)
    took = time.perf_counter() - began
    assert verifier.returncode == 0, "The bundle was not verified."
    row("the same, verified alone", f"{took:.1f} s", f"{took / made['seconds']:.2f} of building")
    row("peak memory of the verifier", f"{peak / 1e6:.0f} MB")


def fill_ledger(entries: int) -> None:
    """Write entries about grants and the people who have them, until there are so many, and seal them."""
    head = latest_checkpoint()
    missing = entries - (head.size if head else 0)
    if missing <= 0:
        return
    held = list(Grant.objects.order_by("id").values_list("id", "person__ref")[:missing])
    for start in range(0, missing, 10_000):
        with transaction.atomic():
            record_many([_entry(number, *held[number % len(held)]) for number in range(start, start + 10_000)])
    sealed = _seconds(lambda: call_command("ledger_sequencer", "--once"))
    row(f"sealing a backlog of {missing:,} entries", f"{missing / sealed:,.0f}/s", f"{sealed:.0f} s")


def _entry(number: int, grant_id: int, person: object) -> Record:
    return Record(
        "bench.written", BENCH, [Subject("grant", str(grant_id)), Subject("person", str(person))], {"n": number}
    )


def build_bundle(bundle_id: int) -> None:
    """Build a bundle, with a sequencer between the steps: what `alone` does of it."""
    for _ in range(6):
        if building.advance(bundle_id):
            return
        call_command("ledger_sequencer", "--once")


ALONE: dict[str, Callable[[int], None]] = {"csv": write_csv, "bundle": build_bundle}


def alone(part: str, number: int) -> dict[str, float]:
    """Do a part in a process of its own; return its `seconds`, those of the processor (`cpu`), and its `peak` in bytes.

    The peak is the most that it had in memory.
    """
    command = [sys.executable, __file__, "--alone", part, str(number)]
    told = subprocess.run(
        command, env={**os.environ, "BENCH_FOLDER": FOLDER}, check=True, capture_output=True, text=True
    )
    return dict(json.loads(told.stdout.splitlines()[-1]))


def be_alone(part: str, number: int) -> None:
    """Do a part here and tell what it took."""
    took = _seconds(lambda: ALONE[part](number))
    print(json.dumps({"seconds": took, "cpu": time.process_time(), "peak": _peak(os.getpid())}))


def _peak(pid: int) -> int:
    """Return the most bytes that a process has had in memory; 0 when it is over."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


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
    options.add_argument("--alone", nargs=2, metavar=("PART", "NUMBER"), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if not settings.ENVIRONMENT.uses_embedded_database:
        sys.exit("The bench makes a database of its own: run it without DATABASE_URL.")
    if chosen.alone:
        be_alone(chosen.alone[0], int(chosen.alone[1]))
        return
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
                took = _seconds(lambda: (build(world), show(world), stand_behind(), settle()))
                row(f"{world.people:,} people, {world.grants:,} grants, with what stands behind", f"{took:.0f} s")
            for name in chosen.only:
                acts[name]()
            connection.close()
    finally:
        if not KEPT_FOLDER:
            with suppress(OSError):
                shutil.rmtree(FOLDER)


if __name__ == "__main__":
    main()
