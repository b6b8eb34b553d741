"""`manage.py verify_ledger`: check all that is stored against what was signed.

Exit 0 when it holds, 1 when it is damaged, 2 when it could not look.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError

from governance.ledger import replay
from governance.ledger.standalone import Unverified, VerifierKey, parse_verifier_key
from governance.ledger.taking_in import waiting_tables
from governance.ledger.verification import Damaged, Request, verify

HOLDS, DAMAGED, COULD_NOT_LOOK = 0, 1, 2
_WORDS = {"missing": "the row is gone", "extra": "nothing was recorded of this row", "changed": "differs in "}


class Command(BaseCommand):
    """Verify the ledger."""

    help = (
        "Re-hash every entry, compare the columns with the sealed text, recompute the root at every signed head and "
        "check every signature. Exit 0 when it holds, 1 with the first entry that does not, 2 when it could not look."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what to check against."""
        parser.add_argument(
            "--from", dest="start", type=int, default=0, metavar="N", help="re-hash from entry N on only"
        )
        parser.add_argument(
            "--checkpoint",
            action="append",
            default=[],
            type=Path,
            metavar="FILE",
            help="a checkpoint that was kept elsewhere",
        )
        parser.add_argument("--key", metavar="VKEY", help="the verifier key to pin, or a file with it")
        parser.add_argument(
            "--replay",
            action="store_true",
            help="also compare the rows that are there with what the ledger says of them",
        )
        parser.add_argument("--strict", action="store_true", help="also check that every entry is canonical JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Verify and leave with the exit code."""
        try:
            self._say_verdict(_request(options))
            if options["replay"] and self._say_differences():
                sys.exit(DAMAGED)
        except Damaged as damage:
            where = "" if damage.index is None else f" at entry {damage.index}"
            self.stdout.write(f"DAMAGED{where}: {damage}")
            sys.exit(DAMAGED)
        except (DatabaseError, OSError, LookupError, Unverified) as error:
            self.stderr.write(f"Could not look: {error}")
            sys.exit(COULD_NOT_LOOK)

    def _say_differences(self) -> int:
        """Say which rows are not as the ledger has them; return how many."""
        compared = replay.compare_everything()
        for table in compared:
            for one in table.differences:
                entry = "" if one.entry_index is None else f", last in entry {one.entry_index}"
                self.stdout.write(f"DIFFERS: {one.table} {one.key}: {_WORDS[one.what]}{', '.join(one.columns)}{entry}")
            if table.different > len(table.differences):
                self.stdout.write(f"… and {table.different - len(table.differences):,} more rows of {table.table}")
        for name in sorted(waiting_tables()):
            self.stdout.write(f"Not compared: {name}; its rows are not all taken in (manage.py take_in_rows).")
        rows, different = sum(one.rows for one in compared), sum(one.different for one in compared)
        self.stdout.write(f"{rows:,} rows of {len(compared)} tables compared, {different:,} differ.")
        return different

    def _say_verdict(self, request: Request) -> None:
        verdict = verify(request)
        self.stdout.write(f"The ledger holds: {verdict.size} entries under {verdict.heads} signed heads.")
        self.stdout.write(f"Root {verdict.root.hex()}")
        for one in verdict.breaks:
            self.stdout.write(
                f"Entry {one.size}: the log {one.former} was broken off ({one.cause}) and goes on as {one.key.name}. "
                f"{one.why}"
            )
        for size in verdict.lost:
            self.stdout.write(f"The checkpoint of size {size} is of entries that are lost, as the log says itself.")
        pinned = (
            "pinned" if request.key else "NOT pinned, taken from the database itself; compare it with your own record"
        )
        self.stdout.write(f"Key {verdict.key.name}, fingerprint {verdict.key.fingerprint} ({pinned})")


def _request(options: dict[str, Any]) -> Request:
    return Request(
        start=options["start"],
        is_strict=options["strict"],
        anchors=tuple(path.read_text() for path in options["checkpoint"]),
        key=_key(options["key"]),
    )


def _key(given: str | None) -> VerifierKey | None:
    if given is None:
        return None
    return parse_verifier_key(Path(given).read_text() if Path(given).is_file() else given)
