"""`manage.py hr_file FILE.csv [--full] [--dry-run]`: joiners, changes, leave dates and leavers from a file."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance.core.actor import Actor, Door
from governance.lifecycle import people_file
from governance.lifecycle.people_file import Outcome, Unreadable
from governance.lifecycle.people_file_reading import MOST_PROBLEMS

#: So many names of each kind are printed.
NAMED = 20


class Command(BaseCommand):
    """Apply a file of people, all of it or nothing."""

    help = "Apply a CSV file of people: joiners, changes, leave dates and leavers. docs/operations.md has the format."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file and how to read it."""
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--full",
            action="store_true",
            help="the file lists everybody with an employee number; who is missing has left",
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would happen and change nothing")

    def handle(self, *_: Any, file: Path, full: bool, dry_run: bool, **__: Any) -> None:
        """Apply the file, or say every problem by its row."""
        actor = Actor.system("hr_file", door=Door.COMMAND)
        try:
            raw = file.read_bytes()
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}") from error
        try:
            if dry_run:
                outcome = people_file.preview(raw, is_full=full, actor=actor)
            else:
                outcome = people_file.apply(raw, name=file.name, is_full=full, actor=actor)
        except Unreadable as error:
            told = [str(problem) for problem in error.problems[:MOST_PROBLEMS]]
            raise CommandError("\n".join(["Nothing was changed.", *told])) from error
        self._tell(outcome, dry_run=dry_run)

    def _tell(self, outcome: Outcome, *, dry_run: bool) -> None:
        self.stdout.write(f"{outcome.rows} rows read. {'This would happen:' if dry_run else 'Done:'}")
        for word, names in (
            ("join", outcome.joined),
            ("change", outcome.changed),
            ("leave", outcome.left),
            ("get a leave date", outcome.planned),
            ("stay after all", outcome.called_off),
            ("are held by the brake, for a security administrator to decide", outcome.held),
            ("are kept as their directory says", outcome.kept),
        ):
            if names:
                more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
                self.stdout.write(f"  {len(names)} {word}: {', '.join(names[:NAMED])}{more}")
        if outcome.is_nothing:
            self.stdout.write("  Nothing changes.")
