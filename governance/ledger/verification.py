"""The inner check: everything that is stored against what was signed, from one consistent view of the database.

It reads the tables itself and checks with `standalone` only, which shares no code with the part that writes.
What it cannot see is in docs/security.md: a log that was cut or rewritten together with its heads by someone who holds
the key. That needs a checkpoint kept elsewhere (`anchor`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby, islice
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import connection

from governance.ledger import standalone
from governance.ledger.disposals import Disposed, NoDisposal, disposes_too_early, statements
from governance.ledger.key_chain import REOPENED, KeyChain
from governance.ledger.standalone import Break, Unverified, VerifierKey
from governance.ledger.stored_ledger import StoredLedger, opened

INSERT_ONLY = (
    "entry",
    "entrysubject",
    "node",
    "checkpoint",
    "logkey",
    "configurationchange",
    "pending",
    "disclosure",
    "captured",
    "subjectkey",
    "halt",
)
_TILE_HEIGHT = 8
_TILE = 1 << _TILE_HEIGHT


class Damaged(Exception):
    """The ledger does not hold. `index` is the first entry that fails, None when it is not about one entry."""

    def __init__(self, index: int | None, sentence: str) -> None:
        super().__init__(sentence)
        self.index = index


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found to hold."""

    size: int
    root: bytes
    heads: int
    key: VerifierKey
    #: Where the log was broken off and went on under another name and key, in their order.
    breaks: tuple[Break, ...] = ()
    #: Heads that were kept elsewhere of what is lost, as the log itself says: their sizes.
    lost: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """What to check. Bodies below `start` are taken at their stored hash; `anchors` are checkpoints kept elsewhere.

    `is_strict` also parses every body as canonical JSON. `key` is the pinned key; without one the stored one is used.
    `size`: check the log as it was under the head of that size, and nothing that came after it.
    """

    start: int = 0
    is_strict: bool = False
    anchors: tuple[str, ...] = ()
    key: VerifierKey | None = None
    size: int | None = None


class _Rows:
    """Rows that are looked at one ahead."""

    def __init__(self, rows: Iterator[tuple[Any, ...]]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def take(self) -> tuple[Any, ...] | None:
        """Return the next row, or None when there is no more."""
        taken, self._next = self._next, next(self._rows, None)
        return taken

    def take_at(self, size: int) -> tuple[Any, ...] | None:
        """Return the next row when it begins with `size`, else None."""
        return self.take() if self._next is not None and self._next[0] == size else None


class _Subjects:
    """What the entries are about, as it is stored: index, kind and reference."""

    def __init__(self, rows: Iterator[tuple[int, str, str]]) -> None:
        self._rows = rows
        self._put_back: deque[tuple[int, str, str]] = deque()

    def are_next(self, wanted: list[tuple[int, str, str]]) -> bool:
        """Tell whether these come next, and pass them by if so."""
        found = [row for _ in wanted if (row := self._take()) is not None] if self._put_back else []
        found += islice(self._rows, len(wanted) - len(found))
        if found != wanted:
            self._put_back.extendleft(reversed(found))
        return found == wanted

    def of(self, index: int) -> list[tuple[str, str]]:
        """Return kind and reference of what comes next and belongs to this entry, and pass it by."""
        found = []
        while (row := self._take()) is not None and row[0] == index:
            found.append(row[1:])
        if row is not None:
            self._put_back.appendleft(row)
        return found

    def is_at_end(self) -> bool:
        """Tell whether all were passed by."""
        return not self._put_back and next(self._rows, None) is None

    def _take(self) -> tuple[int, str, str] | None:
        return self._put_back.popleft() if self._put_back else next(self._rows, None)


class _Tree:
    """Folds leaf hashes into the root, and into the nodes that the tree is served and proven from."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def add(self, leaf: bytes) -> list[tuple[int, bytes]]:
        """Add the next leaf hash; return level and hash of each node of a tile that is complete with it."""
        self.size += 1
        node, height, completed = leaf, 0, []
        # A peak for each bit of the size: each of the low bits that were set is a subtree that is now joined.
        while not self.size >> height & 1:
            node = sha256(b"\x01" + self._peaks.pop() + node).digest()
            height += 1
            if height % _TILE_HEIGHT == 0:
                completed.append((height // _TILE_HEIGHT, node))
        self._peaks.append(node)
        return completed

    def root(self) -> bytes:
        """Return the root over all leaves so far."""
        if not self._peaks:
            return sha256(b"").digest()
        node = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            node = standalone.node_hash(peak, node)
        return node


def verify(request: Request) -> Verdict:
    """Check the whole ledger. Raises Damaged with the first entry that fails, or DatabaseError when it cannot look.

    The ledger may grow and be pruned meanwhile: all is read as of one moment, up to the last head.
    """
    try:
        with opened(request.size) as stored:
            _check_guards()
            return _Walk(request, _stored_keys(request.size), stored).run()
    except NoDisposal as error:
        raise Damaged(error.index, f"Entry {error.index} does not say what was disposed of.") from error


class _Walk:
    """One pass over the entries, with what is about them, the nodes and the heads running alongside."""

    def __init__(self, request: Request, stored_keys: list[VerifierKey], stored: StoredLedger) -> None:
        self.request = request
        self._read: Callable[[bytes], Any] = _read_strictly if request.is_strict else orjson.loads
        self.keys = KeyChain(stored_keys[0] if request.key is None or request.key in stored_keys else request.key)
        self.stored_keys = stored_keys
        self.last_note = ""
        self.stored = stored
        self.tree = _Tree()
        #: Up to here a head was found to hold.
        self.good = 0
        #: Up to here a checkpoint that was kept elsewhere was found to hold.
        self.kept = 0
        self.heads_seen = 0
        self.disposed = Disposed(statements())
        self.heads = _Rows(stored.heads())
        self.nodes = _Rows(stored.nodes())
        self.subjects = _Subjects(stored.subjects())
        self.anchors = _Rows(iter(sorted(self._anchor(note) for note in request.anchors)))
        self.breaks: list[Break] = []
        self.lost: list[int] = []

    def run(self) -> Verdict:
        """Check entry after entry."""
        for rows in self.stored.entries():
            for is_plain, some in groupby(rows, key=self._is_plain):
                alike = list(some)
                are_checked = is_plain and self._are_as_sealed(alike)
                for row in alike:
                    if not are_checked:
                        self._check(row)
                    self._add(row[2])
        if all(end <= self.tree.size for one in self.disposed.said for _, end in one.ranges):
            self._check_disposals()
        return self._finished()

    def _is_plain(self, row: tuple[Any, ...]) -> bool:
        """Tell whether nothing of this entry but its text, its columns and its subjects has to be looked at."""
        if row[1] is None or row[0] < self.request.start or row[3].startswith("log."):
            return False
        return not self.disposed.said or self.disposed.of(row[0]) is None

    def _are_as_sealed(self, rows: list[tuple[Any, ...]]) -> bool:
        """Tell whether the next entries hold, all of them: made anew from their texts, they are what is stored.

        When they do not, nothing has happened yet: `_check` finds the one that does not, and says why.
        """
        sealed, about = [], []
        try:
            for index, (_, body, *_) in enumerate(rows, self.tree.size):
                said = self._read(body)
                sealed.append((index, body, sha256(b"\x00" + body).digest(), *_columns(said)))
                about += [(index, subject["kind"], subject["ref"]) for subject in said["subjects"]]
        except (Unverified, ValueError, LookupError, TypeError):
            return False
        return sealed == rows and self.subjects.are_next(about)

    def _check(self, row: tuple[Any, ...]) -> None:
        """Check one entry, but for its place in the tree."""
        index, body, leaf = self.tree.size, *row[1:3]
        if row[0] != index:
            raise Damaged(index, f"Entry {index} is missing.")
        subjects = self.subjects.of(index)
        self._check_disposal(index, body is not None)
        if body is not None and (index >= self.request.start or row[3].startswith("log.")):
            self._check_body(row, subjects)
            self.keys.hear(row[3], body)
            if row[3] == REOPENED:
                self._go_over(index, body)
        self.disposed.pass_by(index, leaf)

    def _check_disposal(self, index: int, is_there: bool) -> None:
        """Compare whether the text is there with what the log says of it."""
        went = self.disposed.of(index) is not None
        if not is_there and not went:
            raise Damaged(index, f"Entry {index} has no text, and nothing says that it was disposed of.")
        if is_there and went:
            raise Damaged(index, f"Entry {index} was disposed of, as the log says, and its text is there.")

    def _check_disposals(self) -> None:
        wrong = self.disposed.what_is_wrong()
        early = disposes_too_early(self.disposed.said)
        if wrong is None and early is not None:
            wrong = early, "disposes of entries that were sealed after the day it names"
        if wrong is not None:
            one, problem = wrong
            name = "A disposal that waits to be sealed" if one.index is None else f"Entry {one.index}"
            raise Damaged(one.index, f"{name} {problem}.")

    def _check_body(self, row: tuple[Any, ...], subjects: list[tuple[str, str]]) -> None:
        index, body, leaf = row[:3]
        if standalone.leaf_hash(body) != leaf:
            raise Damaged(index, f"Entry {index} was edited: its text does not have the hash that is stored.")
        try:
            said = self._read(body)
            columns = _columns(said)
        except (Unverified, ValueError, LookupError, TypeError) as error:
            raise Damaged(index, f"Entry {index} is not an entry: {error}.") from error
        if columns != row[3:] or _about(said) != subjects:
            raise Damaged(index, f"Entry {index} is shown differently from what was sealed.")

    def _go_over(self, index: int, body: bytes) -> None:
        try:
            reopened = standalone.read_break(body)
            if (reopened.size, reopened.root) != (index, self.tree.root()):
                raise Unverified("it does not go on from the entries before it")
            self.keys.go_over(reopened)
        except Unverified as error:
            raise Damaged(index, f"Entry {index} does not reopen this log: {error}.") from error
        self.breaks.append(reopened)

    def _add(self, leaf: bytes) -> None:
        completed = self.tree.add(leaf)
        size = self.tree.size
        for level, node in completed:
            if self.nodes.take() != (level, size // _TILE**level - 1, node):
                raise Damaged(size - _TILE**level, f"The stored tree differs from the entries at size {size}.")
        if (head := self.heads.take_at(size)) is not None:
            self._check_head(*head)
        while (anchor := self.anchors.take_at(size)) is not None:
            if self._is_of_what_is_lost(*anchor):
                continue
            if anchor[1] != self.tree.root():
                raise Damaged(
                    self.kept, f"The ledger is not the one whose checkpoint of size {size} was kept elsewhere."
                )
            self.kept = size

    def _check_head(self, size: int, root: bytes, note: str) -> None:
        signed = self._open(note, self.good)
        if (signed.size, signed.root) != (size, root):
            raise Damaged(self.good, f"The head of size {size} is shown differently from what was signed.")
        if root != self.tree.root():
            raise Damaged(
                self.good, f"Entries {self.good} to {size - 1} do not lead to the root signed at size {size}."
            )
        self.good = size
        self.heads_seen += 1
        self.last_note = note
        try:
            self.keys.head_holds()
        except Unverified as error:
            raise Damaged(self.good, f"What the log says about its keys does not hold: {error}.") from error

    def _is_of_what_is_lost(self, size: int, root: bytes, origin: str) -> bool:
        """Tell whether a head that was kept elsewhere is of entries that the log itself says are lost.

        Raises Damaged when it is of a log that was broken off before, and the break does not say so.
        """
        broken = next((one for one in self.breaks if one.former == origin), None)
        if broken is None or size <= broken.size:
            return False
        if size > broken.trusted_size and broken.cause == "key_compromised":
            raise Damaged(
                broken.size,
                f"The checkpoint of size {size} is by a key that somebody else may have had: the log vouches for its "
                f"heads up to size {broken.trusted_size} only.",
            )
        lost = broken.lost
        if lost is None or size > lost.size or (size == lost.size and root != lost.root):
            raise Damaged(
                broken.size,
                f"A checkpoint of size {size} was kept elsewhere. The log was broken off at {broken.size} entries, and "
                "does not say that so much was lost.",
            )
        self.lost.append(size)
        return True

    def _finished(self) -> Verdict:
        size = self.tree.size
        if size < self.stored.size:
            raise Damaged(size, f"A head of size {self.stored.size} was signed, but only {size} entries are there.")
        if self.stored.last_index >= size:
            raise Damaged(size, f"Entries {size} to {self.stored.last_index} are under no signed head.")
        while (anchor := self.anchors.take()) is not None:
            if self._is_of_what_is_lost(*anchor):
                continue
            raise Damaged(
                size, f"A checkpoint of size {anchor[0]} was kept elsewhere, but only {size} entries are there."
            )
        if not self.subjects.is_at_end() or self.nodes.take() is not None:
            raise Damaged(self.good, "There are subjects or nodes of the tree that belong to no entry.")
        key = self._pinned_key()
        return Verdict(size, self.tree.root(), self.heads_seen, key, tuple(self.breaks), tuple(self.lost))

    def _pinned_key(self) -> VerifierKey:
        """Return the key that the verdict rests on, once the last head is signed by it or by one that came after."""
        if self.stored_keys != self.keys.all and self.keys.all[0] == self.stored_keys[0]:
            raise Damaged(None, "The stored keys are not those that the log names.")
        if self.request.key is None:
            return self.keys.all[-1]
        try:
            self.keys.open_since(self.request.key, self.last_note, library_verify)
        except Unverified as error:
            if broken := next((one for one in self.breaks if one.former == self.request.key.name), None):
                raise Damaged(
                    broken.size,
                    f"The log {broken.former} was broken off at {broken.size} entries ({broken.cause}), and the key "
                    f"you pinned says nothing of what follows. Ask for the key of {self.keys.all[-1].name} otherwise.",
                ) from error
            raise Damaged(None, f"The last head does not hold: {error}.") from error
        return self.request.key

    def _anchor(self, note: str) -> tuple[int, bytes, str]:
        # A head that was kept elsewhere may be signed by a later key; at the end the stored keys must be the log's.
        try:
            origin = standalone.open_any_checkpoint(note).origin
            first = next((key for key in self.stored_keys if key.name == origin), self.keys.all[0])
            signed = standalone.open_checkpoint(note, first, library_verify, self.stored_keys)
        except Unverified as error:
            raise Damaged(None, f"A checkpoint does not hold: {error}.") from error
        return signed.size, signed.root, signed.origin

    def _open(self, note: str, index: int | None) -> standalone.Checkpoint:
        try:
            return self.keys.open(note, library_verify)
        except Unverified as error:
            raise Damaged(index, f"A checkpoint does not hold: {error}.") from error


def missing_guards() -> list[str]:
    """Return the triggers that make the ledger's tables insert-only and are missing, off, or can be bypassed."""
    wanted = {f"ledger_{table}_insert_only_{what}" for table in INSERT_ONLY for what in ("rows", "table")}
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgname FROM pg_trigger WHERE tgenabled = 'A' AND tgname = ANY(%s)", [sorted(wanted)])
        return sorted(wanted - {name for (name,) in cursor.fetchall()})


def _check_guards() -> None:
    if missing := missing_guards():
        raise Damaged(None, f"Triggers that protect the ledger are missing or switched off: {', '.join(missing)}.")


def _stored_keys(size: int | None) -> list[VerifierKey]:
    """Return the keys as the ledger itself names them, oldest first. Raises LookupError before it has started."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT verifier_key FROM ledger_logkey"
            " WHERE first_size <= coalesce(%s, first_size) ORDER BY first_size, id",
            [size],
        )
        found = [key for (key,) in cursor.fetchall()]
    if not found:
        raise LookupError("The ledger has not started: there is no key and nothing is sealed.")
    try:
        return [standalone.parse_verifier_key(key) for key in found]
    except Unverified as error:
        raise Damaged(None, f"A stored key is damaged: {error}.") from error


def _read_strictly(body: bytes) -> Any:
    return standalone.read_canonical(body.decode())


def _columns(said: Any) -> tuple[str | None, ...]:
    """Return what the body says, in the order of the columns beside it."""
    actor = said["actor"]
    who = (actor["kind"], actor["ref"], actor["door"])
    return said["event"], *who, said["correlation"], said["at"], standalone.transaction_of(said)


def _about(said: Any) -> list[tuple[str, str]]:
    return [(subject["kind"], subject["ref"]) for subject in said["subjects"]]


def library_verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Check a signature with the library: the same verdict as the standard-library check, a hundred times faster."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
