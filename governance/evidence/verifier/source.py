"""The texts of `verify.py` and `verify.html`: the ledger's verifier and the bundle's, each as one file."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from django.conf import settings

from governance.evidence.verifier import checking, container, form
from governance.ledger import standalone

#: The ledger's verifier for a browser. The page of an entry loads the same file.
LOG_VERIFIER = settings.BASE_DIR / "static" / "js" / "log-verifier.js"
_PAGE = Path(__file__).with_name("verify.html")
_PLACE, _FORMS = "/* >>> log-verifier.js */\n", "/* >>> forms */"
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
            "\n\n# What records have to look like\n",
            _without_imports(_body(form.__file__)),
            "\n\n# The bundle\n",
            after,
        ]
    )


@cache
def verifier_page() -> str:
    """Return the same checks for a browser: one page that works from a disk, without network."""
    log_verifier = re.sub(r"^export ", "", _text(LOG_VERIFIER), flags=re.MULTILINE)
    return _text(_PAGE).replace(_PLACE, log_verifier).replace(_FORMS, json.dumps(form.FORMS, indent=2))


def _body(path: str) -> str:
    return _text(path).partition(_FUTURE)[2]


def _without_imports(text: str) -> str:
    before, _, rest = text.partition(_BEGIN)
    return before + rest.partition(_END)[2]


def _text(path: str | Path) -> str:
    return Path(path).read_text(encoding="utf-8")
