#!/usr/bin/env python3
"""Watch a ledger of Gatehouse from a machine of your own: the standard library only.

    python3 witness.py keys FOLDER NAME                        make a key for cosignatures, once; prints its public line
    python3 witness.py watch FOLDER URL --key KEY [--submit]   look, compare, remember; for cron, every ten minutes
                                        [--accept]             go on, though the log says that entries you saw are lost

`URL` is where the log is served (https://gatehouse.example.com/ledger/log/). `KEY` is the verifier key of the log, from
paper or the engagement letter, not from the log. `FOLDER` is the memory: the last head and all heads ever seen.
Exit codes: 0 the log only grew, 1 it was rewritten, cut, or signed by somebody else, 2 could not look.
"""

# ruff: noqa: UP006, UP031, UP035, T201, PTH105, PTH113, PTH123 -- Python 3.8 must read it; it is a program.

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import secrets
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple

# >>> replaced by the text of the verifier when the program is written out
from governance.ledger.standalone import (
    Break,
    Checkpoint,
    Unverified,
    VerifierKey,
    check_consistency,
    check_proof,
    decode_base64,
    follow_rotations,
    node_hash,
    open_any_checkpoint,
    open_checkpoint,
    parse_verifier_key,
    public_ed25519,
    read_break,
    sign_ed25519,
    signature_lines,
    verify_ed25519,
)

# <<<

_COSIGNED = b"\x04"
_TILE_HEIGHT = 8
_SECONDS = 20
_MOST_BYTES = 2_000_000

Fetch = Callable[[str], bytes]


# Cosignatures of c2sp.org/tlog-cosignature, Ed25519


class WitnessKey(NamedTuple):
    """The public key of a witness."""

    name: str
    key_id: bytes
    public: bytes


class Cosigned(NamedTuple):
    """A cosignature that holds: when it was made by the witness's clock (POSIX), and its line."""

    at: int
    line: str


def parse_witness_key(text: str) -> WitnessKey:
    """Return the key that a witness's vkey line spells."""
    parts = text.strip().split("+", 2)
    if len(parts) != 3 or not parts[0] or any(sign.isspace() for sign in text.strip()):
        raise Unverified("this is not a verifier key (name+id+base64)")
    encoded = decode_base64(parts[2])
    if len(encoded) != 33 or encoded[:1] != _COSIGNED:
        raise Unverified("this is not the key of a witness")
    key_id = hashlib.sha256(parts[0].encode("utf-8") + b"\n" + encoded).digest()[:4]
    if key_id.hex() != parts[1]:
        raise Unverified("the id of the key does not fit the key")
    return WitnessKey(parts[0], key_id, encoded[1:])


def witness_vkey(name: str, public: bytes) -> str:
    """Return the vkey line of a witness."""
    encoded = _COSIGNED + public
    key_id = hashlib.sha256(name.encode("utf-8") + b"\n" + encoded).digest()[:4]
    return "%s+%s+%s" % (name, key_id.hex(), base64.b64encode(encoded).decode("ascii"))


def check_cosignature(note: str, key: WitnessKey) -> Cosigned | None:
    """Return the witness's cosignature on the note once it holds, or None when there is none."""
    text, lines = signature_lines(note)
    for line, name, key_id, signature in lines:
        if (name, key_id) != (key.name, key.key_id):
            continue
        at = int.from_bytes(signature[:8], "big")
        if len(signature) != 72 or not verify_ed25519(key.public, signature[8:], _cosigned_text(at, text)):
            raise Unverified("the signature does not hold")
        return Cosigned(at, line)
    return None


def cosign(note: str, name: str, secret: bytes, at: int) -> str:
    """Return the line that says: at this time, this was the largest head I saw, and the log had only grown."""
    text, _ = signature_lines(note)
    public = public_ed25519(secret)
    key_id = parse_witness_key(witness_vkey(name, public)).key_id
    signature = sign_ed25519(secret, _cosigned_text(at, text))
    encoded = base64.b64encode(key_id + at.to_bytes(8, "big") + signature).decode("ascii")
    return "\u2014 %s %s\n" % (name, encoded)


def _cosigned_text(at: int, text: str) -> bytes:
    return ("cosignature/v1\ntime %d\n%s" % (at, text)).encode("utf-8")


# The tree, from its tiles: c2sp.org/tlog-tiles


class Tiles:
    """Reads hashes of a log of `size` entries from its tiles, each once."""

    def __init__(self, fetch: Fetch, size: int) -> None:
        self._fetch = fetch
        self._size = size
        self._seen: Dict[Tuple[int, int], bytes] = {}

    def consistency(self, old: int) -> List[bytes]:
        """Return the proof (RFC 6962 2.1.2) that the first `old` entries are a prefix."""
        return self._subproof(old, 0, self._size, True)

    def _subproof(self, old: int, start: int, stop: int, is_known: bool) -> List[bytes]:
        if old == stop - start:
            return [] if is_known else [self._root(start, stop)]
        middle = _split(stop - start)
        if old <= middle:
            rest = self._subproof(old, start, start + middle, is_known)
            return [*rest, self._root(start + middle, stop)]
        rest = self._subproof(old - middle, start + middle, stop, False)
        return [*rest, self._root(start, start + middle)]

    def _root(self, start: int, stop: int) -> bytes:
        width = stop - start
        if width & (width - 1) == 0:
            return self._perfect(start, width.bit_length() - 1)
        middle = _split(width)
        return node_hash(self._root(start, start + middle), self._root(start + middle, stop))

    def _perfect(self, start: int, height: int) -> bytes:
        level, above = divmod(height, _TILE_HEIGHT)
        first = start >> (_TILE_HEIGHT * level)
        hashes = [self._hash(level, index) for index in range(first, first + (1 << above))]
        while len(hashes) > 1:
            hashes = [node_hash(hashes[place], hashes[place + 1]) for place in range(0, len(hashes), 2)]
        return hashes[0]

    def _hash(self, level: int, index: int) -> bytes:
        number, place = divmod(index, 256)
        if (level, number) not in self._seen:
            there = self._size >> (_TILE_HEIGHT * level)
            width = min(256, there - 256 * number)
            path = "tile/%d/%s" % (level, tile_path(number, width))
            tile = bytes(self._fetch(path))
            if len(tile) != 32 * width:
                raise Unverified("the tile %s has %d bytes, not %d" % (path, len(tile), 32 * width))
            self._seen[level, number] = tile
        return self._seen[level, number][32 * place : 32 * place + 32]


def tile_path(number: int, width: int) -> str:
    """Return `<N>[.p/<W>]` of a tile."""
    digits = str(number)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[place : place + 3] for place in range(0, len(digits), 3)]
    path = "/".join(["x" + group for group in groups[:-1]] + groups[-1:])
    return path if width == 256 else "%s.p/%d" % (path, width)


def _split(width: int) -> int:
    return 1 << ((width - 1).bit_length() - 1)


# What is remembered, and compared


class Rewritten(Exception):
    """The log is not the one that was seen before. The text names both heads."""


class Memory:
    """The last head, and every head ever seen, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def last(self) -> str | None:
        """Return the head that was seen last, as it was signed."""
        path = self._folder / "checkpoint"
        return path.read_text(encoding="utf-8") if path.is_file() else None

    def keep(self, note: str) -> None:
        """Remember a head: first among all of them, then as the last one."""
        with open(str(self._folder / "heads.txt"), "a", encoding="utf-8") as file:
            file.write(note + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft = self._folder / "checkpoint.new"
        draft.write_text(note, encoding="utf-8")
        os.replace(str(draft), str(self._folder / "checkpoint"))


class BrokenOff(Rewritten):
    """The log says that it was broken off and goes on as another one. The text says what to do."""


def look(fetch: Fetch, memory: Memory, key: VerifierKey, *, accept: bool = False) -> Tuple[str, Checkpoint]:
    """Fetch the head and compare it with the last one; remember it; return it.

    Raises BrokenOff when the log goes on as another one and that was not taken note of (`accept`: entries that were
    seen may be lost), Rewritten when it is shorter, forked or rewritten, and Unverified when something does not hold.
    """
    said = json.loads(fetch("keys").decode("utf-8"))
    note = fetch("checkpoint").decode("utf-8")
    _check_is_pinned(note, key, said)
    known = _keys_since(said, key)
    head = open_checkpoint(note, key, also=known)
    before = memory.last()
    if before is not None:
        seen = open_any_checkpoint(before)
        if seen.origin == head.origin:
            _compare(fetch, seen, head)
        else:
            _compare_over_breaks(fetch, seen, head, _breaks(said, key, known), accept)
    if before is None or open_any_checkpoint(before)[:2] != head[:2]:
        memory.keep(note)
    return note, head


def _check_is_pinned(note: str, key: VerifierKey, said: Dict[str, Any]) -> None:
    """Raise BrokenOff when the head is of another log than the pinned key's, and the log says why.

    That is hearsay: nothing in a log can vouch for the key of the one that follows it.
    """
    origin = open_any_checkpoint(note).origin
    if origin == key.name:
        return
    for one in said.get("breaks", []):
        broken = read_break(str(one["body"]).encode("utf-8"))
        if broken.former == key.name:
            raise BrokenOff(
                "the log %s says that it was broken off at %d entries and goes on as %s (%s: %s). The key you pinned "
                "says nothing of that. Ask those who run it, by other means, and pin the key that they give you"
                % (key.name, broken.size, origin, broken.cause, broken.why)
            )


def _breaks(said: Dict[str, Any], key: VerifierKey, known: Sequence[VerifierKey]) -> List[Break]:
    """Return where the log was broken off, each shown to be in the log that the key signs."""
    found = []
    for one in said.get("breaks", []):
        body = str(one["body"]).encode("utf-8")
        index, _ = check_proof(body, str(one["proof"]), key, also=known)
        broken = read_break(body)
        if broken.size != index:
            raise Unverified("entry %d does not go on from the entries before it" % index)
        found.append(broken)
    return found


def _compare_over_breaks(
    fetch: Fetch, seen: Checkpoint, head: Checkpoint, breaks: Sequence[Break], accept: bool
) -> None:
    """Compare with a head of a log before: what is left of that is the beginning of this one, and the rest is lost."""
    broken = next((one for one in breaks if one.former == seen.origin), None)
    losing = next((one for one in breaks if one.lost is not None and one.lost.origin == seen.origin), None)
    lost = losing.lost if losing is not None else None
    if broken is not None and seen.size <= broken.size:
        _compare(fetch, seen._replace(origin=head.origin), head)
        print("The log %s was broken off and goes on as %s. All that was seen is in it." % (seen.origin, head.origin))
        return
    if losing is None or lost is None or lost.size < seen.size or (lost.size == seen.size and lost.root != seen.root):
        raise Rewritten(
            "the log goes on as %s, and does not say that entries were lost that were seen here (%d of %s, root %s)"
            % (head.origin, seen.size, seen.origin, seen.root.hex())
        )
    sentence = "the log %s goes on as %s; of the %d entries that were seen, those from %d on are lost, as it says" % (
        seen.origin,
        head.origin,
        seen.size,
        losing.size,
    )
    if not accept:
        raise BrokenOff("%s. To go on from there: --accept. The heads that were seen stay in heads.txt" % sentence)
    print("Accepted: %s." % sentence)


def _compare(fetch: Fetch, seen: Checkpoint, head: Checkpoint) -> None:
    both = "seen before: %d entries, root %s; now: %d entries, root %s" % (
        seen.size,
        seen.root.hex(),
        head.size,
        head.root.hex(),
    )
    if seen.origin != head.origin:
        raise Rewritten("this is another log: %s, not %s" % (head.origin, seen.origin))
    if head.size < seen.size:
        raise Rewritten("the log is shorter than it was (%s)" % both)
    try:
        proof = Tiles(fetch, head.size).consistency(seen.size) if head.size > seen.size else []
        check_consistency(seen.size, seen.root, head.size, head.root, proof)
    except Unverified as error:
        raise Rewritten("the log was rewritten: %s (%s)" % (error, both)) from error


def _keys_since(said: Dict[str, Any], key: VerifierKey) -> Sequence[VerifierKey]:
    """Return the keys that the log went over to after the pinned one, each shown under the key before it."""
    rotations = [(str(one["body"]).encode("utf-8"), str(one["proof"])) for one in said["rotations"]]
    names = [parse_verifier_key(json.loads(body)["data"]["previous"]) for body, _ in rotations]
    start = names.index(key) if key in names else len(rotations)
    # Those of a log that goes on from this one are none of it.
    return follow_rotations(key, [rotations[n] for n in range(start, len(names)) if names[n].name == key.name])


def fetcher(url: str) -> Fetch:
    """Return a function that reads a path below the URL."""
    if not url.startswith(("https://", "http://")):
        raise ValueError("the address must start with https:// or http://")
    base = url if url.endswith("/") else url + "/"

    def fetch(path: str) -> bytes:
        with urllib.request.urlopen(base + path, timeout=_SECONDS) as answer:  # noqa: S310 - checked above
            content = answer.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise Unverified("the answer to %s is too long" % path)
        return bytes(content)

    return fetch


# The program


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says, and return the exit code."""
    parser = argparse.ArgumentParser(prog="witness.py", description="Watch a ledger of Gatehouse.")
    commands = parser.add_subparsers(dest="command", required=True)
    keys = commands.add_parser("keys", help="make a key for cosignatures")
    keys.add_argument("folder", type=Path)
    keys.add_argument("name", help="a name of your own, like audit.example.com/witness")
    watch = commands.add_parser("watch", help="look at the log once")
    watch.add_argument("folder", type=Path)
    watch.add_argument("url")
    watch.add_argument("--key", required=True, help="the verifier key of the log, or a file with it")
    watch.add_argument("--accept", action="store_true", help="take note that entries you saw are lost, as the log says")
    watch.add_argument("--submit", action="store_true", help="also hand a cosignature back to the log")
    given = parser.parse_args(list(arguments))
    try:
        given.folder.mkdir(parents=True, exist_ok=True)
        return _make_key(given.folder, given.name) if given.command == "keys" else _watch(given)
    except BrokenOff as problem:
        print("BROKEN OFF: %s" % problem)
        return 1
    except Rewritten as problem:
        print("REWRITTEN: %s" % problem)
        return 1
    except Unverified as problem:
        print("DOES NOT HOLD: %s" % problem)
        return 1
    except (OSError, ValueError, KeyError, TypeError) as problem:
        print("Could not look: %s" % problem, file=sys.stderr)
        return 2


def _make_key(folder: Path, name: str) -> int:
    if "+" in name or any(sign.isspace() for sign in name):
        raise ValueError("a name has no spaces and no plus")
    path = folder / "witness.key"
    secret = secrets.token_bytes(32)
    handle = os.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(handle, "w") as file:
        file.write("%s %s\n" % (name, base64.b64encode(secret).decode("ascii")))
    print(witness_vkey(name, public_ed25519(secret)))
    return 0


def _watch(given: argparse.Namespace) -> int:
    text = Path(given.key).read_text(encoding="utf-8") if os.path.isfile(given.key) else given.key
    fetch = fetcher(given.url)
    note, head = look(fetch, Memory(given.folder), parse_verifier_key(text), accept=given.accept)
    print("The log %s only grew: %d entries, root %s" % (head.origin, head.size, head.root.hex()))
    path = given.folder / "witness.key"
    if path.is_file():
        name, encoded = path.read_text(encoding="utf-8").split()
        line = cosign(note, name, base64.b64decode(encoded), int(time.time()))
        (given.folder / "cosigned").write_text(note + line, encoding="utf-8")
        if given.submit:
            _submit(given.url, note + line)
    elif given.submit:
        raise ValueError("there is no key to cosign with; make one with: witness.py keys FOLDER NAME")
    return 0


def _submit(url: str, cosigned: str) -> None:
    address = (url if url.endswith("/") else url + "/") + "cosignatures"
    wanted = urllib.request.Request(  # noqa: S310 - the address was checked by `fetcher`
        address, data=cosigned.encode("utf-8"), headers={"Content-Type": "text/plain; charset=utf-8"}, method="POST"
    )
    try:
        with urllib.request.urlopen(wanted, timeout=_SECONDS):  # noqa: S310
            print("The cosignature was taken.")
    except urllib.error.HTTPError as error:
        raise OSError(
            "the log did not take the cosignature: %s" % error.read(2_000).decode("utf-8", "replace")
        ) from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
