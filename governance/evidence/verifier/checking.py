"""Check an evidence bundle without trusting the one who made it: the standard library only, nothing of Gatehouse.

Usage: python3 verify.py [ZIP or folder] [--key KEY] [--checkpoint FILE] [--up-to SIZE]
Exit codes: 0 everything holds; 1 something does not, and the first such record is named; 2 it could not look, or no key
was given: a key out of the bundle itself shows that the bundle is whole, not who made it.
Runs on Python 3.9 and newer, without network. What is checked, and what that proves: README.txt in the bundle.
"""

# ruff: noqa: B905, T201 -- Python 3.9 knows no strict zip; and it talks to a terminal.

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import re
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

# >>> replaced by the texts of these modules when the one file is made
from governance.evidence.verifier.container import (
    MANIFEST,
    SUMS,
    Bundle,
    CannotLook,
    DoesNotHold,
    open_bundle,
)
from governance.evidence.verifier.form import (
    COLUMNS,
    FORMS,
    Said,
    check_form,
    csv_records,
    csv_rows,
    entry_numbers,
    read_record,
    whole_lines,
)
from governance.ledger.standalone import (
    Break,
    Checkpoint,
    NotSigned,
    RootBuilder,
    Unverified,
    VerifierKey,
    check_consistency,
    check_inclusion,
    check_proof,
    decode_base64,
    leaf_hash,
    open_any_checkpoint,
    open_checkpoint,
    parse_proof,
    parse_verifier_key,
    read_break,
    read_canonical,
    read_rotation,
)

# <<<

FORMAT = "gatehouse-evidence/1"
KEY = "ledger/log_key.txt"
HEAD = "ledger/checkpoint"
ENTRY = "ledger/manifest_entry.json"
PROOF = "ledger/proofs/manifest.tlog-proof"
CONSISTENCY = "ledger/consistency.txt"
PINNED = "ledger/pinned_checkpoint"
ENTRIES = "ledger/entries.ndjson"
PATHS = "ledger/proofs/entries.ndjson"
LEAVES = "ledger/leaves.bin"
#: Only in a bundle of a log that goes on from another one.
BREAKS = "ledger/breaks.ndjson"
#: Only in a bundle of a log that went over to another key.
ROTATIONS = "ledger/rotations.ndjson"
#: Files that cannot be in the manifest, because they speak about it.
OUTSIDE = (MANIFEST, SUMS, HEAD, ENTRY, PROOF, CONSISTENCY)


Found = TypeVar("Found")


class Rotation(NamedTuple):
    """Where the log went over from a key to another: the entry that says so, and its path to the bundle's head."""

    body: bytes
    number: int
    path: list[bytes]
    before: VerifierKey
    after: VerifierKey


class Keys(NamedTuple):
    """The keys of one log. `trusted`: the one to begin with, and those it went over to since, each shown by an entry.

    `earlier` are those before it: their heads are evidence of sizes that a trusted head is shown to begin with.
    """

    trusted: list[VerifierKey]
    earlier: list[VerifierKey]

    @property
    def name(self) -> str:
        """Return the name that they have in common."""
        return self.trusted[0].name


# From the key to the manifest


def read_rotations(bundle: Bundle) -> list[Rotation]:
    """Return where the log went over to another key, each shown by a head that the key before and the new one sign."""
    found: list[Rotation] = []
    lines = whole_lines(ROTATIONS, bundle.lines(ROTATIONS)) if ROTATIONS in bundle.names else iter(())
    for number, line in enumerate(lines, start=1):
        try:
            said = read_record(line.decode("utf-8"), "rotation")
            body, path = said["body"].encode("utf-8"), [decode_base64(node) for node in said["path"]]
            before, after = read_rotation(body)
            if said["proof"] != _proof_text(*parse_proof(said["proof"])):
                raise Unverified("its proof is not spelled as proofs are here")
            for key in (before, after):
                index, _ = check_proof(body, said["proof"], key)
                if index != said["index"] or (found and index <= found[-1].number):
                    raise Unverified("it is not where the log goes over to another key")
        except (Unverified, ValueError) as error:
            raise DoesNotHold(f"{ROTATIONS}, line {number}", str(error)) from error
        found.append(Rotation(body, index, path, before, after))
    if ROTATIONS in bundle.names and not found:
        raise DoesNotHold(ROTATIONS, "it names no other key")
    return found


def follow(key: VerifierKey, rotations: Sequence[Rotation]) -> Keys:
    """Return the keys of the log that follow from the one to begin with, and those before it."""
    trusted = [key]
    for one in rotations:
        if one.before in trusted:
            trusted.append(one.after)
    return Keys(trusted, [one.before for one in rotations if one.before.name == key.name and one.before not in trusted])


def check_rotations(bundle: Bundle, rotations: Sequence[Rotation], head: Checkpoint) -> None:
    """Check that what the keys follow from is in the head's log."""
    for number, one in enumerate(rotations, start=1):
        try:
            check_inclusion(leaf_hash(one.body), one.number, head.size, head.root, one.path)
        except Unverified as error:
            raise DoesNotHold(f"{ROTATIONS}, line {number}", str(error)) from error
        bundle.notes.append(
            f"The log {one.before.name} went over to another key at entry {one.number}: from {one.before.fingerprint}, "
            f"to {one.after.fingerprint}."
        )


def check_manifest(bundle: Bundle, keys: Keys) -> tuple[Said, Checkpoint]:
    """Return what the manifest says, once the log is shown to know exactly this manifest; and the signed head."""
    note = bundle.text(HEAD)
    head = _opened(HEAD, note, keys.trusted)
    index = _check_entry(bundle, note, head)
    said = _held(ENTRY, lambda: read_record(bundle.text(ENTRY), "export"))
    if said["event"] != "evidence.exported":
        raise DoesNotHold(ENTRY, "it is not the entry of an export")
    if said["data"]["manifest_sha256"] != bundle.digest(MANIFEST)[1]:
        raise DoesNotHold(MANIFEST, f"it is not the manifest that entry {index} of the log knows")
    manifest = _held(MANIFEST, lambda: read_canonical(bundle.text(MANIFEST)))
    if isinstance(manifest, dict) and manifest.get("format", FORMAT) != FORMAT:
        raise CannotLook(f"this verify.py knows {FORMAT}, the bundle is {manifest['format']!r}")
    _held(MANIFEST, lambda: _check_manifest_form(manifest))
    bundle.notes.append(
        f"The log knows this manifest: entry {index}, recorded {said['at']}, asked for by "
        f"{said['data'].get('asked_by')}, under the head of size {head.size}."
    )
    return manifest, head


def _check_manifest_form(manifest: Said) -> None:
    check_form(manifest, FORMS["manifest"])
    for place, report in enumerate(manifest["reports"]):
        if report["rows_file"] is not None:
            check_form(report, FORMS["report"], f"it.reports[{place}]")


def _check_entry(bundle: Bundle, note: str, head: Checkpoint) -> int:
    """Return the index of the export's entry, once it is in the signed tree."""
    text = bundle.text(PROOF)
    index, path, inner_note = _held(PROOF, lambda: parse_proof(text))
    if inner_note != note or text != _proof_text(index, path, note):
        raise DoesNotHold(PROOF, f"it is not a proof for {HEAD}")
    body = bundle.content(ENTRY)
    try:
        check_inclusion(leaf_hash(body), index, head.size, head.root, path)
    except Unverified as error:
        guilty = PROOF if bundle.is_changed(PROOF) and not bundle.is_changed(ENTRY) else ENTRY
        raise DoesNotHold(guilty, f"{error} ({ENTRY} with {PROOF})") from error
    return index


def _proof_text(index: int, path: Sequence[bytes], note: str) -> str:
    hashes = "".join(base64.b64encode(node).decode() + "\n" for node in path)
    return f"c2sp.org/tlog-proof@v1\nindex {index}\n{hashes}\n{note}"


def _opened(name: str, note: str, keys: Sequence[VerifierKey]) -> Checkpoint:
    return _held(name, lambda: open_checkpoint(note, keys[0], also=keys[1:]))


def _held(name: str, check: Callable[[], Found]) -> Found:
    try:
        return check()
    except Unverified as error:
        raise DoesNotHold(name, str(error)) from error


# From the manifest to every byte


def check_files(bundle: Bundle, manifest: Said) -> None:
    """Check that the bundle is exactly the files of the manifest and those that speak about it."""
    listed = {file["path"]: file for file in manifest["files"]}
    for name in sorted({*listed, *OUTSIDE} - set(bundle.names)):
        raise DoesNotHold(name, "it is missing")
    for name in sorted(set(bundle.names) - {*listed, *OUTSIDE, BREAKS, ROTATIONS}):
        raise DoesNotHold(name, "it does not belong to the bundle")
    rows = {report["file"]: report["rows_file"] for report in manifest["reports"] if report["rows_file"] is not None}
    for name, file in listed.items():
        if bundle.digest(name) == (file["size"], file["sha256"]):
            continue
        if name in rows and _is_as_listed(bundle, listed, rows[name]):
            raise DoesNotHold(f"{name}, {_first_wrong_row(bundle, name, rows[name])}", "it was changed")
        if name in (ENTRIES, PATHS):
            raise DoesNotHold(f"{name}, {_first_wrong_line(bundle, name, listed)}", "it was changed")
        raise DoesNotHold(name, "it was changed: its SHA-256 is not the one in the manifest")


def _is_as_listed(bundle: Bundle, listed: Said, name: str) -> bool:
    return name in listed and bundle.digest(name) == (listed[name]["size"], listed[name]["sha256"])


def _first_wrong_row(bundle: Bundle, name: str, digests: str) -> str:
    expected = bundle.lines(digests)
    number = -1
    for number, row in enumerate(csv_records(bundle.lines(name))):
        digest = next(expected, b"")
        if hashlib.sha256(row).hexdigest()[:16].encode() + b"\n" != digest:
            return f"row {number}" if number else "line 1, the names of the columns"
    return f"row {number + 1} (missing)"


def _first_wrong_line(bundle: Bundle, name: str, listed: Said) -> str:
    """Name the entry by comparing bodies and proofs with the leaf hashes, if those are as they were."""
    if LEAVES not in bundle.names or not _is_as_listed(bundle, listed, LEAVES):
        return "a line"
    leaves = bundle.content(LEAVES)
    other = PATHS if name == ENTRIES else ENTRIES
    pairs = zip(bundle.lines(ENTRIES), bundle.lines(PATHS))
    for number, (body, path) in enumerate(pairs, start=1):
        try:
            index = int(read_canonical(path.decode("utf-8")[:-1])["index"])
        except (Unverified, UnicodeDecodeError, KeyError, TypeError):
            return f"line {number}"
        if leaf_hash(body[:-1]) != leaves[32 * index : 32 * index + 32]:
            return f"line {number} (entry {index} of the log)"
    return f"a line (against {other})"


# From the rows to the log


def check_ledger(bundle: Bundle, manifest: Said, keys: Keys, head: Checkpoint) -> dict[int, Said]:
    """Return the entries that support rows, once each is in the pinned log and that log is the head's beginning."""
    pinned = _pinned(bundle, keys, check_breaks(bundle, manifest, head))
    if (pinned.size, pinned.root.hex()) != (manifest["ledger"]["size"], manifest["ledger"]["root"]):
        raise DoesNotHold(PINNED, "it is not the head that the manifest names")
    text = bundle.text(CONSISTENCY)
    path = [_hash_line(line) for line in text.split("\n")[:-1]]
    if text != "".join(base64.b64encode(node).decode() + "\n" for node in path):
        raise DoesNotHold(CONSISTENCY, "it is not a list of hashes")
    _held(CONSISTENCY, lambda: check_consistency(pinned.size, pinned.root, head.size, head.root, path))
    _check_leaves(bundle, pinned)
    entries = dict(_proven_entries(bundle, pinned))
    if len(entries) != manifest["ledger"]["entries"]:
        raise DoesNotHold(ENTRIES, "it has not as many entries as the manifest says")
    bundle.notes.append(f"{len(entries)} ledger entries that support rows are in the log of size {pinned.size}.")
    return entries


def check_breaks(bundle: Bundle, manifest: Said, head: Checkpoint) -> list[Break]:
    """Return where the log was broken off and went on under another key, each shown to be in the head's log."""
    found: list[Break] = []
    lines = whole_lines(BREAKS, bundle.lines(BREAKS)) if BREAKS in bundle.names else iter(())
    for number, line in enumerate(lines, start=1):
        try:
            said = read_record(line.decode("utf-8"), "break")
            body = said["body"].encode("utf-8")
            path = [decode_base64(node) for node in said["path"]]
            check_inclusion(leaf_hash(body), said["index"], head.size, head.root, path)
            broken = read_break(body)
            if broken.size != said["index"] or (found and broken.size <= found[-1].size):
                raise Unverified("it is not where the log goes on")
        except (Unverified, ValueError) as error:
            raise DoesNotHold(f"{BREAKS}, line {number}", str(error)) from error
        found.append(broken)
        bundle.notes.append(
            f"The log {broken.former} was broken off at {broken.size} entries ({broken.cause}) and goes on as "
            f"{broken.key.name}. It says why: {broken.why}"
        )
    if BREAKS in bundle.names and not found:
        raise DoesNotHold(BREAKS, "it names no break")
    if sum(one.size < manifest["ledger"]["size"] for one in found) != manifest["ledger"].get("breaks", 0):
        raise DoesNotHold(BREAKS, "it has not as many breaks as the manifest says")
    return found


def _pinned(bundle: Bundle, keys: Keys, breaks: Sequence[Break]) -> Checkpoint:
    """Return the head that the reports are pinned to.

    It may be signed by a key before the pinned one. One of a log that was broken off since is signed by a key that
    counts no more: what holds it is that the manifest names its size and root, and that it is shown to be the beginning
    of the log of the head.
    """
    text = bundle.text(PINNED)
    said = _held(PINNED, lambda: open_any_checkpoint(text))
    if any(said.origin == one.former and said.size <= one.size for one in breaks) and said.origin != keys.name:
        return said
    return _opened(PINNED, text, [*keys.trusted, *keys.earlier])


def _hash_line(line: str) -> bytes:
    try:
        node = base64.b64decode(line, validate=True)
    except ValueError as error:
        raise DoesNotHold(CONSISTENCY, "a hash is malformed") from error
    if len(node) != 32:
        raise DoesNotHold(CONSISTENCY, "a hash has the wrong length")
    return node


def _check_leaves(bundle: Bundle, pinned: Checkpoint) -> None:
    if LEAVES not in bundle.names:
        return
    root = root_of_first(bundle, pinned.size)
    if bundle.digest(LEAVES)[0] != 32 * pinned.size or root != pinned.root:
        raise DoesNotHold(LEAVES, f"these leaves do not make the signed root of size {pinned.size}")


def root_of_first(bundle: Bundle, size: int) -> bytes:
    """Return the root over the first leaves of the bundle's list."""
    tree = RootBuilder()
    rest = b""
    for block in bundle.shape.blocks(LEAVES):
        rest += block
        whole = len(rest) // 32 * 32
        for start in range(0, whole, 32):
            if tree.size == size:
                return tree.root()
            tree.add(rest[start : start + 32])
        rest = rest[whole:]
    return tree.root()


def _proven_entries(bundle: Bundle, pinned: Checkpoint) -> Iterator[tuple[int, Said]]:
    bodies, paths = (list(whole_lines(name, bundle.lines(name))) for name in (ENTRIES, PATHS))
    if len(bodies) != len(paths):
        raise DoesNotHold(PATHS, f"it has not one line for each line of {ENTRIES}")
    before = -1
    for number, (body, proof) in enumerate(zip(bodies, paths), start=1):
        try:
            said = read_record(proof.decode("utf-8"), "path")
            index = said["index"]
            path = [decode_base64(node) for node in said["path"]]
            if index <= before:
                raise Unverified("the entries are not in order")
            check_inclusion(leaf_hash(body), index, pinned.size, pinned.root, path)
            entry = read_record(body.decode("utf-8"), "entry")
        except (Unverified, ValueError) as error:
            raise DoesNotHold(f"{ENTRIES}, line {number}", str(error)) from error
        yield index, entry
        before = index


def check_reports(bundle: Bundle, manifest: Said, entries: dict[int, Said]) -> None:
    """Check ordinals and totals of every report, and that each row's entries are about what the row is about."""
    for report in manifest["reports"]:
        if report["rows_file"] is not None:
            _check_report(bundle, manifest, report, entries)


def _check_report(bundle: Bundle, manifest: Said, report: Said, entries: dict[int, Said]) -> None:
    totals = {"rows": 0, "exceptions": 0, "without_entry": 0, "entry_sum": 0}
    name = report["file"]
    columns = {*COLUMNS, *(report[one]["column"] for one in ("subject", "or_subject") if one in report)}
    for row in csv_rows(name, bundle.lines(name), columns):
        totals["rows"] += 1
        where = f"{name}, row {totals['rows']}"
        if row["row_no"] != str(totals["rows"]):
            raise DoesNotHold(where, f"it says it is row {row['row_no']}")
        totals["exceptions"] += row["exceptions"] != ""
        supporting = entry_numbers(where, row)
        totals["without_entry"] += not supporting
        totals["entry_sum"] += sum(supporting)
        for index in supporting:
            if index not in entries:
                if manifest["ledger"]["entries_left_out"]:
                    continue
                raise DoesNotHold(where, f"entry {index} is not in {ENTRIES}")
            what = _not_about(report, row, index, entries[index])
            if what:
                raise DoesNotHold(where, f"entry {index} is not {what}")
    for total, value in totals.items():
        if report["totals"][total] != value:
            raise DoesNotHold(name, f"its {total} is {value}, the manifest says {report['totals'][total]}")
    bundle.notes.append(f"{report['id']} {report['title']}: {totals['rows']} rows, {totals['exceptions']} exceptions.")


def _not_about(report: Said, row: dict[str, str], index: int, entry: Said) -> str:
    """Return what an entry should be and is not: about what the row is about, or what the row says of it."""
    subject = report["subject"]
    if not row[subject["column"]] and "or_subject" in report:
        subject = report["or_subject"]
    kind, ref = subject["kind"], row[subject["column"]]
    if kind != "entry":
        return "" if {"kind": kind, "ref": ref} in entry["subjects"] else f"about {kind} {ref}"
    told = {"event": entry["event"], "at": entry["at"], "actor_ref": entry["actor"]["ref"]}
    differing = [name for name, value in told.items() if name in row and row[name].lstrip("'") != value.lstrip("'")]
    if ref != str(index):
        return f"entry {ref}"
    return f"what the row says of its {differing[0]}" if differing else ""


def check_sums(bundle: Bundle) -> None:
    """Check that SHA256SUMS is what it has to be. All that it lists has been checked by then."""
    expected = "".join(f"{bundle.digest(name)[1]}  {name}\n" for name in bundle.names if name != SUMS)
    if bundle.content(SUMS) != expected.encode():
        raise DoesNotHold(SUMS, "it is not the list of the files as they are")


# What the auditor holds besides the bundle


def chosen_key(bundle: Bundle, pinned: str | None, rotations: Sequence[Rotation]) -> VerifierKey:
    """Return the key to begin with: the pinned one, or else the bundle's own."""
    if pinned is not None and not _is_digest(pinned):
        return _given_key(pinned)
    own = _held(KEY, lambda: parse_verifier_key(bundle.text(KEY)))
    for one in rotations:
        if pinned is not None and one.before.fingerprint == pinned.lower():
            return one.before
    if pinned is not None and own.fingerprint != pinned.lower():
        raise DoesNotHold(KEY, f"its fingerprint is {own.fingerprint}, not the one you pinned")
    return own


def _given_key(pinned: str) -> VerifierKey:
    text = pinned
    if "+" not in pinned:
        try:
            text = Path(pinned).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise CannotLook(f"--key: {pinned} is neither a verifier key, nor a fingerprint, nor a file") from error
    try:
        return parse_verifier_key(text)
    except Unverified as error:
        raise CannotLook(f"--key: {error}") from error


def _is_digest(text: str) -> bool:
    return re.fullmatch(r"[0-9a-fA-F]{64}", text) is not None


def check_anchor(bundle: Bundle, path: Path, keys: Keys, pinned: Said, head: Checkpoint) -> None:
    """Check a head that was kept elsewhere: the log of the bundle must be that log, grown."""
    try:
        note = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise CannotLook(f"--checkpoint: {path} cannot be read") from error
    anchor = _opened(str(path), note, [*keys.trusted, *keys.earlier])
    if anchor.size == head.size:
        root = head.root
    elif anchor.size <= pinned["size"] and LEAVES in bundle.names:
        root = root_of_first(bundle, anchor.size)
    elif anchor.size == pinned["size"]:
        root = bytes.fromhex(pinned["root"])
    else:
        raise CannotLook(
            f"--checkpoint: it is of size {anchor.size}; "
            f"this bundle can show sizes up to {pinned['size']}, and {head.size}"
        )
    if root != anchor.root:
        raise DoesNotHold(str(path), f"the log had another root at size {anchor.size}: history was rewritten")
    bundle.notes.append(f"The checkpoint you kept, of size {anchor.size}, is the beginning of this log.")


# The command


def verify(bundle: Bundle, pinned: str | None, anchor: Path | None, up_to: int | None = None) -> VerifierKey:
    """Check everything; return the key it was checked with. Raises DoesNotHold or CannotLook."""
    rotations = read_rotations(bundle)
    key = chosen_key(bundle, pinned, rotations)
    keys = follow(key, rotations)
    try:
        manifest, head = check_manifest(bundle, keys)
    except DoesNotHold as error:
        if pinned is not None and isinstance(error.__cause__, NotSigned):
            raise DoesNotHold(HEAD, "it is not signed by the key you pinned") from error
        raise
    if up_to is not None and head.size > up_to:
        raise DoesNotHold(HEAD, f"it is of size {head.size}; this key is believed up to {up_to} only")
    check_rotations(bundle, rotations, head)
    check_files(bundle, manifest)
    check_reports(bundle, manifest, check_ledger(bundle, manifest, keys, head))
    check_sums(bundle)
    bundle.shape.check_container()
    if anchor is not None:
        check_anchor(bundle, anchor, keys, manifest["ledger"], head)
    period = manifest["period"]
    bundle.notes.insert(
        0,
        f"{manifest['framework']['name']}, {period['first']} to {period['last']} ({period['zone']}), "
        f"known at {manifest['known_at']}, {len(bundle.names)} files.",
    )
    return key


def default_path() -> Path:
    """Return the bundle this file lies in, or the current folder."""
    here = Path(__file__).resolve().parent
    for folder in (here, here.parent):
        if (folder / MANIFEST).is_file():
            return folder
    return Path.cwd()


def main(arguments: list[str] | None = None) -> int:
    """Check a bundle and say so; return the exit code."""
    parser = argparse.ArgumentParser(prog="verify.py", description="Check an evidence bundle, offline.")
    parser.add_argument("bundle", nargs="?", type=Path, help="the ZIP file or the unpacked folder; default: this one")
    parser.add_argument("--key", help="verifier key, file with it, or fingerprint: from outside the bundle")
    parser.add_argument("--checkpoint", type=Path, help="a signed checkpoint that you kept from earlier")
    parser.add_argument("--up-to", type=int, metavar="SIZE", help="the key was known to others: believe it up to here")
    options = parser.parse_args(arguments)
    csv.field_size_limit(1 << 30)
    path = options.bundle or default_path()
    try:
        bundle = open_bundle(path)
        key = verify(bundle, options.key, options.checkpoint, options.up_to)
    except DoesNotHold as error:
        print(f"DOES NOT HOLD  {error}")
        return 1
    except (CannotLook, OSError) as error:
        print(f"COULD NOT LOOK  {error}")
        return 2
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, csv.Error, struct.error) as error:
        print(f"DOES NOT HOLD  a record has not the form it must have: {type(error).__name__}: {error}")
        return 1
    print(f"{'NOT PROVEN' if options.key is None else 'HOLDS'}  {path}")
    if options.key is None:
        print(
            "  It is whole, and nothing shows who made it: no key was given, and its own was used. Take the key, or its"
        )
        print("  fingerprint, from outside the bundle, and run again with --key.")
    for note in bundle.notes:
        print(f"  {note}")
    print(f"  Key fingerprint (SHA-256): {key.fingerprint}")
    return 2 if options.key is None else 0


if __name__ == "__main__":
    sys.exit(main())
