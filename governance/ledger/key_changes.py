"""What the sequencer says about its own keys, in the log, before anything is signed with them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from governance.core import clock
from governance.core.actor import Actor
from governance.ledger import events
from governance.ledger.canonical import canonical
from governance.ledger.key_ring import KeyRing
from governance.ledger.models import EntrySubject, LogKey
from governance.ledger.recording import Record, Subject, body_text, this_transaction

#: The kind of a key as a subject of entries; see `key_ref`.
KEY_SUBJECT = "log_key"


class LedgerDamaged(Exception):
    """What is stored does not lead to what was signed. Nothing more is signed until a person has looked."""


@dataclass(frozen=True, slots=True)
class Changes:
    """The entries that open a batch, and the verifier keys that sign its head."""

    bodies: tuple[str, ...]
    signs: tuple[str, ...]


def myself() -> Actor:
    """Return the sequencer as an actor."""
    return Actor.system("sequencer")


def are_due(ring: KeyRing) -> bool:
    """Tell whether the log has to say something about its keys."""
    known = _known()
    return bool(known) and (bool(_new(ring, known)) or bool(_given_up(ring, known)) or _has_new_second(ring))


def due(ring: KeyRing, *, size: int) -> Changes:
    """Register the keys that are new, and return which entries open the next batch of a log of this size.

    Entry 0 names the first key. A new key is named by an entry, and from its head on both sign, the one before and the
    new one; an older key that is no longer in the ring is said to have been given up.
    Raises LedgerDamaged when the log's newest key is not in the ring.
    """
    known = _known()
    bodies: list[str] = []
    if not known:
        known = [ring.keys[0].verifier_key]
        bodies.append(_start(ring, known[0]))
    if known[-1] not in _ours(ring):
        raise LedgerDamaged("The signing key is not the key of this ledger.")
    for verifier_key in _new(ring, known):
        bodies.append(_rotate(ring, known[-1], verifier_key, index=size + len(bodies)))
        known.append(verifier_key)
    bodies += [_say(events.KEY_RETIRED, ring, verifier_key) for verifier_key in _given_up(ring, known)]
    if ring.second is not None and _has_new_second(ring):
        second = ring.second.verifier_key
        bodies.append(_say(events.SECOND_KEY_ADDED, ring, second))
    return Changes(tuple(bodies), tuple(_ours(ring)))


def key_ref(verifier_key: str) -> str:
    """Return the reference of a key as a subject of entries: the SHA-256 of its verifier key."""
    return hashlib.sha256(verifier_key.encode()).hexdigest()


def _ours(ring: KeyRing) -> list[str]:
    return [key.verifier_key for key in ring.keys]


def _known() -> list[str]:
    """Return the log's keys, oldest first."""
    return list(LogKey.objects.order_by("first_size", "id").values_list("verifier_key", flat=True))


def _new(ring: KeyRing, known: Sequence[str]) -> list[str]:
    return [key for key in _ours(ring) if key not in known]


def _given_up(ring: KeyRing, known: Sequence[str]) -> list[str]:
    """Return the keys that no longer sign and of which the log has not said so."""
    # The keys of a log that was broken off are given up with it.
    gone = [key for key in known if key not in _ours(ring) and key.startswith(f"{ring.name}+")]
    if not gone:
        return []
    said = EntrySubject.objects.filter(kind=KEY_SUBJECT, entry__event=events.KEY_RETIRED).values_list("ref", flat=True)
    return [key for key in gone if key_ref(key) not in set(said)]


def _has_new_second(ring: KeyRing) -> bool:
    if ring.second is None:
        return False
    said = EntrySubject.objects.filter(kind=KEY_SUBJECT, ref=key_ref(ring.second.verifier_key))
    return not said.filter(entry__event=events.SECOND_KEY_ADDED).exists()


def _start(ring: KeyRing, verifier_key: str) -> str:
    LogKey.objects.create(verifier_key=verifier_key, first_size=1, created_at=clock.now())
    data = {"origin": ring.name, "verifier_key": verifier_key}
    return own_body(Record(events.LOG_STARTED, myself(), [Subject("log", ring.name)], data))


def _rotate(ring: KeyRing, before: str, verifier_key: str, *, index: int) -> str:
    LogKey.objects.create(verifier_key=verifier_key, first_size=index + 1, created_at=clock.now())
    return _say(events.KEY_ROTATED, ring, verifier_key, previous=before)


def _say(event: str, ring: KeyRing, verifier_key: str, **data: str) -> str:
    subjects = [Subject("log", ring.name), Subject(KEY_SUBJECT, key_ref(verifier_key))]
    return own_body(Record(event, myself(), subjects, {"verifier_key": verifier_key, **data}))


def own_body(row: Record) -> str:
    """Return the text of an entry that the sequencer makes itself, in this transaction."""
    return canonical({**json.loads(body_text(row, clock.now(), [])), "transaction": this_transaction()})
