"""The key that signs the ledger, as an auditor writes it down."""

from __future__ import annotations

from governance.ledger.queries import verifier_key
from governance.ledger.standalone import parse_verifier_key


def signing_key() -> dict[str, str]:
    """Return the public key to pin and its fingerprint; empty before the ledger was signed for the first time."""
    key = verifier_key() or ""
    return {"key": key, "fingerprint": parse_verifier_key(key).fingerprint if key else ""}
