"""`manage.py rotate_field_keys`: encrypt every secret at rest anew with the newest field key."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance.provisioning.secrets import SecretUnreadable, rotate_all


class Command(BaseCommand):
    """Rotate the keys of secrets at rest."""

    help = "Encrypt every secret at rest anew with the first of FIELD_KEYS. Afterwards the old keys can go."

    def handle(self, *_: Any, **__: Any) -> None:
        """Rotate, and say how many."""
        try:
            self.stdout.write(f"{rotate_all()} secrets are encrypted with the newest key.")
        except SecretUnreadable as error:
            raise CommandError(str(error)) from error
