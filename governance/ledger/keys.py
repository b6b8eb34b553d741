"""The file of the signing key. Only the sequencer reads it; it is never in the database."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from governance.ledger.notes import BadKey, Signer


class KeyExists(Exception):
    """There is a key already, and a key is never overwritten."""


def create_key_file(path: Path, origin: str) -> Signer:
    """Make a signing key for the origin and keep it in a file that only its owner can read.

    Two processes that start together make one key. Raises KeyExists when there is one.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    signer = Signer.generate(origin)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(signer.private_text() + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError as error:
        raise KeyExists(f"{path} exists; a signing key is never overwritten.") from error
    finally:
        draft.unlink()
    return signer


def read_key_file(path: Path, origin: str) -> Signer:
    """Return the signing key of the origin.

    Raises BadKey when there is none, when it is of another log, or when others can read it.
    """
    try:
        mode = path.stat().st_mode
        if mode & 0o077:
            raise BadKey(
                f"{path} can be read by others (mode {mode & 0o777:04o}); make it 0400 and consider the key known."
            )
        signer = Signer.parse(path.read_text())
    except FileNotFoundError as error:
        raise BadKey(f"There is no signing key at {path}. Make one with: manage.py ledger_key create") from error
    except OSError as error:
        raise BadKey(f"The signing key at {path} cannot be read: {error.strerror}.") from error
    if signer.name != origin:
        raise BadKey(f"The signing key at {path} is of the log {signer.name}, not of {origin}.")
    return signer
