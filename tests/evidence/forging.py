"""A bundle in the hands of somebody who changes it: the files, and all that can be made to fit again afterwards."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

from governance.evidence.packing import stored
from governance.evidence.verifier.form import FORMS, csv_records
from governance.ledger.merkle import leaf_hash
from governance.ledger.notes import Signer
from tests.evidence.trees import Tree

MANIFEST, SUMS = "manifest.json", "SHA256SUMS"
HEAD, PROOF, ENTRY = "ledger/checkpoint", "ledger/proofs/manifest.tlog-proof", "ledger/manifest_entry.json"
PINNED, CONSISTENCY, LEAVES = "ledger/pinned_checkpoint", "ledger/consistency.txt", "ledger/leaves.bin"
ENTRIES, PATHS, KEY = "ledger/entries.ndjson", "ledger/proofs/entries.ndjson", "ledger/log_key.txt"
BREAKS = "ledger/breaks.ndjson"
Said = dict[str, Any]


class Forger:
    """Changes files, and makes digests, sums and, with a key, the log fit what was changed."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = dict(files)
        #: How the manifest and the entry of the export are bent, on top of what they have to say.
        self.bend_manifest: Callable[[Said], object] = lambda manifest: None
        self.spell_entry: Callable[[Said], bytes] = spelled
        #: What is done to files of the log once they fit the tree, before the manifest names them.
        self.bend_files: Callable[[dict[str, bytes]], object] = lambda files: None

    def edit(self, name: str, change: Callable[[bytes], bytes]) -> None:
        """Change one file and nothing else."""
        before = self.files[name]
        self.files[name] = change(before)
        assert self.files[name] != before, f"{name} was not changed"

    def fit_sums(self) -> None:
        """Make SHA256SUMS fit the files as they are."""
        names = sorted(self.files.keys() - {SUMS})
        lines = (f"{hashlib.sha256(self.files[name]).hexdigest()}  {name}\n" for name in names)
        self.files[SUMS] = "".join(lines).encode()

    def fit_manifest(self) -> None:
        """Make the digests of rows, the manifest and the sums fit the files as they are."""
        manifest = json.loads(self.files[MANIFEST])
        for report in manifest["reports"]:
            if report["rows_file"]:
                self.files[report["rows_file"]] = _row_digests(self.files[report["file"]])
        for file in manifest["files"]:
            content = self.files[file["path"]]
            file["size"], file["sha256"] = len(content), hashlib.sha256(content).hexdigest()
        self.bend_manifest(manifest)
        self.files[MANIFEST] = spelled(manifest)
        self.fit_sums()

    def fit_log(self, signer: Signer) -> None:
        """Sign a log of the same entries, with this export at its end: everything in the bundle fits again."""
        leaves = [self.files[LEAVES][start : start + 32] for start in range(0, len(self.files[LEAVES]), 32)]
        self._prove_entries(leaves)
        self.files[PINNED] = signer.checkpoint(len(leaves), Tree(leaves).root(0, len(leaves))).encode()
        self.files[KEY] = f"{signer.verifier_key}\n".encode()
        manifest = json.loads(self.files[MANIFEST])
        manifest["ledger"]["root"] = Tree(leaves).root(0, len(leaves)).hex()
        self.files[MANIFEST] = spelled(manifest)
        self.bend_files(self.files)
        self.fit_manifest()
        entry = json.loads(self.files[ENTRY])
        entry["data"]["manifest_sha256"] = hashlib.sha256(self.files[MANIFEST]).hexdigest()
        self.files[ENTRY] = self.spell_entry(entry)
        self._sign_over(leaves, signer)
        self.fit_sums()

    def _prove_entries(self, leaves: list[bytes]) -> None:
        """Put the leaves of the entries, as they are now, into the tree, and prove them."""
        bodies, paths = (self.files[name].split(b"\n")[:-1] for name in (ENTRIES, PATHS))
        indexes = [json.loads(path)["index"] for path in paths]
        for index, body in zip(indexes, bodies, strict=True):
            leaves[index] = leaf_hash(body)
        tree = Tree(leaves)
        proofs = [spelled({"index": index, "path": _base64(tree.path(index))}) for index in indexes]
        self.files[LEAVES], self.files[PATHS] = b"".join(leaves), b"".join(proof + b"\n" for proof in proofs)

    def _sign_over(self, leaves: list[bytes], signer: Signer) -> None:
        tree = Tree([*leaves, leaf_hash(self.files[ENTRY])])
        note = signer.checkpoint(len(leaves) + 1, tree.root(0, len(leaves) + 1))
        path, consistency = _base64(tree.path(len(leaves))), _base64(tree.consistency(len(leaves)))
        self.files[HEAD], self.files[CONSISTENCY] = note.encode(), _lines(consistency)
        self.files[PROOF] = proof_file(len(leaves), path, note)

    def packed(self) -> bytes:
        """Pack the files in the one form of a bundle."""
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as archive:
            for name in sorted(self.files):
                archive.writestr(stored(name), self.files[name])
        return made.getvalue()


def proof_file(index: int, path: list[str], note: str) -> bytes:
    """Spell a proof file."""
    return f"c2sp.org/tlog-proof@v1\nindex {index}\n".encode() + _lines(path) + f"\n{note}".encode()


def spelled(said: Said) -> bytes:
    """Return canonical JSON, of whatever it is made."""
    return json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _row_digests(report: bytes) -> bytes:
    records = csv_records(iter(report.splitlines(keepends=True)))
    return b"".join(hashlib.sha256(record).hexdigest()[:16].encode() + b"\n" for record in records)


def _base64(nodes: list[bytes]) -> list[str]:
    return [base64.b64encode(node).decode() for node in nodes]


def _lines(texts: list[str]) -> bytes:
    return "".join(f"{text}\n" for text in texts).encode()


def smaller(files: dict[str, bytes], report: str, signer: Signer) -> bytes:
    """Pack a bundle that is whole and as small as one can be: one report with its entries, and a log over it."""
    forger = Forger(files)
    rows, column = f"rows/{report}.txt", f"reports/{report}.csv"
    supporting = {int(cell) for row in _rows(files[column]) for cell in (row["first_entry"], row["last_entry"]) if cell}
    lines = [files[name].splitlines(keepends=True) for name in (ENTRIES, PATHS)]
    pairs = [pair for pair in zip(*lines, strict=True) if json.loads(pair[1])["index"] in supporting]
    forger.files[ENTRIES], forger.files[PATHS] = (b"".join(side) for side in zip(*pairs, strict=True))
    kept = {rows, column, ENTRIES, PATHS, LEAVES, PINNED, KEY}

    manifest = {name: one for name, one in json.loads(files[MANIFEST]).items() if name in FORMS["manifest"]}
    manifest["framework"] = {"name": manifest["framework"]["name"]}
    manifest["files"] = [file for file in manifest["files"] if file["path"] in kept]
    manifest["reports"] = [one for one in manifest["reports"] if one["file"] == column]
    manifest["ledger"]["entries"] = len(pairs)
    forger.files[MANIFEST] = spelled(manifest)
    outside = {MANIFEST, SUMS, HEAD, PROOF, ENTRY, CONSISTENCY}
    forger.files = {name: content for name, content in forger.files.items() if name in kept | outside}
    forger.fit_log(signer)
    return forger.packed()


def _rows(report: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(report.decode(), newline="")))
