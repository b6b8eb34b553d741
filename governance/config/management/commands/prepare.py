"""Bring a new or older installation up to this version. Does nothing where nothing is to do."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction

from governance.config import static_files
from governance.config.schema import unapplied_migrations
from governance.ledger.rights import grant_rights, roles_exist
from governance.ledger.triggers import put_in_place


class Command(BaseCommand):
    """Migrate, make the cache table, collect the static files; in local mode also the ledger's key and the demo."""

    help = __doc__
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the switch for the demo."""
        parser.add_argument("--demo", action="store_true", help="load the demo organisation when nobody is there")

    def handle(self, *args: Any, demo: bool, **options: Any) -> None:
        """Do what is to do, saying each step."""
        self._migrate()
        call_command("take_in_rows", stdout=self.stdout)
        call_command("createcachetable", verbosity=0)
        self._grant_rights()
        self._collect_static_files()
        self._make_ledger_key()
        if demo:
            self._load_demo()

    def _migrate(self) -> None:
        waiting = unapplied_migrations()
        if waiting:
            self.stdout.write(f"Applying {waiting} migrations")
            call_command("migrate", interactive=False, verbosity=0)
        elif tables := put_in_place():
            # `migrate` does so too; here what is declared changed without a migration.
            self.stdout.write(f"Capturing the rows of {len(tables)} tables as they are declared now")

    def _grant_rights(self) -> None:
        # Somebody may run everything as one user of the database; `check --deploy` then says what that means.
        if roles_exist():
            with transaction.atomic():
                grant_rights()

    def _collect_static_files(self) -> None:
        present = static_files.fingerprint()
        if static_files.collected() != present:
            self.stdout.write("Collecting the static files")
            call_command("collectstatic", interactive=False, clear=True, verbosity=0)
            static_files.remember(present)

    def _make_ledger_key(self) -> None:
        # In production the key is made by hand and kept where only the sequencer can read it.
        if not settings.ENVIRONMENT.is_production and not settings.ENVIRONMENT.ledger_key.exists():
            self.stdout.write("Making the ledger's signing key")
            call_command("ledger_key", "create")

    def _load_demo(self) -> None:
        if not get_user_model().objects.exists():
            self.stdout.write("Loading the demo organisation")
            call_command("load_demo")
