"""A copy of the ledger in a folder: entries in the bundles of c2sp.org/tlog-tiles, and every signed head.

    checkpoint                      the newest head that the copy leads to, written last
    heads.txt                       every head, oldest first, each followed by an empty line
    tile/entries/<N>[.p/<W>]        256 entries, or the first W of them: two bytes of length, then the text, of each;
                                    no text where it was disposed of before it was copied

Full bundles and lines of heads never change, so that a store with a lock, or any program that copies folders, can take
the copy further. It holds no names: what is personal stands in entries as commitments only.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from governance.ledger.merkle import TILE_WIDTH, CompactRange, leaf_hash
from governance.ledger.models import Checkpoint, Entry
from governance.ledger.serving import tile_path
from governance.ledger.standalone import Unverified, open_any_checkpoint
from governance.ledger.stored_tree import StoredNodes, stored_tree

_BUNDLES_AT_ONCE = 20
_BYTES_OF_LENGTH = 2
#: Longer than a head with all the signatures it can have, twice.
_LONGEST_HEAD = 64 * 1024
#: What each line of a signature begins with: an em dash and a space.
_SIGNATURE = "\u2014 ".encode()


class CannotMirror(Exception):
    """The folder is no copy of this ledger, or what would be copied does not lead to what was signed."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """A folder with a copy of the ledger."""

    folder: Path

    @property
    def size(self) -> int:
        """Return how many entries the copy has. Raises CannotMirror."""
        note = self.head()
        return open_any_checkpoint(note).size if note else 0

    def head(self) -> str | None:
        """Return the newest head of the copy, or None when there is none. Raises CannotMirror."""
        path = self.folder / "checkpoint"
        try:
            note = path.read_text(encoding="utf-8") if path.is_file() else None
            if note is not None:
                open_any_checkpoint(note)
        except (OSError, UnicodeDecodeError, Unverified) as error:
            raise CannotMirror(f"{path} is no signed head: {error}.") from error
        return note

    def heads(self) -> list[str]:
        """Return every head of the copy, oldest first; one that a killed run left torn is left out."""
        path = self.folder / "heads.txt"
        if not path.is_file():
            return []
        said: dict[int, str] = {}
        lines: list[str] = []
        # A note is origin, size, root, an empty line and signatures; the empty line after those ends it.
        for line in path.read_text(encoding="utf-8").split("\n"):
            if line or len(lines) == 3:
                lines.append(line)
                continue
            note = "\n".join([*lines, ""])
            with suppress(Unverified):
                said[open_any_checkpoint(note).size] = note
            lines = []
        return [said[size] for size in sorted(said)]

    def bodies(self, start: int) -> Iterator[str]:
        """Yield the texts of the entries from `start` on, up to the size of the copy. Raises CannotMirror.

        A text is empty where it was disposed of before it was copied.
        """
        size = self.size
        for number in range(start // TILE_WIDTH, -(-size // TILE_WIDTH)):
            first = number * TILE_WIDTH
            texts = self._bundle(number, min(TILE_WIDTH, size - first))
            yield from texts[max(0, start - first) :]

    def _bundle(self, number: int, width: int) -> list[str]:
        path = self.folder / "tile" / "entries" / tile_path(number, width)
        whole = self.folder / "tile" / "entries" / tile_path(number)
        try:
            content = (path if path.is_file() else whole).read_bytes()
        except OSError as error:
            raise CannotMirror(f"{path} cannot be read: {error.strerror}.") from error
        texts: list[str] = []
        place = 0
        while place < len(content) and len(texts) < width:
            length = int.from_bytes(content[place : place + _BYTES_OF_LENGTH], "big")
            place += _BYTES_OF_LENGTH
            texts.append(content[place : place + length].decode())
            place += length
        if len(texts) < width or place > len(content):
            raise CannotMirror(f"{path} has not {width} whole entries.")
        return texts

    def extend(self) -> int:
        """Copy what came since the last time; return how many entries. A run that was killed is taken up again.

        Raises CannotMirror when the copy is of another log, or longer than the ledger: then it must not be overwritten.
        """
        last = Checkpoint.objects.order_by("-size").first()
        if last is None:
            return 0
        start = self.size
        tree = self._start(start, last.size)
        for texts in self._stored(start - start % TILE_WIDTH, last.size):
            first = texts[0][0]
            for index, text, leaf in texts[max(0, start - first) :]:
                if text and leaf_hash(text.encode()) != leaf:
                    raise CannotMirror(f"Entry {index} was edited: its text does not have the hash that is stored.")
                tree.append(leaf)
            self._write_bundle(first // TILE_WIDTH, [text for _, text, _ in texts])
        if tree.root() != bytes(last.root):
            raise CannotMirror(f"The entries do not lead to the root that was signed at size {last.size}.")
        self._add_heads(start, last.size)
        _replace(self.folder / "checkpoint", last.note.encode())
        return last.size - start

    def _start(self, start: int, size: int) -> CompactRange:
        if start > size:
            raise CannotMirror(
                f"The copy has {start} entries, the ledger only {size}: it is not touched. If the database was "
                "restored, take the rest from it: manage.py ledger_recover replay"
            )
        tree = stored_tree(start).compact_range() if start else CompactRange()
        note = self.head()
        if note is not None and open_any_checkpoint(note).root != tree.root():
            raise CannotMirror("The copy is of another log: its head is none of this ledger.")
        return tree

    def _stored(self, start: int, stop: int) -> Iterator[list[tuple[int, str, bytes]]]:
        step = TILE_WIDTH * _BUNDLES_AT_ONCE
        for first in range(start, stop, step):
            last = min(first + step, stop)
            texts = dict(Entry.objects.filter(index__gte=first, index__lt=last).values_list("index", "body"))
            leaves = StoredNodes().nodes(0, first, last)
            found = [(index, texts.get(index, ""), leaf) for index, leaf in enumerate(leaves, first)]
            for place in range(0, len(found), TILE_WIDTH):
                yield found[place : place + TILE_WIDTH]

    def _write_bundle(self, number: int, texts: list[str]) -> None:
        encoded = [text.encode() for text in texts]
        content = b"".join(len(one).to_bytes(_BYTES_OF_LENGTH, "big") + one for one in encoded)
        _replace(self.folder / "tile" / "entries" / tile_path(number, len(texts)), content)

    def _add_heads(self, start: int, stop: int) -> None:
        heads = Checkpoint.objects.filter(size__gt=start, size__lte=stop).order_by("size")
        path = self.folder / "heads.txt"
        with path.open("a+b") as file:
            file.truncate(_end_of_whole_heads(file))
            for note in heads.values_list("note", flat=True).iterator():
                file.write(f"{note}\n".encode())
            file.flush()
            os.fsync(file.fileno())


def _end_of_whole_heads(file: IO[bytes]) -> int:
    """Return where the last whole head ends, with the empty line behind it: what a killed run left is cut off."""
    end = file.seek(0, os.SEEK_END)
    start = max(0, end - _LONGEST_HEAD)
    file.seek(start)
    tail = file.read()
    blocks = tail.split(b"\n\n")
    # The rest behind the last empty line is torn, and so is a head without its signatures.
    torn = len(blocks.pop())
    while blocks and not blocks[-1].startswith(_SIGNATURE):
        torn += len(blocks.pop()) + 2
    return end - torn if blocks or not start else end


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
