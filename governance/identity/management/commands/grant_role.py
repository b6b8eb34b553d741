"""`manage.py grant_role EMAIL ROLE`: give somebody a role in Gatehouse, for instance the first administrator."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance.core.actor import Actor, Door
from governance.core.errors import DomainError
from governance.identity.models import RoleName
from governance.identity.queries import person_by_email
from governance.identity.roles import assign_role, remove_role


class Command(BaseCommand):
    """Give or take a role."""

    help = "Give somebody a role in Gatehouse: employee, owner, security_admin or auditor."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take an address and a role."""
        parser.add_argument("email")
        parser.add_argument("role", choices=RoleName.values)
        parser.add_argument("--remove", action="store_true", help="take the role away instead")

    def handle(self, *_: Any, email: str, role: str, remove: bool, **__: Any) -> None:
        """Give or take the role, or say in one sentence why not."""
        change = remove_role if remove else assign_role
        try:
            person = person_by_email(email)
            change(person, role, actor=Actor.system("grant_role", door=Door.COMMAND))
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{person.display_name} is {'no longer ' if remove else ''}{RoleName(role).label.lower()}.")
