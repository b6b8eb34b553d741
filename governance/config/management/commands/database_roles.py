"""`manage.py database_roles`: the three roles of the database, so that no door can touch the sealed ledger."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, transaction

from governance.config.database_roles import make_roles_sql
from governance.ledger.rights import grant_rights, roles_exist


class Command(BaseCommand):
    """Print the SQL that makes the roles, or give them their rights."""

    help = (
        "Without an option: give the runtime and the sequencer role their rights on every table, as the owner of the"
        " tables. `prepare` does so after each migration."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take --sql."""
        parser.add_argument(
            "--sql",
            action="store_true",
            help="print what a superuser runs once in the database, with psql: it makes the roles and their owner",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print, or grant."""
        if options["sql"]:
            self.stdout.write(make_roles_sql(can_sign_in=False))
            return
        if not roles_exist():
            raise CommandError(
                "The roles are not there yet. A superuser makes them: manage.py database_roles --sql | psql …"
            )
        try:
            with transaction.atomic():
                count = grant_rights()
        except DatabaseError as error:
            raise CommandError(f"The rights could not be given: {str(error).strip()}") from error
        if not count:
            raise CommandError("No table belongs to the user of DATABASE_URL. Run this as the owner of the tables.")
        self.stdout.write(f"Rights given on {count} tables.")
