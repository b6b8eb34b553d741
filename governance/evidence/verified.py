"""What the verifier of the log says of it at the pinned size: the file that R17 carries.

It depends on nothing but what is sealed below that size, so that the same pin gives the same file on any day.
"""

from __future__ import annotations

from dataclasses import dataclass

from governance.ledger.standalone import Unverified
from governance.ledger.verification import Damaged, Request, verify

PATH = "ledger/verification.txt"


@dataclass(frozen=True, slots=True)
class Verified:
    """The verdict and the whole output."""

    holds: bool
    lines: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """Return the first line, which says it."""
        return self.lines[0]

    @property
    def text(self) -> str:
        """Return the output as a file."""
        return "".join(f"{line}\n" for line in self.lines)


def verified(size: int) -> Verified:
    """Check everything that is stored up to this size against what was signed."""
    try:
        found = verify(Request(size=size))
    except Damaged as damage:
        where = "" if damage.index is None else f" at entry {damage.index}"
        return Verified(False, (f"DAMAGED{where}: {damage}",))
    except (LookupError, Unverified) as error:
        return Verified(False, (f"Could not look: {error}",))
    return Verified(
        True,
        (
            f"The ledger holds: {found.size} entries under {found.heads} signed heads.",
            f"Root {found.root.hex()}",
            f"Key {found.key.name}, fingerprint {found.key.fingerprint}",
            "Every entry was hashed again and compared with the columns beside it, and the root computed at each head.",
            "Every signature was checked by the key that the log itself names. verify.py checks with yours.",
        ),
    )
