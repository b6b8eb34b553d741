"""`manage.py ledger_key create` makes the signing key; `show` prints the public key to pin."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from governance.ledger.keys import KeyExists, create_key_file, read_key_file
from governance.ledger.notes import BadKey
from governance.ledger.standalone import parse_verifier_key


class Command(BaseCommand):
    """Make or show the ledger's key."""

    help = "Make the ledger's signing key (create), or print its public verifier key (show)."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what to do."""
        parser.add_argument("what", choices=["create", "show"])

    def handle(self, *args: Any, what: str, **options: Any) -> None:
        """Do it; the verifier key is the last line, alone."""
        path, origin = settings.ENVIRONMENT.ledger_key, settings.ENVIRONMENT.ledger_origin
        try:
            signer = create_key_file(path, origin) if what == "create" else read_key_file(path, origin)
        except (KeyExists, BadKey) as error:
            raise CommandError(str(error)) from error
        if what == "create":
            self.stderr.write(f"Made {path}. Back it up where the database's backups are not.")
        self.stderr.write(f"Fingerprint (SHA-256): {parse_verifier_key(signer.verifier_key).fingerprint}")
        self.stdout.write(signer.verifier_key)
