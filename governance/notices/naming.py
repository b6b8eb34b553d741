"""What rooms above say of their subjects when somebody is told: notices knows none of them, and asks all the same.

A room says it in its module `told`, which is loaded when Gatehouse starts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from governance.ledger.queries import SealedEntry
from governance.notices.happenings import Audit

#: From entries to the audits they are about, by the number of the entry; a fixed number of statements.
Audits = Callable[[Sequence[SealedEntry]], Mapping[int, Audit]]

_AUDITS: list[Audits] = []


def name_audits(by: Audits) -> None:
    """Have audits of entries named so from now on."""
    _AUDITS.append(by)


def audits_of(entries: Sequence[SealedEntry]) -> dict[int, Audit]:
    """Return the audits that entries are about, by the number of the entry."""
    return {index: audit for by in _AUDITS for index, audit in by(entries).items()}
