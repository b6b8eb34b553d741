"""After a restore, or when the key is known to somebody else: go on so that everybody can see what happened.

Either the entries that the backup lacks are put back from a copy, and the log is the one that was signed (`replay`).
Or they cannot be had, or the key cannot be trusted: then the log is broken off and goes on under another name and key,
from what is left of it, with an entry that says so (`reopen`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.db import connection, transaction

from governance.core import clock
from governance.core.actor import Actor, Door
from governance.ledger import events, going_again, key_changes, standalone
from governance.ledger.going_again import CameBack
from governance.ledger.key_ring import KeyRing
from governance.ledger.merkle import CompactRange, leaf_hash
from governance.ledger.mirror import Mirror
from governance.ledger.models import Checkpoint, LogKey
from governance.ledger.notes import Signer
from governance.ledger.outbox import claim, drop
from governance.ledger.recording import Record, Subject, record
from governance.ledger.sequencer import BATCH, append, signed_tree, store_checkpoint, take_turn
from governance.ledger.standalone import Unverified, VerifierKey
from governance.ledger.verification import library_verify

LONGEST_WHY = 500


class Cause(StrEnum):
    """Why a log was broken off."""

    RESTORED = "restored"
    KEY_COMPROMISED = "key_compromised"


class CannotRecover(Exception):
    """It was not done, and nothing was changed. The sentence says why."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was put back: the entries from `start` until before `size`, and how many waited that were sealed already.

    `gone` is what the backup had and those entries say is gone: it was taken away again.
    """

    start: int
    size: int
    heads: int
    dropped: int
    gone: CameBack


def replay(copy: Mirror) -> Replayed:
    """Put back the entries that this ledger lacks, from a copy, in one transaction; return what was done.

    Each head of the copy has to be signed by a key of this log and to be led to by the entries. The rows of other
    tables stay those of the backup: the comparison with the ledger names what differs. What waits in the outbox and is
    among the entries is dropped: it was sealed before. What the entries say is gone, texts that were disposed of and
    people who were erased, is taken away again in the same transaction, so that nobody reads it in between.
    Raises CannotRecover, CannotMirror, SequencerElsewhere, LedgerDamaged.
    """
    with transaction.atomic():
        take_turn()
        tree = signed_tree()
        start, heads = tree.size, _heads_after(copy, tree.size)
        if not heads:
            raise CannotRecover(f"The copy has no head beyond the {start} entries that are here: nothing to put back.")
        trusted = _keys_of_this_log()
        hashes: set[bytes] = set()
        bodies = copy.bodies(start)
        for note in heads:
            size = standalone.open_any_checkpoint(note).size
            _put_back(tree, bodies, size, hashes, trusted)
            _keep_head(tree, note, trusted)
        dropped = drop(lambda text: leaf_hash(text.encode()) in hashes)
        data = {"from": start, "size": tree.size, "dropped": dropped}
        actor = Actor.system("ledger_recover", door=Door.COMMAND)
        record(events.LOG_RECOVERED, actor=actor, subjects=[Subject("log", trusted[0].name)], data=data)
        gone = going_again.take_away_again(actor)
    return Replayed(start, tree.size, len(heads), dropped, gone)


def rehearse(copy: Mirror) -> Replayed:
    """Do it and undo it: return exactly what `replay` would do now. Raises what `replay` does."""
    with transaction.atomic():
        done = replay(copy)
        transaction.set_rollback(True)
    return done


def _heads_after(copy: Mirror, size: int) -> list[str]:
    last = copy.head()
    found = {standalone.open_any_checkpoint(note).size: note for note in [*copy.heads(), *([last] if last else [])]}
    return [found[one] for one in sorted(found) if size < one <= copy.size]


def _keys_of_this_log() -> list[VerifierKey]:
    stored = [standalone.parse_verifier_key(key) for key in _stored_keys()]
    return [key for key in stored if key.name == stored[-1].name] if stored else []


def _stored_keys() -> list[str]:
    return list(LogKey.objects.order_by("first_size", "id").values_list("verifier_key", flat=True))


def _put_back(
    tree: CompactRange, bodies: Iterator[str], size: int, hashes: set[bytes], trusted: list[VerifierKey]
) -> None:
    while tree.size < size:
        batch = [next(bodies) for _ in range(min(BATCH, size - tree.size))]
        first = tree.size
        if not all(batch):
            raise CannotRecover(f"The copy has no text of entry {first + batch.index('')}: it was disposed of.")
        append(tree, batch)
        hashes.update(leaf_hash(text.encode()) for text in batch)
        for index, text in enumerate(batch, start=first):
            # Told by the text and not by the event alone: a parse of each entry would cost as much as all of the rest.
            if f'"{events.KEY_ROTATED}"' in text and json.loads(text)["event"] == events.KEY_ROTATED:
                key = standalone.rotated_key(text.encode(), trusted)
                trusted.append(key)
                named = json.loads(text)["data"]["verifier_key"]
                LogKey.objects.create(verifier_key=named, first_size=index + 1, created_at=clock.now())


def _keep_head(tree: CompactRange, note: str, trusted: Sequence[VerifierKey]) -> None:
    try:
        head = standalone.open_checkpoint(note, trusted[0], library_verify, trusted[1:])
    except Unverified as error:
        raise CannotRecover(f"A head of the copy is not signed by this log's key: {error}.") from error
    if head.root != tree.root():
        raise CannotRecover(f"The entries of the copy do not lead to its head of size {head.size}.")
    with connection.cursor() as cursor:
        cursor.execute("SELECT at FROM ledger_entry WHERE index = %s", [head.size - 1])
        (at,) = cursor.fetchone()
    Checkpoint.objects.create(size=head.size, root=head.root, note=note, at=at)


def next_origin(*others: str) -> str:
    """Return the name under which the log goes on after a break: that of the first log, and the next free number.

    `others` are names that were in use besides those that the database knows.
    """
    names = [key.split("+", 1)[0] for key in _stored_keys()]
    if not names:
        raise CannotRecover("The log has not started: there is nothing to go on from.")
    numbers = [1]
    for name in (*names, *others):
        found = re.fullmatch(rf"{re.escape(names[0])}/([1-9][0-9]*)", name)
        numbers += [int(found[1])] if found else []
    return f"{names[0]}/{max(numbers) + 1}"


def reopen(
    cause: Cause, why: str, *, ring: KeyRing, remembered: str | None = None, trusted_size: int | None = None
) -> str:
    """Break the log off and go on from what is stored, under the name and key of `ring`; return the first head's note.

    The entry that says so comes next after those that are there, so that all of them keep their numbers and the heads
    of before are shown to be its beginning. `remembered` is the largest head known of what is no longer here.
    `trusted_size` is up to where heads by the former key are evidence; everything that is stored when not given.
    Raises CannotRecover, SequencerElsewhere, LedgerDamaged, CannotSign.
    """
    if not why.strip() or len(why) > LONGEST_WHY:
        raise CannotRecover(f"Say why in 1 to {LONGEST_WHY} characters, without names: everybody can read it for ever.")
    with transaction.atomic():
        take_turn()
        tree = signed_tree()
        body = _reopened(tree, cause, why.strip(), ring, remembered, trusted_size)
        LogKey.objects.create(verifier_key=ring.verifier_key, first_size=tree.size + 1, created_at=clock.now())
        append(tree, [body, *claim(BATCH)])
        return store_checkpoint(tree, ring)


def _reopened(
    tree: CompactRange, cause: Cause, why: str, ring: KeyRing, remembered: str | None, trusted_size: int | None
) -> str:
    keys = _stored_keys()
    seen = standalone.open_any_checkpoint(remembered) if remembered else None
    names = {key.split("+", 1)[0] for key in keys}
    if not keys or not tree.size:
        raise CannotRecover("The log has not started: there is nothing to go on from.")
    if len(ring.keys) != 1 or ring.name in names or (seen is not None and ring.name == seen.origin):
        raise CannotRecover(f"The new log needs one new key of a new name, not of {ring.name}.")
    trusted = tree.size if trusted_size is None else trusted_size
    if not 0 < trusted <= tree.size:
        raise CannotRecover(f"The last size that is trusted is between 1 and {tree.size}, not {trusted}.")
    is_lost = seen is not None and (seen.size > tree.size or seen.origin not in names)
    lost = {"origin": seen.origin, "size": seen.size, "root": seen.root.hex()} if seen and is_lost else None
    data = {
        "origin": ring.name,
        "verifier_key": ring.verifier_key,
        "previous": keys[-1],
        "former": {"origin": keys[-1].split("+", 1)[0], "size": tree.size, "root": tree.root().hex()},
        "cause": cause.value,
        "why": why,
        "trusted_size": trusted,
        "lost": lost,
    }
    subjects = [Subject("log", ring.name), Subject(key_changes.KEY_SUBJECT, key_changes.key_ref(ring.verifier_key))]
    return key_changes.own_body(Record(events.LOG_REOPENED, key_changes.myself(), subjects, data))


def new_key(*others: str) -> Signer:
    """Return a new key under the name that the log goes on with. Raises CannotRecover."""
    return Signer.generate(next_origin(*others))
