"""`manage.py ledger_recover`: after a restore, put back what is missing from a copy, or go on as a new log.

Run it where the sequencer runs, as its user and with its database role, while no sequencer runs: docs/operations.md.
"""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from governance.ledger.going_again import what_came_back
from governance.ledger.key_changes import LedgerDamaged
from governance.ledger.key_ring import CannotSign
from governance.ledger.management.reopening import add_reopening, reopen_log
from governance.ledger.mirror import CannotMirror, Mirror
from governance.ledger.notes import BadKey
from governance.ledger.queries import latest_checkpoint
from governance.ledger.recovering import CannotRecover, Cause, rehearse, replay
from governance.ledger.remembered import HeadMemory
from governance.ledger.sequencer import SequencerElsewhere
from governance.ledger.standalone import Unverified, open_any_checkpoint

_WHAT = """\
state    compare the database with the last head that was signed here, and with a copy (--from); change nothing
replay   put back the entries that the database lacks, from a copy made by ledger_mirror (--from)
reopen   what is missing cannot be had: break the log off and go on under another name and key (--why)
"""


class Command(BaseCommand):
    """Recover the ledger after a restore."""

    help = "After a restored backup: compare (state), put back from a copy (replay), or go on as a new log (reopen)."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what to do."""
        parser.add_argument("what", choices=["state", "replay", "reopen"], help=_WHAT)
        parser.add_argument("--from", dest="folder", type=Path, help="the copy, a folder made by ledger_mirror")
        parser.add_argument("--checkpoint", type=Path, help="the largest head known, when it is not the one kept here")
        add_reopening(parser)

    def handle(self, *args: Any, what: str, **options: Any) -> None:
        """Do it."""
        try:
            memory = HeadMemory(settings.ENVIRONMENT.ledger_head)
            getattr(self, f"_{what}")(memory, **options)
        except SequencerElsewhere as error:
            raise CommandError("A sequencer runs on this ledger. Stop it first.") from error
        except (
            BadKey,
            CannotMirror,
            CannotRecover,
            CannotSign,
            DatabaseError,
            LedgerDamaged,
            OSError,
            Unverified,
            # What is copied into a table goes past Django, and so do its errors.
            psycopg.Error,
        ) as error:
            raise CommandError(str(error)) from error

    def _state(self, memory: HeadMemory, *, folder: Path | None, **options: Any) -> None:
        self._say_what_is_back(folder)
        head, seen = latest_checkpoint(), memory.read()
        size = head.size if head else 0
        self.stdout.write(f"In the database: {size} entries under the newest head.")
        if seen is None:
            self.stdout.write(f"Nothing is remembered in {memory.path}.")
            return
        self.stdout.write(f"Signed here: {seen.size} entries of {seen.origin}, root {seen.root.hex()}.")
        if seen.size > size:
            self.stdout.write(f"{seen.size - size} entries are missing. Nothing is sealed until they are back.")
        else:
            self.stdout.write("Nothing is missing.")

    def _say_what_is_back(self, folder: Path | None) -> None:
        """Say what is here and, as the log or what a copy has more of it says, is gone."""
        if back := what_came_back():
            self.stdout.write(f"The log says that this is gone, and it is here: {back}. It goes within the hour.")
        if folder is None:
            return
        try:
            would = rehearse(Mirror(folder))
        except CannotRecover as error:
            self.stdout.write(str(error))
            return
        self.stdout.write(f"From the copy {would.size - would.start} entries could be put back.")
        if would.gone:
            self.stdout.write(f"They say that this is gone, and it would be taken away again at once: {would.gone}.")

    def _replay(self, memory: HeadMemory, *, folder: Path | None, **options: Any) -> None:
        if folder is None:
            raise CommandError("Say where the copy is: --from FOLDER")
        done = replay(Mirror(folder))
        self.stdout.write(
            f"{done.size - done.start} entries put back, {done.heads} heads, each checked. {done.dropped} that waited "
            "were sealed before and are dropped."
        )
        if done.gone:
            self.stdout.write(f"The log says that this was gone, and it was taken away again: {done.gone}.")
        self.stdout.write("The rows of other tables are those of the backup: see manage.py verify_ledger --replay")
        seen = memory.read()
        if seen is not None and seen.size > done.size:
            self.stdout.write(
                f"A head of {seen.size} entries was signed here: the last {seen.size - done.size} are in no copy. If "
                "they cannot be had: manage.py ledger_recover reopen --why WHY"
            )
        else:
            self.stdout.write("Nothing is missing. Start the sequencer.")

    def _reopen(self, memory: HeadMemory, **options: Any) -> None:
        given: Path | None = options["checkpoint"]
        remembered = given.read_text(encoding="utf-8") if given is not None else memory.note()
        head = latest_checkpoint()
        if remembered is None:
            raise CommandError("No head is remembered here: name the largest that was kept elsewhere (--checkpoint).")
        seen = open_any_checkpoint(remembered)
        if head is not None and open_any_checkpoint(head.note).origin == seen.origin and seen.size <= head.size:
            raise CommandError("Nothing is missing: this ledger reaches as far as what was signed here.")
        said = {"why": options["why"], "new_key": options["new_key"], "remembered": remembered}
        reopen_log(self, Cause.RESTORED, memory, **said)
