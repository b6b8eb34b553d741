"""Where the signing keys are kept: a file, or a variable. Only the sequencer reads them; never in the database."""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from governance.ledger.key_ring import KeyRing, SecondSigner
from governance.ledger.notes import BadKey, Signer


@dataclass(slots=True)
class KeySource:
    """Where the keys of this log are: in a variable, or in a file that may change while the sequencer runs."""

    path: Path
    origin: str
    text: str | None = None
    _seen: tuple[int, int] | None = None
    _ring: KeyRing | None = None

    @classmethod
    def of(cls, environment: _Keys) -> KeySource:
        """Return where the environment says that they are: LEDGER_KEY before LEDGER_KEY_FILE."""
        kept = environment.ledger_key_text
        return cls(environment.ledger_key, environment.ledger_origin, kept)

    def read(self) -> KeyRing:
        """Return the keys as they are now; a file is read again when it was changed. Raises BadKey."""
        if self._ring is None or self._stamp() != self._seen:
            self._seen = self._stamp()
            self._ring = (
                read_key_file(self.path, self.origin) if self.text is None else read_key_text(self.text, self.origin)
            )
        return self._ring

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns


class _Keys(Protocol):
    """What the environment says about the keys."""

    @property
    def ledger_key(self) -> Path: ...

    @property
    def ledger_key_text(self) -> str | None: ...

    @property
    def ledger_origin(self) -> str: ...


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


def read_key_file(path: Path, origin: str) -> KeyRing:
    """Return the signing keys of the origin, oldest first.

    Raises BadKey when there is none, when it is of another log, or when others can read it.
    """
    try:
        mode = path.stat().st_mode
        if mode & 0o077:
            raise BadKey(
                f"{path} can be read by others (mode {mode & 0o777:04o}); make it 0400 and consider the key known."
            )
        ring = KeyRing.parse(path.read_text())
    except FileNotFoundError as error:
        raise BadKey(f"There is no signing key at {path}. Make one with: manage.py ledger_key create") from error
    except OSError as error:
        raise BadKey(f"The signing key at {path} cannot be read: {error.strerror}.") from error
    return _of_log(ring, origin, f"at {path}")


def read_key_text(text: str, origin: str) -> KeyRing:
    """Return the signing keys that a variable of the environment holds. Raises BadKey."""
    return _of_log(KeyRing.parse(text), origin, "in LEDGER_KEY")


def add_key(path: Path, origin: str) -> Signer:
    """Add a new signing key to the file, after the present ones; the log goes over to it. Raises BadKey."""
    ring = read_key_file(path, origin)
    signer = Signer.generate(ring.name)
    _replace(path, KeyRing((*ring.keys, signer), ring.second))
    return signer


def add_second_key(path: Path, origin: str) -> SecondSigner:
    """Add an ML-DSA-44 key to the file. Raises BadKey, also when there is one."""
    ring = read_key_file(path, origin)
    if ring.second is not None:
        raise BadKey("There is an ML-DSA-44 key already.")
    second = SecondSigner.generate(ring.name)
    _replace(path, KeyRing(ring.keys, second))
    return second


def drop_old_keys(path: Path, origin: str) -> int:
    """Take all keys but the newest out of the file; return how many. Raises BadKey."""
    ring = read_key_file(path, origin)
    if len(ring.keys) > 1:
        _replace(path, KeyRing(ring.keys[-1:], ring.second))
    return len(ring.keys) - 1


def replace_keys(path: Path, ring: KeyRing) -> None:
    """Put other keys into the file, whole or not at all: those of the log that goes on after a break."""
    _replace(path, ring)


def _of_log(ring: KeyRing, origin: str, where: str) -> KeyRing:
    # A log that was broken off goes on under its name and a number.
    if ring.name != origin and not re.fullmatch(rf"{re.escape(origin)}/[1-9][0-9]*", ring.name):
        raise BadKey(f"The signing key {where} is of the log {ring.name}, not of {origin}.")
    return ring


def _replace(path: Path, ring: KeyRing) -> None:
    """Put the keys into the file at once: whoever reads meanwhile finds the old or the new ones, whole."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(handle, "w") as file:
        file.write(ring.text())
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
