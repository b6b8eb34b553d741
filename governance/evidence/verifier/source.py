"""The text of `verify.py`: the ledger's verifier and the bundle's, made one file that needs nothing else."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from governance.evidence.verifier import checking, container
from governance.ledger import standalone

#: The same checks for a browser: one file that works from a disk, without network.
VERIFY_PAGE = Path(__file__).with_name("verify.html")
_BEGIN, _END = "# >>> ", "# <<<\n"
_FUTURE = "from __future__ import annotations\n"


@cache
def verifier_source() -> str:
    """Return the source of the one-file verifier, standard library only."""
    before, _, rest = _text(checking.__file__).partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return "".join(
        [
            before.rstrip("\n"),
            "\n\n\n# The log: signatures, trees, canonical JSON\n",
            _body(standalone.__file__),
            "\n\n# The container: a folder or a ZIP\n",
            _body(container.__file__),
            "\n\n# The bundle\n",
            after,
        ]
    )


def _body(path: str) -> str:
    return _text(path).partition(_FUTURE)[2]


def _text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")
