"""Programs for other people's machines, each made one file that needs nothing but Python."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from governance.ledger import standalone, witness

_BEGIN, _END = "# >>> ", "# <<<\n"
_FUTURE = "from __future__ import annotations\n"


@cache
def witness_source() -> str:
    """Return the source of `witness.py`, standard library only."""
    before, _, rest = _text(witness.__file__).partition(_BEGIN)
    _, _, after = rest.partition(_END)
    verifier = _text(standalone.__file__).partition(_FUTURE)[2]
    return "".join([before.rstrip("\n"), "\n\n\n# The log: signatures, trees, canonical JSON\n", verifier, "\n", after])


def _text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")
