"""`manage.py set_password EMAIL`: give somebody a password, asked for at the terminal or read from standard input."""

from __future__ import annotations

import getpass
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance.core.actor import Actor, Door
from governance.core.errors import DomainError
from governance.identity.passwords import set_password
from governance.identity.queries import person_by_email


class Command(BaseCommand):
    """Set a password."""

    help = (
        "Give somebody a password. Asks for it; when standard input is not a terminal, its first line is the password."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take an address."""
        parser.add_argument("email")

    def handle(self, *_: Any, email: str, **__: Any) -> None:
        """Set the password, or say in one sentence why not."""
        asks = sys.stdin.isatty()
        password = getpass.getpass("Password: ") if asks else sys.stdin.readline().rstrip("\n")
        if asks and getpass.getpass("Again: ") != password:
            raise CommandError("The two passwords differ.")
        try:
            person = person_by_email(email)
            set_password(person, password, actor=Actor.system("set_password", door=Door.COMMAND))
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{person.display_name} can sign in with the new password.")
