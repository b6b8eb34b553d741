"""What the sequencer remembers outside of the database: the last head that it signed.

A database that was restored from a backup does not know that it is older than what was signed and shown. Going on from
there would sign a second history of the same sizes. So the head is kept beside the key, and nothing is sealed while the
database is behind it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from governance.ledger.key_changes import LedgerDamaged
from governance.ledger.standalone import Checkpoint, Unverified, open_any_checkpoint


class LedgerBehind(LedgerDamaged):
    """The database holds less than what was signed, or something else: it was restored, or somebody cut it."""


@dataclass(slots=True)
class HeadMemory:
    """A file with the last head, replaced at once after each sealing."""

    path: Path
    #: Whether what is remembered was found in the database since this process leads.
    is_found: bool = False

    def read(self) -> Checkpoint | None:
        """Return the head that is remembered, or None. Raises LedgerDamaged when the file cannot be read."""
        note = self.note()
        try:
            return open_any_checkpoint(note) if note is not None else None
        except Unverified as error:
            raise LedgerDamaged(f"{self.path} is no signed head: {error}.") from error

    def note(self) -> str | None:
        """Return the text of the head that is remembered, or None. Raises LedgerDamaged."""
        try:
            return self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise LedgerDamaged(f"{self.path} cannot be read: {error}.") from error

    def keep(self, note: str) -> None:
        """Remember a head, whole or not at all. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(note)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        finally:
            draft.unlink(missing_ok=True)

    def check(self, size: int, root_at: Callable[[int], bytes]) -> None:
        """Raise LedgerBehind unless the ledger of that size, with these roots, goes on from the remembered head.

        It may be larger: another sequencer may have led meanwhile.
        """
        seen = self.read()
        if seen is None or (self.is_found and size > seen.size):
            return
        if size >= seen.size:
            if root_at(seen.size) != seen.root:
                raise LedgerBehind(
                    f"The ledger in the database has other entries than those under the head of size {seen.size} that "
                    "was signed here. Nothing is sealed. See docs/operations.md, “After a restore”."
                )
            self.is_found = True
            return
        raise LedgerBehind(
            f"The ledger in the database ends at {size} entries, but a head of {seen.size} was signed here: a backup "
            "was restored, or entries were cut off. Nothing is sealed until somebody decides: manage.py ledger_recover "
            f"(docs/operations.md, “After a restore”). A new installation: remove {self.path}."
        )
