"""What is done to a bundle, and what a verifier has to say of it: one table for all of them.

Whoever attacks has the files, and makes `SHA256SUMS` fit, which no key protects. Some have a bundle or a head of the
same log besides, or a key of their own; the insider has the log's key and signs whatever is put before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from governance.evidence.verifier.form import csv_records
from governance.ledger.notes import Signer
from tests.evidence.forging import (
    BREAKS,
    CONSISTENCY,
    ENTRIES,
    ENTRY,
    HEAD,
    KEY,
    LEAVES,
    MANIFEST,
    PATHS,
    PINNED,
    PROOF,
    SUMS,
    Forger,
)
from tests.evidence.issued import Issued, unpacked

R00, R03, R05 = (f"reports/{name}.csv" for name in ("R00_cover_and_sources", "R03_access_changes", "R05_leavers"))


@dataclass(frozen=True)
class Scene:
    """What there is to work with: what was issued, and the key that only the insider has."""

    issued: Issued
    insider: Signer


Change = Callable[[bytes], bytes]
Act = Callable[[Forger, Scene], object]


@dataclass(frozen=True)
class Attack:
    """Something done to a bundle."""

    name: str
    #: Returns the ZIP as the auditor gets it.
    made: Callable[[Scene], bytes]
    #: A pattern for the record that a refusal names: file, row, line, index.
    named: str
    #: What verify.py leaves with: 0 it holds, 1 it does not, 2 there is nothing to judge.
    code: int = 1

    @property
    def verdict(self) -> str:
        """Return how all verifiers begin."""
        return ("HOLDS", "DOES NOT HOLD", "COULD NOT LOOK")[self.code]

    def is_answered_by(self, said: str) -> bool:
        """Tell whether this verdict is the right one, and names what it has to."""
        return re.match(f"{self.verdict}  ?(?:{self.named})", said) is not None


def attack(name: str, act: Act, named: str, code: int = 1) -> Attack:
    """Somebody without a key changes files and lets SHA256SUMS fit."""

    def made(scene: Scene) -> bytes:
        forger = Forger(scene.issued.files())
        act(forger, scene)
        forger.fit_sums()
        return forger.packed()

    return Attack(name, made, named, code)


def edit(name: str, file: str, change: Change, named: str | None = None) -> Attack:
    """Change one file."""
    return attack(name, lambda forger, _: forger.edit(file, change), re.escape(file) if named is None else named)


def flip(content: bytes, offset: int) -> bytes:
    """Return the content with one bit of one byte turned."""
    return content[:offset] + bytes([content[offset] ^ 1]) + content[offset + 1 :]


# Each class of bytes

#: One file of each kind, and how it is named where a byte of it is turned.
CLASSES = {
    "README.txt": "", "cover.pdf": "", "dictionary/R03_access_changes.json": "", "queries/R03_access_changes.sql": "",
    "oscal/assessment-results.json": "", "reports/R03_access_changes.xlsx": "", "rows/R03_access_changes.txt": "",
    R00: "", R03: ", row [0-9]+:", R05: ", line 1,", "verify/verify.py": "", "verify/verify.html": "",
    "ledger/verification.txt": "", ENTRIES: r", line [0-9]+ \(entry [0-9]+ of the log\):",
    PATHS: ", a line ", LEAVES: "", PINNED: "", KEY: "", HEAD: "", CONSISTENCY: "",
    ENTRY: "", PROOF: f"|{ENTRY}", MANIFEST: "",
}  # fmt: skip


def _flips() -> Iterator[Attack]:
    for file, named in CLASSES.items():
        yield edit(f"a byte of {file}", file, lambda content: flip(content, len(content) // 2), re.escape(file) + named)
    yield Attack("a byte of SHA256SUMS", lambda scene: _in_zip(scene, SUMS.encode(), 600), SUMS)
    for field, offset in LOCAL.items():
        yield _bent_zip(f"the {field} of a file in the ZIP", offset, 0)
    for field, offset in CENTRAL.items():
        yield _bent_zip(f"the {field} of a file in the ZIP's directory", offset, 1)
    for field, offset in END.items():
        yield Attack(
            f"the {field} at the end of the ZIP",
            lambda scene, offset=offset: flip(scene.issued.packed, len(scene.issued.packed) - 22 + offset),  # type: ignore[misc]
            "the ZIP file",
            2 if field == "mark" else 1,
        )


MEMBER = b"queries/R00_sources.sql"
LOCAL = {"mark": -30, "version": -26, "flags": -24, "method": -22, "time": -20, "date": -18, "checksum": -16,
         "packed size": -12, "size": -8, "length of the name": -4, "length of the rest": -2, "name": 0}  # fmt: skip
CENTRAL = {"mark": -46, "maker": -42, "version": -40, "flags": -38, "method": -36, "time": -34, "date": -32,
           "checksum": -30, "packed size": -26, "size": -22, "length of the name": -18, "length of the rest": -16,
           "length of the remark": -14, "disk": -12, "kind": -10, "mode": -8, "place": -4, "name": 0}  # fmt: skip
END = {"mark": 0, "disk": 4, "first disk": 6, "number here": 8, "number": 10, "size": 12, "place": 16,
       "length of the remark": 20}  # fmt: skip


def _bent_zip(name: str, offset: int, which: int) -> Attack:
    """Turn a bit of a header; `which` name in the ZIP it stands before: 0 that of the file, 1 that in the directory."""

    def made(scene: Scene) -> bytes:
        places = [found.start() for found in re.finditer(re.escape(MEMBER), scene.issued.packed)]
        # In between it stands in SHA256SUMS and in the manifest.
        return flip(scene.issued.packed, (places[-1] if which else _start_of(scene, MEMBER)) + offset)

    return Attack(name, made, f"the ZIP file|{re.escape(MEMBER.decode())}")


def _start_of(scene: Scene, name: bytes) -> int:
    """Return where the name stands before its file: behind 26 bytes of a header."""
    packed = scene.issued.packed
    return next(
        found.start()
        for found in re.finditer(re.escape(name), packed)
        if packed[found.start() - 30 : found.start() - 26] == b"PK\x03\x04"
    )


def _in_zip(scene: Scene, name: bytes, offset: int) -> bytes:
    return flip(scene.issued.packed, _start_of(scene, name) + len(name) + offset)


# Rows, files, and what belongs to something else


def rows(change: Callable[[list[bytes]], list[bytes]]) -> Change:
    """Change the records of a report, the first of which names the columns."""
    return lambda content: b"".join(change(list(csv_records(iter(content.splitlines(keepends=True))))))


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Change:
    """Change the lines of a file."""
    return lambda content: b"".join(change(content.splitlines(keepends=True)))


def put(file: str, content: bytes) -> Act:
    """Put a file there."""
    return lambda forger, _: forger.files.__setitem__(file, content)


def drop(file: str) -> Act:
    """Take a file away."""
    return lambda forger, _: forger.files.pop(file)


ROWS = [
    edit("the first row dropped", R03, rows(lambda them: [them[0], *them[2:]]), f"{R03}, row 1:"),
    edit("a row dropped", R03, rows(lambda them: [*them[:3], *them[4:]]), f"{R03}, row 3:"),
    edit("the last row dropped", R03, rows(lambda them: them[:-1]), rf"{R03}, row [0-9]+ \(missing\):"),
    edit("rows in another order", R03, rows(lambda them: [them[0], them[2], them[1], *them[3:]]), f"{R03}, row 1:"),
    edit("a row twice", R03, rows(lambda them: [*them[:3], them[2], *them[3:]]), f"{R03}, row 3:"),
    edit("a row more", R03, rows(lambda them: [*them, them[-1]]), f"{R03}, row [0-9]+:"),
    edit("a column with another name", R03, lambda content: content.replace(b"row_no", b"row_nr"), f"{R03}, line 1"),
    edit("a name in a row", R03, lambda content: content.replace(b"Ada", b"Eve", 1), f"{R03}, row [0-9]+:"),
    attack(
        "a row and its digest",
        lambda forger, _: (
            forger.edit(R03, rows(lambda them: them[:-1])),
            forger.edit("rows/R03_access_changes.txt", lines(lambda them: them[:-1])),
        ),
        f"{R03}:",
    ),
    attack(
        "a row, and everything without a key fitted",
        lambda forger, _: (
            forger.edit(R05, lambda content: content.replace(b"overdue", b"in time")),
            forger.fit_manifest(),
        ),
        f"{MANIFEST}: it is not the manifest that entry [0-9]+ of the log knows",
    ),
    edit("an entry dropped", ENTRIES, lines(lambda them: [them[0], *them[2:]]), rf"{ENTRIES}, line 2 \(entry [0-9]+ "),
    edit(
        "entries in another order",
        ENTRIES,
        lines(lambda them: [them[1], them[0], *them[2:]]),
        rf"{ENTRIES}, line 1 \(entry [0-9]+ ",
    ),
    edit("proofs in another order", PATHS, lines(lambda them: [them[1], them[0], *them[2:]]), rf"{PATHS}, line 1 "),
    attack("a file more", put("reports/R99_forged.csv", b"row_no\n"), "reports/R99_forged.csv: it does not belong"),
    attack(
        "keys that a bundle does not have", put("ledger/keys.json", b'{"rotations":[]}'), "ledger/keys.json: it does"
    ),
    attack("breaks that are none", put(BREAKS, b"x"), f"{BREAKS}, line 1:"),
    attack("breaks that name none", put(BREAKS, b""), f"{BREAKS}: it names no break"),
    *(
        attack(f"without {file}", drop(file), f"{re.escape(file)}: it is missing")
        for file in (
            "README.txt",
            R03,
            "rows/R03_access_changes.txt",
            "reports/R03_access_changes.xlsx",
            HEAD,
            PROOF,
            ENTRY,
            CONSISTENCY,
            ENTRIES,
            PATHS,
            LEAVES,
            PINNED,
            "verify/verify.py",
        )
    ),
    attack("without a manifest", drop(MANIFEST), "there is no manifest.json", 2),
    Attack("cut in the middle", lambda scene: scene.issued.packed[: len(scene.issued.packed) // 2], "the ZIP file", 2),
    Attack("cut at the end", lambda scene: scene.issued.packed[:-1], "the ZIP file is truncated|the ZIP file has", 2),
    Attack("bytes behind the end", lambda scene: scene.issued.packed + b"x", "the ZIP file: there are bytes behind"),
]

#: Files that two bundles of the same log have and that differ. Each is genuine where it belongs.
FOREIGN_FILES = {
    "README.txt": "",
    R00: "",
    "reports/R09_temporary_access.csv": ", row ",
    "rows/R09_temporary_access.txt": "",
    "reports/R09_temporary_access.xlsx": "",
    "cover.pdf": "",
    "oscal/assessment-plan.json": "",
    PINNED: "",
    LEAVES: "",
    PATHS: "",
    "ledger/verification.txt": "",
    MANIFEST: "",
    CONSISTENCY: "",
    HEAD: f"|{PROOF}",
    PROOF: "",
    ENTRY: f"|{PROOF}",
}


def _swaps() -> Iterator[Attack]:
    def taken(*files: str) -> Act:
        return lambda forger, scene: forger.files.update(
            {file: unpacked(scene.issued.next)[file] for file in files if file in unpacked(scene.issued.next)}
        )

    for file, named in FOREIGN_FILES.items():
        yield attack(f"{file} of another bundle", taken(file), re.escape(file) + named)
    log = (HEAD, PROOF, ENTRY, CONSISTENCY, PINNED, LEAVES, ENTRIES, PATHS)
    yield attack(
        "the whole log of another bundle", taken(*log), f"{MANIFEST}: it is not the manifest that entry [0-9]+"
    )
    yield attack(
        "log and manifest of another bundle", taken(MANIFEST, *log), r"README\.txt: it was changed|.*: it is missing"
    )


ON_FILES = [*_flips(), *ROWS, *_swaps()]
