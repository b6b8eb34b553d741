"""What other rooms may ask the ledger. Entries are shown once they are sealed, about a second after the commit."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet, Subquery

from governance.core.errors import Gone, NotFound
from governance.ledger.disposals import Disposal, disposal_of
from governance.ledger.events import KEY_ROTATED, LOG_REOPENED
from governance.ledger.models import Checkpoint, Disclosure, Entry, LogKey
from governance.ledger.notes import proof_file
from governance.ledger.outbox import oldest_seconds
from governance.ledger.recording import Subject
from governance.ledger.standalone import Break, read_break
from governance.ledger.stored_tree import StoredNodes, stored_tree

MAX_PAGE = 500


@dataclass(frozen=True, slots=True)
class SealedEntry:
    """An entry of the ledger. `body` is the canonical text that was hashed; the rest is what it says."""

    index: int
    event: str
    at: datetime
    actor_kind: str
    actor_ref: str
    door: str
    correlation_id: str
    #: The number of the database transaction; None in entries of version 1.
    transaction: str | None
    subjects: tuple[Subject, ...]
    data: Mapping[str, Any]
    #: Field → commitment, in place of what must not be in the ledger. See `disclosed`.
    private: Mapping[str, str]
    body: str
    leaf_hash: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries, newest first. `before` asks for the next page; None when this is the last."""

    entries: tuple[SealedEntry, ...]
    before: int | None


@dataclass(frozen=True, slots=True)
class Head:
    """A signed head of the ledger; `note` is the C2SP checkpoint."""

    size: int
    root: bytes
    note: str
    at: datetime
    #: The public key that signs now, where it was asked for along with the head.
    verifier_key: str = ""


@dataclass(frozen=True, slots=True)
class ProvenEntry:
    """An entry with the proof that it is in the signed tree."""

    entry: SealedEntry
    head: Head
    path: tuple[bytes, ...]

    @property
    def proof_file(self) -> str:
        """Return the C2SP `.tlog-proof` text, which verifies offline."""
        return proof_file(self.entry.index, self.path, self.head.note)


@dataclass(frozen=True, slots=True)
class DisposedEntry:
    """What is left of an entry whose text was disposed of: its hash, and the proof that it is in the signed tree."""

    index: int
    leaf_hash: bytes
    disposal: Disposal
    head: Head
    path: tuple[bytes, ...]


def entries(
    *,
    about: Subject | None = None,
    actor_ref: str = "",
    event: str = "",
    correlation_id: str = "",
    transaction: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int = 50,
) -> Page:
    """Return a page of entries, newest first; filters are joined by *and*, and each may be left out.

    `event` is a whole event or its noun (`grant`). `transaction` asks for what one commit made true: the entries of its
    actions and the rows that they changed (`rows.…`). `since` is included, `until` is not. `before` is the index of the
    last entry of the page before this one: pages stay as they were while the ledger grows.

    Within a time range entries are in the order of their time, which differs from that of their numbers by seconds:
    PostgreSQL then walks the index of times from the end of the range, and not the whole ledger backwards.
    """
    rows = _named(Entry.objects.all(), event)
    wanted: dict[str, object] = {
        "actor_ref": actor_ref,
        "correlation_id": correlation_id,
        "transaction": transaction,
    }
    rows = rows.filter(**{name: value for name, value in wanted.items() if value})
    if about is not None:
        rows = rows.filter(subjects__kind=about.kind, subjects__ref=about.ref)
    if since is not None:
        rows = rows.filter(at__gte=since)
    if until is not None:
        rows = rows.filter(at__lt=until)
    order = ("-index",) if since is None and until is None else ("-at", "-index")
    if before is not None:
        rows = rows.filter(_after_edge(before, by_time="-at" in order))
    limit = max(1, min(limit, MAX_PAGE))
    found = [_sealed(row) for row in rows.order_by(*order)[: limit + 1]]
    return Page(tuple(found[:limit]), found[limit - 1].index if len(found) > limit else None)


def _after_edge(before: int, *, by_time: bool) -> Q:
    """Return what comes after the entry `before` in the order of a page."""
    edge = Entry.objects.filter(index=before).values_list("at", flat=True).first() if by_time else None
    if edge is None:
        return Q(index__lt=before)
    return Q(at__lte=edge) & (Q(at__lt=edge) | Q(index__lt=before))


def sealed_entries(start: int, end: int, *, events: Collection[str]) -> list[SealedEntry]:
    """Return the entries from index `start` until before `end` that record one of `events`, in their order."""
    found = Entry.objects.filter(index__gte=start, index__lt=end, event__in=list(events))
    return [_sealed(row) for row in found.order_by("index")]


def entries_from(start: int, limit: int) -> list[SealedEntry]:
    """Return up to `limit` sealed entries from index `start` on, in their order. Their numbers have no gaps."""
    return [_sealed(row) for row in Entry.objects.filter(index__gte=start).order_by("index")[:limit]]


def entry(index: int) -> ProvenEntry:
    """Return the entry with its proof against the latest head. Raises NotFound, and Gone when its text went."""
    return _proven(Entry.objects.filter(index=index).first(), index)


def entry_and_beside(index: int, limit: int = 20) -> tuple[ProvenEntry, tuple[SealedEntry, ...], bool]:
    """Return the entry with its proof, up to `limit` others of its transaction, newest first, and if there are more.

    An entry of version 1 does not say its transaction: then there are no others. Errors are those of `entry`.
    """
    one = Entry.objects.filter(index=index)
    same = Entry.objects.filter(transaction=Subquery(one.values("transaction"))).exclude(index=index)
    found = one.union(same.order_by("-index")[: limit + 1], all=True)
    rows = sorted(found, key=lambda row: (row.index != index, -row.index))
    proven = _proven(rows[0] if rows else None, index)
    return proven, tuple(_sealed(row) for row in rows[1 : limit + 1]), len(rows) > limit + 1


def _proven(row: Entry | None, index: int) -> ProvenEntry:
    head = latest_checkpoint()
    if row is None and (went := disposal_of(index)) is not None:
        raise Gone(
            f"The text of entry {index} was disposed of on {went.at:%Y-%m-%d}, when it had been kept for"
            f" {went.years} years; its hash is still in the tree."
        )
    if row is None or head is None or index >= head.size:
        raise NotFound(f"There is no entry {index} in the ledger.")
    return ProvenEntry(_sealed(row), head, tuple(stored_tree(head.size).inclusion_proof(index)))


def disposed_entry(index: int) -> DisposedEntry:
    """Return what is left of an entry whose text was disposed of. Raises NotFound."""
    went, head = disposal_of(index), latest_checkpoint()
    if went is None or head is None or index >= head.size:
        raise NotFound(f"No text of an entry {index} was disposed of.")
    (leaf,) = StoredNodes().nodes(0, index, index + 1)
    return DisposedEntry(index, leaf, went, head, tuple(stored_tree(head.size).inclusion_proof(index)))


def proven_entries(indexes: Collection[int], head: Head) -> Iterator[ProvenEntry]:
    """Yield the entries in the order of their indexes, each with its proof against `head`.

    One pass over the rows and each tile read once, so that a bundle of thousands is cheap.
    """
    tree = stored_tree(head.size)
    for row in Entry.objects.filter(index__in=list(indexes), index__lt=head.size).order_by("index").iterator():
        yield ProvenEntry(_sealed(row), head, tuple(tree.inclusion_proof(row.index)))


def latest_checkpoint() -> Head | None:
    """Return the newest signed head, or None before the sequencer ran for the first time."""
    newest = LogKey.objects.order_by("-first_size", "-id").values("verifier_key")[:1]
    return _head(Checkpoint.objects.annotate(verifier_key=Subquery(newest)).order_by("-size").first())


def checkpoint_at(size: int) -> Head | None:
    """Return the signed head of exactly that size, or None when none was signed."""
    return _head(Checkpoint.objects.filter(size=size).first())


def verifier_key() -> str | None:
    """Return the public key (C2SP vkey) to pin, or None before the sequencer ran for the first time."""
    return LogKey.objects.order_by("-first_size", "-id").values_list("verifier_key", flat=True).first()


def key_rotations() -> list[ProvenEntry]:
    """Return the entries by which the log went over to another key, each with its proof in the first head over it.

    That head is signed by the key before as well, so that whoever pinned an earlier key can follow.
    """
    proven = []
    for row in Entry.objects.filter(event=KEY_ROTATED).order_by("index"):
        head = _head(Checkpoint.objects.filter(size__gt=row.index).order_by("size").first())
        if head is not None:
            proven.append(ProvenEntry(_sealed(row), head, tuple(stored_tree(head.size).inclusion_proof(row.index))))
    return proven


@dataclass(frozen=True, slots=True)
class BrokenOff:
    """Where the log before was broken off and this one goes on; `said` is what the entry says."""

    proven: ProvenEntry
    said: Break

    @property
    def is_compromised(self) -> bool:
        """Tell whether it was because somebody else may have had the key."""
        return self.said.cause == "key_compromised"

    @property
    def lost(self) -> int:
        """Return how many entries are known to be lost: sealed once, and no longer here."""
        return max(0, self.said.lost.size - self.said.size) if self.said.lost else 0


def breaks() -> list[BrokenOff]:
    """Return where the log was broken off and went on, oldest first, each with its proof in the newest head."""
    return trouble()[1]


def halted() -> str | None:
    """Return why nothing is sealed until somebody looks, or None when sealing goes on."""
    return trouble()[0]


def trouble() -> tuple[str | None, list[BrokenOff]]:
    """Return why nothing is sealed, and where the log was broken off; one statement where there is neither."""
    with connection.cursor() as cursor:
        cursor.execute(_TROUBLE, [LOG_REOPENED])
        reason, indexes = cursor.fetchone()
    head = latest_checkpoint() if indexes else None
    proven = proven_entries(indexes, head) if head is not None else iter(())
    return reason, [BrokenOff(one, read_break(one.entry.body.encode())) for one in proven]


#: A halt is over once there is another head than then.
_TROUBLE = """
SELECT
    (SELECT sentence FROM ledger_halt WHERE size = coalesce((SELECT max(size) FROM ledger_checkpoint), 0)
        AND id = (SELECT max(id) FROM ledger_halt)),
    (SELECT array_agg(index) FROM ledger_entry WHERE event = %s)
"""


def inclusion_proof(index: int, size: int) -> list[bytes]:
    """Return the audit path of the entry in the tree of that size. Raises NotFound when there is none."""
    try:
        return stored_tree(size).inclusion_proof(index)
    except (ValueError, LookupError) as error:
        raise NotFound(f"There is no entry {index} in a ledger of size {size}.") from error


def consistency_proof(old: int, new: int) -> list[bytes]:
    """Return the proof that the ledger of size `old` is the beginning of the one of size `new`. Raises NotFound."""
    try:
        return stored_tree(new).consistency_proof(old)
    except (ValueError, LookupError) as error:
        raise NotFound(f"There is no proof from size {old} to size {new}.") from error


def disclosed(indexes: Collection[int]) -> dict[int, dict[str, str | None]]:
    """Return the clear text of the private fields of these entries: index → field → text, None when it was erased.

    The caller answers for who may see it.
    """
    bodies = Entry.objects.filter(index__in=list(indexes)).values_list("index", "body")
    committed: dict[int, dict[str, str]] = {index: json.loads(body)["private"] for index, body in bodies}
    digests = [digest for fields in committed.values() for digest in fields.values()]
    vault = dict(Disclosure.objects.filter(digest__in=digests).values_list("digest", "value"))
    return {
        index: {field: vault.get(digest) for field, digest in fields.items()} for index, fields in committed.items()
    }


def sealing_lag_seconds() -> float:
    """Return the age of the oldest entry that waits to be sealed, by the database's clock; 0 when none waits."""
    return oldest_seconds()


def _named(rows: QuerySet[Entry], event: str) -> QuerySet[Entry]:
    if not event:
        return rows
    return rows.filter(event=event) if "." in event else rows.filter(event__startswith=f"{event}.")


def _head(row: Checkpoint | None) -> Head | None:
    if row is None:
        return None
    return Head(row.size, bytes(row.root), row.note, row.at, getattr(row, "verifier_key", None) or "")


def _sealed(row: Entry) -> SealedEntry:
    """Read an entry from its body, not from the columns beside it: the body is what was hashed."""
    said = json.loads(row.body)
    actor = said["actor"]
    return SealedEntry(
        index=row.index,
        event=said["event"],
        at=datetime.fromisoformat(said["at"]),
        actor_kind=actor["kind"],
        actor_ref=actor["ref"],
        door=actor["door"],
        correlation_id=said["correlation"],
        transaction=said.get("transaction"),
        subjects=tuple(Subject(subject["kind"], subject["ref"]) for subject in said["subjects"]),
        data=said["data"],
        private=said["private"],
        body=row.body,
        leaf_hash=bytes(row.leaf_hash),
    )
