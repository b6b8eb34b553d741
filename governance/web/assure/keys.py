"""The key that signs the ledger, as an auditor writes it down."""

from __future__ import annotations

from governance.ledger.queries import Head, verifier_key
from governance.ledger.standalone import parse_verifier_key


def signing_key(head: Head | None = None) -> dict[str, str]:
    """Return the public key to pin and its fingerprint; empty before the ledger was signed for the first time.

    No statement when the newest head is given.
    """
    key = head.verifier_key if head else verifier_key() or ""
    return {"key": key, "fingerprint": parse_verifier_key(key).fingerprint if key else ""}
