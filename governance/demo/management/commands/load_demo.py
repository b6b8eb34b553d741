"""Load the demo organisation into an empty database, or print who you can be in it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, transaction

from governance.core.actor import Actor, Door, acting_as
from governance.core.clock import now
from governance.core.errors import DomainError
from governance.demo import staff
from governance.demo.audits import GUEST, open_audit
from governance.demo.downstream import connect_relay
from governance.demo.loading import load
from governance.demo.looked_at import look_and_answer
from governance.identity.models import Person


class Command(BaseCommand):
    """Load the demo organisation."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to do, and where the one real application of the demo answers."""
        parser.add_argument("--if-empty", action="store_true", help="do nothing when there are people already")
        parser.add_argument("--sign-ins", action="store_true", help="only print the demo sign-ins")
        parser.add_argument(
            "--downstream-url", help="where the SCIM server behind Relay answers (default: the one of `make run`)"
        )
        parser.add_argument("--downstream-token", help="its bearer token")
        parser.add_argument("--no-downstream", action="store_true", help="leave Relay to be worked by hand")

    def handle(self, *args: Any, if_empty: bool, sign_ins: bool, **options: Any) -> None:
        """Load, or print."""
        if settings.ENVIRONMENT.is_production:
            raise CommandError("The demo is not loaded in production: its people share one known password.")
        if sign_ins:
            self._print_sign_ins()
        elif not (if_empty and Person.objects.exists()):
            self._load(**options)

    def _load(
        self,
        *,
        downstream_url: str | None,
        downstream_token: str | None,
        no_downstream: bool,
        **_: Any,
    ) -> None:
        if (downstream_url is None) != (downstream_token is None):
            raise CommandError("--downstream-url and --downstream-token belong together.")
        try:
            with transaction.atomic(), acting_as(Actor.system("demo", door=Door.COMMAND)) as actor:
                at = now()
                loaded = load(at)
                open_audit(at)
                look_and_answer(at)
                if not no_downstream:
                    connect_relay(
                        downstream_url or settings.ENVIRONMENT.downstream_url,
                        downstream_token or settings.ENVIRONMENT.downstream_token,
                        actor=actor,
                    )
        except DomainError as error:
            raise CommandError(str(error)) from error
        with connection.cursor() as cursor:
            # A bulk load leaves the planner without statistics; the first pages would take seconds.
            cursor.execute("ANALYZE")
        self.stdout.write(
            f"Loaded {staff.COMPANY}: {loaded.people} people, {loaded.rows} rows, {loaded.entries} ledger entries"
        )

    def _print_sign_ins(self) -> None:
        for one in staff.SIGN_INS:
            self.stdout.write(f"{one.part:<24} {one.email}")
        self.stdout.write(f"{'Password for all':<24} {staff.PASSWORD}")
        self.stdout.write(f"{'Auditor from outside':<24} {GUEST.email}")
        self.stdout.write(
            "Only Relay is really connected. In the other applications new access waits to be done by hand"
            " and ticked off under Operations."
        )
