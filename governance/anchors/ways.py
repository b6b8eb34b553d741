"""The ways by their kind. A witness is not among them: it comes to us."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from governance.anchors.kinds import git, mail, object_lock, timestamp
from governance.anchors.kinds.base import Field, Kept, Place
from governance.anchors.models import AnchorKind
from governance.ledger.standalone import Unverified
from governance.ledger.witness import parse_witness_key


@dataclass(frozen=True, slots=True)
class Way:
    """What a kind must be told, what is wrong with that, and how it keeps a head (None: it comes by itself)."""

    fields: tuple[Field, ...]
    every_seconds: int
    problems: Callable[[Mapping[str, str], str], Iterator[tuple[str, str]]]
    keep: Callable[[Place], Kept] | None = None


def _witness_problems(said: Mapping[str, str], secret: str) -> Iterator[tuple[str, str]]:
    try:
        parse_witness_key(said.get("verifier_key", ""))
    except Unverified as error:
        yield "verifier_key", f"This is not the key of a witness: {error}."


_WITNESS_FIELDS = (Field("verifier_key", "Key of the witness", "The line that witness.py printed: name+id+base64."),)

WAYS: dict[str, Way] = {
    AnchorKind.MAIL: Way(mail.FIELDS, mail.EVERY_SECONDS, mail.problems, mail.keep),
    AnchorKind.GIT: Way(git.FIELDS, git.EVERY_SECONDS, git.problems, git.keep),
    AnchorKind.OBJECT_LOCK: Way(object_lock.FIELDS, object_lock.EVERY_SECONDS, object_lock.problems, object_lock.keep),
    AnchorKind.TIMESTAMP: Way(timestamp.FIELDS, timestamp.EVERY_SECONDS, timestamp.problems, timestamp.keep),
    AnchorKind.WITNESS: Way(_WITNESS_FIELDS, 3_600, _witness_problems),
}
