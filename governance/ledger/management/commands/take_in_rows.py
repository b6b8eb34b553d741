"""`manage.py take_in_rows`: put rows into the ledger that were there before their table was governed."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance.ledger.governing import governed_table
from governance.ledger.models import Baseline
from governance.ledger.taking_in import take_in_everything


class Command(BaseCommand):
    """Take rows in."""

    help = (
        "Record the rows of governed tables that were there before capture began, in batches; it can be stopped and"
        " started again. --again TABLE takes its rows in once more, when a hand at the database was explained."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take --again."""
        parser.add_argument("--again", action="append", default=[], metavar="TABLE", help="take this table in anew")

    def handle(self, *args: Any, again: list[str], **options: Any) -> None:
        """Take in what is not yet, saying each table."""
        for table in again:
            if governed_table(table) is None:
                raise CommandError(f"{table} is not a governed table.")
            Baseline.objects.filter(table=table).delete()
        for table, rows in take_in_everything():
            if rows:
                self.stdout.write(f"{table}: {rows:,} rows")
