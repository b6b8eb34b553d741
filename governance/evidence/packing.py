"""The one form of a bundle's ZIP: names in order, one date, one mode, nothing compressed. Same files, same bytes.

Nothing is compressed because libraries compress differently; and so `verify.py` can check every byte of the container.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from pathlib import Path

from governance.core.errors import Invalid

_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_ORDINARY_FILE = 0o100644 << 16
#: Behind this the plain form of ZIP ends.
MOST_BYTES = 4_000_000_000


def pack(folder: Path, target: Path) -> tuple[str, int]:
    """Pack the folder into the target file; return its SHA-256, hexadecimal, and its size.

    The target appears whole or not at all. Raises Invalid when the bundle would be larger than a plain ZIP can be.
    """
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    if sum((folder / name).stat().st_size for name in names) > MOST_BYTES:
        raise Invalid({"": "The bundle would be larger than 4 GB. Ask for a shorter period."})
    draft = target.with_name(f".{target.name}.draft")
    with draft.open("wb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
            for name in names:
                _add(archive, folder / name, name)
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


def _add(archive: zipfile.ZipFile, source: Path, name: str) -> None:
    info = stored(name)
    info.file_size = source.stat().st_size
    with source.open("rb") as content, archive.open(info, "w") as packed:
        shutil.copyfileobj(content, packed, 1 << 20)
