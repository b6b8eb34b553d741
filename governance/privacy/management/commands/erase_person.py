"""`manage.py erase_person NAME --ground TEXT [--duty TEXT]`: have somebody's data go, now or when it may."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance.core.actor import Actor, Door
from governance.core.errors import DomainError
from governance.identity.models import Person
from governance.identity.profiles import key
from governance.privacy.erasing import ask
from governance.privacy.models import ErasureState


class Command(BaseCommand):
    """Erase somebody."""

    help = "Erase what is kept of somebody who left, or have it erased when it need no longer be kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take who, why, and what keeps it."""
        parser.add_argument("user_name", help="as their directory called them last")
        parser.add_argument("--ground", required=True, help="why it goes")
        parser.add_argument("--duty", default="", help="what it must be kept for; then it goes when the years are over")

    def handle(self, *_: Any, user_name: str, ground: str, duty: str, **__: Any) -> None:
        """Erase, or say in one sentence why not."""
        person = Person.objects.filter(user_name_key=key(user_name)).order_by("-left_at").first()
        if person is None:
            raise CommandError(f"Nobody has the user name {user_name}.")
        try:
            erasure = ask(person, ground, duty=duty, actor=Actor.system("erase_person", door=Door.COMMAND))
        except DomainError as error:
            raise CommandError(str(error)) from error
        if erasure.state == ErasureState.ERASED:
            self.stdout.write(f"Erased, in {sum(erasure.places.values())} rows. Backups keep it until they are gone.")
        else:
            self.stdout.write(f"It is kept until {erasure.due_at:%Y-%m-%d} and goes then.")
