"""The files of a bundle, whether it is a folder or still packed. Part of `verify.py`: the standard library only."""

from __future__ import annotations

import hashlib
import io
import os
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
BLOCK = 1 << 20
#: Small files are read whole; nothing that this reads whole is longer in an honest bundle.
LARGEST_SMALL = 64 << 20
SAFE_NAME = re.compile(r"[A-Za-z0-9_\-][A-Za-z0-9._\-]*(/[A-Za-z0-9_\-][A-Za-z0-9._\-]*)*")


class DoesNotHold(Exception):
    """A record is not what it says. Exit code 1."""

    def __init__(self, record: str, why: str) -> None:
        super().__init__(f"{record}: {why}")
        self.record = record


class CannotLook(Exception):
    """There is nothing to judge. Exit code 2."""


class Folder:
    """A bundle that was unpacked."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.names = sorted(self._walk())

    def _walk(self) -> Iterator[str]:
        for folder, inner, files in os.walk(self.root):
            for name in inner + files:
                path = Path(folder, name)
                if path.is_symlink() or not (path.is_file() or path.is_dir()):
                    raise DoesNotHold(self._named(path), "it is a link or a device, not a file")
                if path.is_file():
                    yield self._named(path)

    def _named(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file."""
        with (self.root / name).open("rb") as file:
            while True:
                block = file.read(BLOCK)
                if not block:
                    return
                yield block

    def check_container(self) -> None:
        """Do nothing: a folder has no headers that could lie."""


LOCAL = struct.Struct("<4s5H3I2H")
CENTRAL = struct.Struct("<4s6H3I5H2I")
END = struct.Struct("<4s4H2IH")
#: 1 January 1980, the mode of an ordinary file, not compressed: every bundle says the same.
DOS_TIME, DOS_DATE, MODE = 0, 0x21, 0o100644 << 16


class Packed:
    """A bundle as it was downloaded. Its ZIP has one possible form, so every byte of it can be checked."""

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._file = file
        self._length = length
        self._entries: dict[str, tuple[int, int, int]] = {}
        self._end = self._find_end()
        self._walk()
        self.names = sorted(self._entries)

    def _find_end(self) -> int:
        if self._read(0, 4) != b"PK\x03\x04":
            raise CannotLook("this is not a ZIP file")
        tail = self._read(max(0, self._length - 66000), 66000)
        found = tail.rfind(b"PK\x05\x06")
        if found < 0:
            raise CannotLook("the ZIP file has no end: it is truncated or damaged")
        end = self._length - len(tail) + found
        if end + END.size > self._length:
            raise CannotLook("the ZIP file is truncated")
        if end + END.size != self._length:
            raise DoesNotHold("the ZIP file", "there are bytes behind its end")
        start = int(END.unpack(self._read(end, END.size))[6])
        if start > end:
            raise DoesNotHold("the ZIP file", "its directory is not where it says")
        return start

    def _walk(self) -> None:
        offset = 0
        while offset < self._end:
            where = f"the ZIP file at byte {offset}"
            header = self._read(offset, LOCAL.size)
            if len(header) != LOCAL.size or header[:4] != b"PK\x03\x04":
                raise DoesNotHold(where, "no file begins here as it should")
            crc, size, length = (LOCAL.unpack(header)[index] for index in (6, 8, 9))
            name = self._read(offset + LOCAL.size, length).decode("latin-1")
            if not SAFE_NAME.fullmatch(name):
                raise DoesNotHold(where, f"the name {name!r} is not allowed")
            if name in self._entries:
                raise DoesNotHold(name, "it is in the ZIP file twice")
            self._entries[name] = (offset, size, crc)
            offset += LOCAL.size + length + size
        if offset != self._end:
            raise DoesNotHold("the ZIP file", "its files do not fill it exactly")

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file."""
        offset, size, _ = self._entries[name]
        offset += LOCAL.size + len(name)
        stop = offset + size
        while offset < stop:
            block = self._read(offset, min(BLOCK, stop - offset))
            if not block:
                raise CannotLook("the ZIP file is truncated")
            yield block
            offset += len(block)

    def check_container(self) -> None:
        """Check every byte that is not inside a file against the one form a bundle has."""
        directory = b""
        for name, (offset, size, crc) in self._entries.items():
            actual = 0
            for block in self.blocks(name):
                actual = zlib.crc32(block, actual)
            encoded = name.encode("ascii")
            local = LOCAL.pack(b"PK\x03\x04", 20, 0, 0, DOS_TIME, DOS_DATE, actual, size, size, len(encoded), 0)
            if actual != crc or self._read(offset, LOCAL.size) != local:
                raise DoesNotHold(name, "its ZIP header is not as it was written (was the bundle packed again?)")
            directory += (
                CENTRAL.pack(
                    b"PK\x01\x02", 20 | 3 << 8, 20, 0, 0, DOS_TIME, DOS_DATE, crc, size, size,
                    len(encoded), 0, 0, 0, 0, MODE, offset,
                )
                + encoded
            )  # fmt: skip
        count = len(self._entries)
        end = END.pack(b"PK\x05\x06", 0, 0, count, count, len(directory), self._end, 0)
        if list(self._entries) != self.names:
            raise DoesNotHold("the ZIP file", "its files are not in order")
        if self._read(self._end, self._length) != directory + end:
            raise DoesNotHold("the ZIP file", "its directory is not as it was written")

    def _read(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)


class Bundle:
    """The files of a bundle, and what was found out about them so far."""

    def __init__(self, shape: Folder | Packed) -> None:
        if MANIFEST not in shape.names:
            raise CannotLook(f"there is no {MANIFEST} in it: it is not an evidence bundle")
        self.shape = shape
        self.names = shape.names
        self._digests: dict[str, tuple[int, str]] = {}
        self.notes: list[str] = []

    def digest(self, name: str) -> tuple[int, str]:
        """Return size and SHA-256 of a file."""
        if name not in self._digests:
            whole, size = hashlib.sha256(), 0
            for block in self.shape.blocks(name):
                whole.update(block)
                size += len(block)
            self._digests[name] = size, whole.hexdigest()
        return self._digests[name]

    def content(self, name: str) -> bytes:
        """Return a small file whole."""
        if name not in self.names:
            raise DoesNotHold(name, "it is missing")
        content = bytearray()
        for block in self.shape.blocks(name):
            content += block
            if len(content) > LARGEST_SMALL:
                raise DoesNotHold(name, "it is longer than any such file is")
        return bytes(content)

    def text(self, name: str) -> str:
        """Return a small file of text."""
        try:
            return self.content(name).decode("utf-8")
        except UnicodeDecodeError as error:
            raise DoesNotHold(name, "it is not UTF-8") from error

    def lines(self, name: str) -> Iterator[bytes]:
        """Yield the lines of a file, each with its newline."""
        return iter(io.BufferedReader(_Blocks(self.shape.blocks(name))))

    def is_changed(self, name: str) -> bool:
        """Tell whether SHA256SUMS says otherwise. It helps to name what changed; it proves nothing."""
        if SUMS not in self.names or name not in self.names:
            return False
        listed = f"{self.digest(name)[1]}  {name}\n".encode()
        return listed not in self.content(SUMS)


class _Blocks(io.RawIOBase):
    """A file object over blocks."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]  # the stubs ask for a union of buffers
        if not self._rest:
            self._rest = next(self._blocks, b"")
        size = min(len(target), len(self._rest))
        target[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def open_bundle(path: Path) -> Bundle:
    """Return the bundle at the path, or raise CannotLook."""
    try:
        if path.is_dir():
            shape: Folder | Packed = Folder(path)
        else:
            shape = Packed(path.open("rb"), path.stat().st_size)
    except OSError as error:
        raise CannotLook(f"{path} cannot be read: {error.strerror or error}") from error
    except struct.error as error:
        raise CannotLook("the ZIP file is damaged") from error
    return Bundle(shape)
