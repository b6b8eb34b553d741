"""`manage.py prune_ledger [--dry-run]`: dispose of the texts of the ledger that were kept long enough."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from governance.core.actor import Actor, Door
from governance.privacy.pruning import prune, what_would_go


class Command(BaseCommand):
    """Prune the ledger."""

    help = (
        "Dispose of entries' texts that were kept as long as the rule says. Their hashes stay, and every proof holds."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take whether to do it."""
        parser.add_argument("--dry-run", action="store_true", help="say what would go, and change nothing")

    def handle(self, *_: Any, dry_run: bool, **__: Any) -> None:
        """Dispose of what is ripe, and say what went."""
        actor = Actor.system("prune_ledger", door=Door.COMMAND)
        found = what_would_go(actor=actor) if dry_run else prune(actor=actor)
        total, minimum = 0, 0
        for one in found:
            total, minimum = total + one.entries, one.minimum
            for start, end in one.ranges:
                self.stdout.write(f"{'Would go' if dry_run else 'Went'}: entries {start} to {end - 1}.")
        if not total:
            self.stdout.write("Nothing is to go.")
        elif dry_run:
            self.stdout.write(f"{total:,} texts would be disposed of; the minimum index would be {minimum}.")
        else:
            self.stdout.write(f"{total:,} texts were disposed of; the minimum index is {minimum}.")
