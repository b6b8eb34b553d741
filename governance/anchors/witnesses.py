"""Cosignatures: a witness saw our log grow without a rewrite, and says so with its own key."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime

from governance.anchors.keeping import note_receipt
from governance.anchors.kinds.base import Kept
from governance.anchors.models import Anchor, AnchorKind
from governance.anchors.queries import live
from governance.core.errors import Invalid
from governance.ledger.queries import checkpoint_at
from governance.ledger.standalone import Unverified, open_any_checkpoint
from governance.ledger.witness import WitnessKey, check_cosignature, parse_witness_key

#: Characters of a cosigned head.
LONGEST = 60_000


@dataclass(frozen=True, slots=True)
class Taken:
    """A cosignature that holds: whose, over how many entries, and when by the witness's clock."""

    anchor: Anchor
    size: int
    stated: datetime


def take(note: str) -> list[Taken]:
    """Keep the cosignatures of witnesses that we know on a head of ours; those that we have are left alone.

    Nobody has to sign in: the signature says who it is. Raises Invalid naming `checkpoint`.
    """
    if len(note) > LONGEST:
        raise Invalid({"checkpoint": f"A cosigned head has at most {LONGEST} characters."})
    try:
        said = open_any_checkpoint(note)
    except Unverified as error:
        raise Invalid({"checkpoint": f"This is not a signed head: {error}."}) from error
    head = checkpoint_at(said.size)
    if head is None or head.root != said.root or head.note.partition("\n\n")[0] != note.partition("\n\n")[0]:
        raise Invalid({"checkpoint": "This log never signed such a head."})
    taken = []
    for anchor, key in _known():
        try:
            cosigned = check_cosignature(note, key)
        except Unverified as error:
            raise Invalid({"checkpoint": f"The cosignature of {key.name} does not hold: {error}."}) from error
        if cosigned is None:
            continue
        stated = datetime.fromtimestamp(cosigned.at, UTC)
        taken.append(Taken(anchor, head.size, stated))
        if head.size > anchor.last_size:
            line = base64.b64encode(cosigned.line.encode()).decode()
            note_receipt(anchor, head, Kept({"witness": key.name, "stated_time": stated.isoformat()}, line))
    if not taken:
        raise Invalid({"checkpoint": "There is no cosignature of a witness that is known here."})
    return taken


def _known() -> list[tuple[Anchor, WitnessKey]]:
    witnesses = live().filter(kind=AnchorKind.WITNESS, paused_at__isnull=True)
    return [(one, parse_witness_key(one.settings["verifier_key"])) for one in witnesses]
