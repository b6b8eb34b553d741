"""The one form of a bundle's ZIP: names in order, one date, one mode, nothing compressed. Same files, same bytes.

Nothing is compressed because libraries compress differently; and so `verify.py` can check every byte of the container.
Written here and not by `zipfile`, which goes over to the long form of ZIP (ZIP64) at 2 GiB already: the plain form
reaches to 4 GiB, and the verifiers know no other.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from governance.core.errors import Invalid

_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_ORDINARY_FILE = 0o100644 << 16
#: Behind this the plain form of ZIP ends.
MOST_BYTES = 4_000_000_000
_BLOCK = 1 << 20
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
#: Needs ZIP 2.0; no flags, not compressed, 1 January 1980.
_FORM = (20, 0, 0, 0, 0x21)


def pack(folder: Path, target: Path) -> tuple[str, int]:
    """Pack the folder into the target file; return its SHA-256, hexadecimal, and its size.

    The target appears whole or not at all. Raises Invalid when the bundle would be larger than a plain ZIP can be.
    """
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    if sum((folder / name).stat().st_size for name in names) > MOST_BYTES:
        raise Invalid({"": "The bundle would be larger than 4 GB. Ask for fewer reports, applications or days."})
    draft = target.with_name(f".{target.name}.draft")
    with draft.open("wb") as file:
        directory = b"".join(_add(file, folder / name, name.encode("ascii")) for name in names)
        end = (len(names), len(names), len(directory), file.tell(), 0)
        file.write(directory + _END.pack(b"PK\x05\x06", 0, 0, *end))
        file.flush()
        os.fsync(file.fileno())
    digest, size = file_digest(draft), draft.stat().st_size
    draft.replace(target)
    return digest, size


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stored(name: str) -> zipfile.ZipInfo:
    """Return the header of a member in the one form: one date, one mode, not compressed."""
    info = zipfile.ZipInfo(name, _EPOCH)
    info.create_system, info.external_attr = _UNIX, _ORDINARY_FILE
    return info


def _add(file: BinaryIO, source: Path, name: bytes) -> bytes:
    """Write a member behind what is there; return its line of the directory. Its header is known at its end only."""
    offset, size, crc = file.tell(), 0, 0
    file.write(bytes(_LOCAL.size) + name)
    with source.open("rb") as content:
        while block := content.read(_BLOCK):
            file.write(block)
            crc = zlib.crc32(block, crc)
            size += len(block)
    file.seek(offset)
    file.write(_LOCAL.pack(b"PK\x03\x04", *_FORM, crc, size, size, len(name), 0))
    file.seek(0, os.SEEK_END)
    known = (crc, size, size, len(name), 0, 0, 0, 0, _ORDINARY_FILE, offset)
    return _CENTRAL.pack(b"PK\x01\x02", 20 | _UNIX << 8, *_FORM, *known) + name
