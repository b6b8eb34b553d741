"""What `ledger_recover reopen` and `ledger_key compromised` share: a new key, the break, the key file afterwards."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand

from governance.ledger.key_ring import KeyRing
from governance.ledger.keys import replace_keys
from governance.ledger.queries import latest_checkpoint
from governance.ledger.recovering import CannotRecover, Cause, new_key, next_origin, reopen
from governance.ledger.remembered import HeadMemory
from governance.ledger.standalone import open_any_checkpoint, parse_verifier_key


def add_reopening(parser: ArgumentParser) -> None:
    """Take why, and a key that is kept elsewhere than in a file."""
    parser.add_argument("--why", default="", help="the reason, for everybody and for ever; no names")
    parser.add_argument(
        "--new-key",
        type=Path,
        help="a file with the new log's key, in the form of the key file; needed where the keys are in LEDGER_KEY",
    )


def reopen_log(
    command: BaseCommand,
    cause: Cause,
    memory: HeadMemory,
    *,
    why: str,
    new_key: Path | None,
    remembered: str | None,
    trusted_size: int | None = None,
) -> None:
    """Break the log off, put the new key into its place, and say what is to do. Errors are those of `reopen`.

    A run that was killed in the middle is taken up again: the break is made once.
    """
    in_file = settings.ENVIRONMENT.ledger_key_text is None
    ring = _unfinished(new_key)
    if ring is None:
        ring = _ring(new_key, [open_any_checkpoint(remembered).origin] if remembered else [])
        if in_file:
            replace_keys(_draft(), ring)
        reopen(cause, why, ring=ring, remembered=remembered, trusted_size=trusted_size)
    head = latest_checkpoint()
    assert head is not None
    memory.keep(head.note)
    if in_file:
        _draft().replace(settings.ENVIRONMENT.ledger_key)
    else:
        command.stderr.write("Set LEDGER_KEY to the new key before you start the sequencer.")
    command.stderr.write(f"The log goes on as {ring.name}, from {head.size} entries. The entry that says so is sealed.")
    command.stderr.write("Destroy the former key. Give the new verifier key to everybody who pinned the former one, by")
    command.stderr.write("other means than this installation: on paper, by telephone. A second line: add-second again.")
    command.stderr.write(f"Fingerprint (SHA-256): {parse_verifier_key(ring.verifier_key).fingerprint}")
    command.stdout.write(ring.verifier_key)


def _unfinished(given: Path | None) -> KeyRing | None:
    """Return the new key when an earlier run broke the log off and was stopped before the key was in its place."""
    head = latest_checkpoint()
    for path in (_draft(), given):
        if path is not None and path.is_file() and head is not None:
            ring = KeyRing.parse(path.read_text())
            if ring.verifier_key == head.verifier_key:
                return ring
    return None


def _ring(given: Path | None, in_use: list[str]) -> KeyRing:
    wanted = next_origin(*in_use)
    if given is None and settings.ENVIRONMENT.ledger_key_text is not None:
        raise CannotRecover(f"The keys are in LEDGER_KEY: make one for {wanted} and name its file with --new-key.")
    ring = KeyRing((new_key(*in_use),)) if given is None else KeyRing.parse(given.read_text())
    if ring.name != wanted:
        raise CannotRecover(f"The key in {given} is of {ring.name}; the log goes on as {wanted}.")
    return ring


def _draft() -> Path:
    """Return where the new key waits beside the present one until the break is made."""
    path: Path = settings.ENVIRONMENT.ledger_key
    return path.with_name(f"{path.name}.next")
