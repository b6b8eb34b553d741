"""`manage.py ledger_key`: make the signing key, show the public key to pin, go over to a new key, add a second line."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from governance.ledger.key_changes import LedgerDamaged
from governance.ledger.key_ring import CannotSign
from governance.ledger.keys import KeyExists, KeySource, add_key, add_second_key, create_key_file, drop_old_keys
from governance.ledger.management.reopening import add_reopening, reopen_log
from governance.ledger.notes import BadKey
from governance.ledger.queries import latest_checkpoint, verifier_key
from governance.ledger.recovering import CannotRecover, Cause
from governance.ledger.remembered import HeadMemory
from governance.ledger.sequencer import SequencerElsewhere
from governance.ledger.standalone import Unverified, open_checkpoint, parse_verifier_key

_CHOICES = ("create", "show", "rotate", "retire", "add-second", "compromised")
_WHAT = """\
create      make the signing key
show        print the public verifier key to pin
rotate      add a new key to the file: the sequencer names it in the log, then both sign
retire      take the older keys out of the file, once the newest signs
add-second  add an ML-DSA-44 key, whose line stands on each head beside Ed25519's
compromised somebody else may have the key: break the log off and go on under another name and key (--why,
            --trusted-size); run it where the sequencer runs, while no sequencer runs
"""


class Command(BaseCommand):
    """Make, show and change the ledger's keys."""

    help = "Make the ledger's signing key (create), print its public verifier key (show), change it (rotate, retire)."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what to do."""
        parser.add_argument("what", choices=_CHOICES, help=_WHAT)
        parser.add_argument(
            "--trusted-size",
            type=int,
            help="the largest head that was kept elsewhere before the key may have been known; compromised needs it",
        )
        add_reopening(parser)

    def handle(self, *args: Any, what: str, **options: Any) -> None:
        """Do it; the verifier key is the last line, alone."""
        path, origin = settings.ENVIRONMENT.ledger_key, settings.ENVIRONMENT.ledger_origin
        if what in {"rotate", "retire", "add-second"} and settings.ENVIRONMENT.ledger_key_text:
            raise CommandError("The keys are in LEDGER_KEY: change them where that is set.")
        try:
            if what == "compromised":
                self._compromised(**options)
                return
            said = getattr(self, f"_{what.replace('-', '_')}")(path, origin)
        except SequencerElsewhere as error:
            raise CommandError("A sequencer runs on this ledger. Stop it first.") from error
        except (
            KeyExists,
            BadKey,
            CannotRecover,
            CannotSign,
            DatabaseError,
            LedgerDamaged,
            OSError,
            psycopg.Error,
        ) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(said)

    def _create(self, path: Path, origin: str) -> str:
        signer = create_key_file(path, origin)
        self.stderr.write(f"Made {path}. Back it up where the database's backups are not.")
        return self._shown(signer.verifier_key)

    def _show(self, path: Path, origin: str) -> str:
        return self._shown(KeySource.of(settings.ENVIRONMENT).read().verifier_key)

    def _rotate(self, path: Path, origin: str) -> str:
        if verifier_key() is None:
            raise CommandError("The log has not started: there is nothing to go over from.")
        signer = add_key(path, origin)
        self.stderr.write(
            f"Added a key to {path}. The sequencer names it in the log within a second; both sign from then on."
        )
        self.stderr.write("Give the new verifier key to whoever pinned the old one, then: manage.py ledger_key retire")
        return self._shown(signer.verifier_key)

    def _retire(self, path: Path, origin: str) -> str:
        newest = KeySource.of(settings.ENVIRONMENT).read().verifier_key
        head = latest_checkpoint()
        try:
            open_checkpoint(head.note if head else "", parse_verifier_key(newest))
        except Unverified as error:
            raise CommandError(
                f"The newest key has not signed a head yet ({error}). Does the sequencer run?"
            ) from error
        self.stderr.write(f"{drop_old_keys(path, origin)} older keys taken out of {path}; destroy their copies.")
        return self._shown(newest)

    def _add_second(self, path: Path, origin: str) -> str:
        second = add_second_key(path, origin)
        self.stderr.write(
            "Each head carries an ML-DSA-44 line from now on. Its verifier key, named in the log as well:"
        )
        return second.verifier_key

    def _compromised(self, *, trusted_size: int | None, **options: Any) -> None:
        if trusted_size is None:
            raise CommandError(
                "Say up to which size heads are evidence, with --trusted-size: the largest that a witness or an anchor "
                "kept before the key may have been known."
            )
        memory = HeadMemory(settings.ENVIRONMENT.ledger_head)
        reopen_log(
            self,
            Cause.KEY_COMPROMISED,
            memory,
            why=options["why"],
            new_key=options["new_key"],
            remembered=memory.note(),
            trusted_size=trusted_size,
        )

    def _shown(self, key: str) -> str:
        self.stderr.write(f"Fingerprint (SHA-256): {parse_verifier_key(key).fingerprint}")
        return key
