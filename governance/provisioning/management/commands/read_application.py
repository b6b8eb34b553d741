"""`manage.py read_application SLUG`: read one application now."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance.catalog.queries import application
from governance.core.errors import DomainError
from governance.provisioning.models import Connector
from governance.provisioning.reading import read_application


class Command(BaseCommand):
    """Read one application."""

    help = "Read one application now and say how much of it was read."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take which one."""
        parser.add_argument("slug")

    def handle(self, *_: Any, slug: str, **__: Any) -> None:
        """Read it, or say in one sentence why not."""
        try:
            run = read_application(application(slug))
        except DomainError as error:
            raise CommandError(str(error)) from error
        except Connector.DoesNotExist as error:
            raise CommandError(f"{slug} has no connector.") from error
        whole = "everything" if run.is_complete else f"not everything: {run.error}"
        self.stdout.write(f"{run.received} accounts, {run.holdings_received} holdings, {whole}")
