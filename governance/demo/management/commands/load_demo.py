"""Load the demo organisation into an empty database, or print who you can be in it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from governance.core.clock import now
from governance.core.errors import Conflict
from governance.demo import staff
from governance.demo.loading import load
from governance.identity.models import Person


class Command(BaseCommand):
    """Load the demo organisation."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to do."""
        parser.add_argument("--if-empty", action="store_true", help="do nothing when there are people already")
        parser.add_argument("--sign-ins", action="store_true", help="only print the demo sign-ins")

    def handle(self, *args: Any, if_empty: bool, sign_ins: bool, **options: Any) -> None:
        """Load, or print."""
        if settings.ENVIRONMENT.is_production:
            raise CommandError("The demo is not loaded in production: its people share one known password.")
        if sign_ins:
            self._print_sign_ins()
            return
        if if_empty and Person.objects.exists():
            return
        try:
            loaded = load(now())
        except Conflict as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"Loaded {staff.COMPANY}: {loaded.people} people, {loaded.rows} rows, {loaded.entries} entries"
        )

    def _print_sign_ins(self) -> None:
        for one in staff.SIGN_INS:
            self.stdout.write(f"{one.part:<24} {one.email}")
        self.stdout.write(f"{'Password for all':<24} {staff.PASSWORD}")
