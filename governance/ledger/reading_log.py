"""That somebody read the ledger, as an entry of the ledger: what was asked, not what was answered.

The one thing that a GET may write (ADR 22). Words that somebody typed are in no entry: only what they stood for.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.core.cache import cache
from django.db import transaction

from governance.core.actor import Actor
from governance.ledger import events
from governance.ledger.recording import Subject, record

#: A script that fetches the ledger is recorded so often, not with each page: its own entry would be the next page.
SECONDS_BETWEEN_FETCHES = 3_600
_LOG = Subject("log", "entries")


def note_search(asked: Mapping[str, str], *, actor: Actor) -> None:
    """Record what the ledger was asked for: `asked` maps filters to references, events, days. No personal data."""
    _note(events.LOG_SEARCHED, dict(asked), actor=actor)


def note_opened(index: int, *, actor: Actor, as_file: bool = False) -> None:
    """Record that an entry was opened, or its proof taken as a file."""
    _note(events.LOG_READ, {"index": index, **({"as_file": True} if as_file else {})}, actor=actor)


def note_fetched(after: int, *, with_names: bool, actor: Actor) -> None:
    """Record that a script fetches the ledger, once an hour for each reader, and at once when it wants names."""
    if cache.add(f"ledger-fetched:{actor.ref}:{with_names}", 1, SECONDS_BETWEEN_FETCHES):
        _note(events.LOG_FETCHED, {"after": after, "with_names": with_names}, actor=actor)


def _note(event: str, data: Mapping[str, object], *, actor: Actor) -> None:
    with transaction.atomic(savepoint=False):
        record(event, actor=actor, subjects=[_LOG], data=data)
