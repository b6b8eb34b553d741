"""`manage.py add_person EMAIL NAME`: add somebody by hand, for instance the first administrator."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import EmailValidator

from governance.core.actor import Actor, Door
from governance.core.errors import DomainError
from governance.identity.profiles import Profile
from governance.lifecycle.actions import join

_is_address = EmailValidator()


class Command(BaseCommand):
    """Add somebody by hand."""

    help = "Add somebody who does not come from an identity provider. Then give them a role and a password."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take who it is."""
        parser.add_argument("email")
        parser.add_argument("name")
        parser.add_argument("--title", default="")
        parser.add_argument("--department", default="")

    def handle(self, *_: Any, email: str, name: str, title: str, department: str, **__: Any) -> None:
        """Add the person, or say in one sentence why not."""
        profile = Profile(user_name=email, email=email, display_name=name, title=title, department=department)
        try:
            _is_address(email)
            person = join(profile, source="command", actor=Actor.system("add_person", door=Door.COMMAND))
        except DomainError as error:
            raise CommandError(str(error)) from error
        except ValidationError as error:
            raise CommandError(f"email: {email} is not an address.") from error
        self.stdout.write(f"{person.display_name} was added as {person.user_name}.")
