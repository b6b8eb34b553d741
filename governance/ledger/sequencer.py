"""The one who seals: takes what is recorded, puts it into order and under a signature, in one transaction.

Writers never wait for it. If it stops anywhere, the transaction is undone and the next one starts from what is stored.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection, transaction

from governance.core import clock
from governance.ledger import events, key_changes
from governance.ledger.key_changes import LedgerDamaged, myself
from governance.ledger.key_ring import KeyRing, SigningKey
from governance.ledger.merkle import CompactRange, Node, leaf_hash
from governance.ledger.models import Captured, Checkpoint, Halt, Pending
from governance.ledger.outbox import claim
from governance.ledger.recording import Subject, record
from governance.ledger.remembered import HeadMemory
from governance.ledger.stored_tree import stored_tree

#: PostgreSQL advisory lock of the sequencer: the bytes "ghledger". One log per database.
LOCK_ID = int.from_bytes(b"ghledger")
#: Entries in one transaction: about half a second of work.
BATCH = 2_000
#: An idle log says so this often, so that silence is provable.
HEARTBEAT = timedelta(hours=1)

logger = logging.getLogger(__name__)


class SequencerElsewhere(Exception):
    """Another process is sealing this ledger."""


@dataclass(frozen=True, slots=True)
class _Sealed:
    index: int
    body: str
    said: dict[str, Any]
    leaf: bytes


def seal_pending(limit: int = BATCH, *, signer: SigningKey | KeyRing, memory: HeadMemory | None = None) -> int:
    """Seal up to `limit` recorded entries, lowest ids first, and sign the new head; return how many.

    `memory` is what was signed last, outside of the database: nothing is sealed behind it (LedgerBehind).

    The first call on an empty ledger also seals `log.started`, and the first with a new key `log.key_rotated`.
    Raises SequencerElsewhere when another process is at it, CannotSign, and LedgerDamaged when the stored tree is not
    the one that was signed last, or its key is not among the keys.
    """
    ring = KeyRing.of(signer)
    note = None
    with transaction.atomic():
        take_turn()
        tree = signed_tree(memory)
        own = key_changes.due(ring, size=tree.size)
        bodies = [*own.bodies, *claim(limit)]
        if bodies:
            append(tree, bodies)
            note = store_checkpoint(tree, ring, own.signs)
    if note is not None and memory is not None:
        _remember(memory, note)
    return len(bodies)


def seal_everything(*, signer: SigningKey | KeyRing, memory: HeadMemory | None = None) -> int:
    """Seal until nothing is left that was recorded; return how many entries. Errors are those of `seal_pending`."""
    total = sealed = seal_pending(signer=signer, memory=memory)
    while sealed >= BATCH:
        sealed = seal_pending(signer=signer, memory=memory)
        total += sealed
    return total


def say_halted(reason: str) -> None:
    """Have it known that nothing is sealed until somebody looks; once for each reason."""
    head = Checkpoint.objects.order_by("-size").values_list("size", flat=True).first() or 0
    last = Halt.objects.order_by("-id").first()
    if last is None or (last.size, last.sentence) != (head, reason):
        Halt.objects.create(size=head, sentence=reason)


def work_is_waiting(signer: SigningKey | KeyRing) -> bool:
    """Tell whether there is something to seal, a new ledger to start, or a key to go over to."""
    waits = Pending.objects.exists() or Captured.objects.exists()
    return waits or not Checkpoint.objects.exists() or key_changes.are_due(KeyRing.of(signer))


def record_heartbeat_when_idle(*, signer: SigningKey | KeyRing) -> bool:
    """Record that the log is alive when its last checkpoint is an hour old; return whether it did."""
    now = clock.now()
    last = Checkpoint.objects.order_by("-size").first()
    if last is None or now - last.at < HEARTBEAT:
        return False
    with transaction.atomic():
        record(events.LOG_HEARTBEAT, actor=myself(), subjects=[Subject("log", signer.name)], at=now)
    return True


def become_sequencer() -> bool:
    """Take the lock that makes this database session the sequencer; False when another session has it.

    The server drops a session whose machine has vanished after about half a minute, and the lock with it.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 4")
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK_ID])
        return bool(cursor.fetchone()[0])


def take_turn() -> None:
    """Have the sequencer's turn until the transaction ends. Raises SequencerElsewhere."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK_ID])
        if not cursor.fetchone()[0]:
            raise SequencerElsewhere("Another process is sealing this ledger.")


def signed_tree(memory: HeadMemory | None = None) -> CompactRange:
    """Return the stored tree, ready to append to, once it leads to the root that was signed last.

    Raises LedgerDamaged when it does not, and LedgerBehind when more was signed than is there.
    """
    last = Checkpoint.objects.order_by("-size").first()
    try:
        stored = stored_tree(last.size if last else 0)
        if memory is not None:
            memory.check(stored.size, stored.root)
        if last is None:
            return CompactRange()
        tree = stored.compact_range()
    except LookupError as error:
        raise LedgerDamaged(str(error)) from error
    if tree.root() != bytes(last.root):
        raise LedgerDamaged(f"The entries no longer lead to the root that was signed at size {last.size}.")
    return tree


def append(tree: CompactRange, bodies: Sequence[str]) -> None:
    """Store the bodies as the next entries of the tree, with the nodes above them."""
    entries, nodes = _fold(tree, bodies)
    _store_entries(entries)
    _store_nodes(nodes)


def store_checkpoint(tree: CompactRange, ring: KeyRing, signs: Sequence[str] | None = None) -> str:
    """Sign and store the head of the tree; return its note. Raises CannotSign."""
    root = tree.root()
    note = ring.checkpoint(tree.size, root, by=signs)
    Checkpoint.objects.create(size=tree.size, root=root, note=note, at=clock.now())
    return note


def _remember(memory: HeadMemory, note: str) -> None:
    try:
        memory.keep(note)
    except OSError as error:
        logger.error(
            "The head that was signed could not be remembered in %s (%s): a restored database would not be noticed.",
            memory.path,
            error.strerror,
        )


def _fold(tree: CompactRange, bodies: Sequence[str]) -> tuple[list[_Sealed], list[Node]]:
    """Append the bodies to the tree; return the entries and the nodes above them that are now complete."""
    entries: list[_Sealed] = []
    nodes: list[Node] = []
    for body in bodies:
        entries.append(_Sealed(tree.size, body, json.loads(body), leaf_hash(body.encode())))
        nodes.extend(node for node in tree.append(entries[-1].leaf) if node.level)
    return entries, nodes


def _store_entries(entries: Sequence[_Sealed]) -> None:
    with connection.cursor() as cursor:
        columns = "index, body, leaf_hash, event, actor_kind, actor_ref, door, at, correlation_id, transaction"
        with cursor.copy(f"COPY ledger_entry ({columns}) FROM STDIN") as copy:
            for entry in entries:
                said, actor = entry.said, entry.said["actor"]
                who = (actor["kind"], actor["ref"], actor["door"])
                when = (said["at"], said["correlation"], said.get("transaction"))
                copy.write_row((entry.index, entry.body, entry.leaf, said["event"], *who, *when))
        with cursor.copy("COPY ledger_entrysubject (entry_id, position, kind, ref) FROM STDIN") as copy:
            for entry in entries:
                for position, subject in enumerate(entry.said["subjects"]):
                    copy.write_row((entry.index, position, subject["kind"], subject["ref"]))


def _store_nodes(nodes: Sequence[Node]) -> None:
    if not nodes:
        return
    with connection.cursor() as cursor, cursor.copy("COPY ledger_node (level, index, hash) FROM STDIN") as copy:
        for node in nodes:
            copy.write_row((node.level, node.index, node.hash))
