"""`manage.py ledger_mirror FOLDER`: keep a copy of the ledger's entries and heads, from which it can be recovered."""

from __future__ import annotations

import signal
from argparse import ArgumentParser
from pathlib import Path
from threading import Event
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from governance.ledger.mirror import CannotMirror, Mirror


class Command(BaseCommand):
    """Extend the copy."""

    help = (
        "Copy what was sealed since the last time into a folder: entries, which hold no names, and every signed head. "
        "Keep the folder elsewhere than the database and its backups."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the folder, and how often."""
        parser.add_argument("folder", type=Path)
        parser.add_argument("--every", type=float, metavar="SECONDS", help="go on until SIGTERM, so often")

    def handle(self, *args: Any, folder: Path, every: float | None, **options: Any) -> None:
        """Copy; with --every again and again."""
        stop = Event()
        if every is not None:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: stop.set())
        copy = Mirror(folder)
        try:
            while True:
                copied = copy.extend()
                if copied or every is None:
                    self.stdout.write(f"{copied} entries copied; the copy has {copy.size}.")
                if every is None or stop.wait(max(every, 0.1)):
                    return
        except (CannotMirror, OSError, DatabaseError) as error:
            raise CommandError(str(error)) from error
