"""The part of a bundle that comes from the ledger: entries, proofs and signed heads."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from pathlib import Path

from governance.evidence.reading import Written, write
from governance.ledger import queries
from governance.ledger.canonical import canonical
from governance.ledger.queries import BrokenOff, Head, ProvenEntry
from governance.ledger.stored_tree import StoredNodes

#: At most this many supporting entries are in a bundle, the lowest indexes first. Above it the manifest says how many
#: are left out; each can be had from the ledger's page with its own proof.
MOST_ENTRIES = 50_000
#: Up to this size of the ledger a bundle carries the hashes of all leaves (32 bytes each), so that any head an auditor
#: kept from earlier can be compared. They say nothing about what the entries hold.
MOST_LEAVES = 1_000_000

_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class Support:
    """What was written about the supporting entries."""

    files: tuple[Written, ...]
    entries: int
    left_out: int


def write_support(folder: Path, indexes: Collection[int], pinned: Head, key: str) -> Support:
    """Write the entries that support rows with their proofs against the pinned head, and what checks them."""
    kept = nsmallest(MOST_ENTRIES, indexes)
    files = [
        write(folder, "ledger/log_key.txt", f"{key}\n".encode()),
        write(folder, "ledger/pinned_checkpoint", pinned.note.encode()),
        *_write_entries(folder, kept, pinned),
    ]
    if pinned.size <= MOST_LEAVES:
        files.append(_write_leaves(folder, pinned.size))
    return Support(tuple(files), len(kept), len(indexes) - len(kept))


def write_proof_of_manifest(folder: Path, proven: ProvenEntry, pinned: Head) -> list[Written]:
    """Write what shows that the log knows the manifest, and that the pinned log is the beginning of that log."""
    path = queries.consistency_proof(pinned.size, proven.head.size)
    broken = [one for one in queries.breaks() if one.said.size < proven.head.size]
    rotated = [one for one in queries.key_rotations() if one.entry.index < proven.head.size]
    return [
        *([_write_breaks(folder, broken, proven.head)] if broken else []),
        *([_write_rotations(folder, rotated, proven.head)] if rotated else []),
        write(folder, "ledger/checkpoint", proven.head.note.encode()),
        write(folder, "ledger/consistency.txt", "".join(f"{_base64(node)}\n" for node in path).encode()),
        write(folder, "ledger/manifest_entry.json", proven.entry.body.encode()),
        write(folder, "ledger/proofs/manifest.tlog-proof", proven.proof_file.encode()),
    ]


def _write_breaks(folder: Path, broken: Sequence[BrokenOff], head: Head) -> Written:
    """Write where the log was broken off, each with its path to the head: what is pinned may be of the log before."""
    lines = [
        canonical({"body": one.entry.body, "index": one.entry.index, "path": [_base64(node) for node in one.path]})
        for one in queries.proven_entries([one.said.size for one in broken], head)
    ]
    return write(folder, "ledger/breaks.ndjson", "".join(f"{line}\n" for line in lines).encode())


def _write_rotations(folder: Path, rotated: Sequence[ProvenEntry], head: Head) -> Written:
    """Write where the log went over to another key, so that who pinned an earlier one can follow.

    Each has its proof in the first head over it, which both keys sign, and its path to the bundle's head.
    """
    proofs = {one.entry.index: one.proof_file for one in rotated}
    lines = [
        canonical(
            {
                "body": one.entry.body,
                "index": one.entry.index,
                "path": [_base64(node) for node in one.path],
                "proof": proofs[one.entry.index],
            }
        )
        for one in queries.proven_entries(list(proofs), head)
    ]
    return write(folder, "ledger/rotations.ndjson", "".join(f"{line}\n" for line in lines).encode())


def _write_entries(folder: Path, indexes: Sequence[int], pinned: Head) -> list[Written]:
    names = ("ledger/entries.ndjson", "ledger/proofs/entries.ndjson")
    bodies, paths = (_Stream(folder, name) for name in names)
    with bodies, paths:
        for start in range(0, len(indexes), _BATCH):
            for proven in queries.proven_entries(indexes[start : start + _BATCH], pinned):
                bodies.add(proven.entry.body.encode() + b"\n")
                path = [_base64(node) for node in proven.path]
                paths.add(canonical({"index": proven.entry.index, "path": path}).encode() + b"\n")
    return [bodies.written(), paths.written()]


def _write_leaves(folder: Path, size: int) -> Written:
    nodes = StoredNodes()
    with _Stream(folder, "ledger/leaves.bin") as stream:
        for start in range(0, size, _BATCH):
            for leaf in nodes.nodes(0, start, min(start + _BATCH, size)):
                stream.add(leaf)
    return stream.written()


class _Stream:
    """A file of a bundle that is hashed while it is written."""

    def __init__(self, folder: Path, path: str) -> None:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._file = path, target.open("wb")
        self._hash, self._size = hashlib.sha256(), 0

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()

    def add(self, block: bytes) -> None:
        self._file.write(block)
        self._hash.update(block)
        self._size += len(block)

    def written(self) -> Written:
        return Written(self._path, self._size, self._hash.hexdigest())


def _base64(node: bytes) -> str:
    return base64.b64encode(node).decode()
