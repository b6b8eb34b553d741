"""How an entry speaks of a private value without holding it: the salted disclosures of RFC 9901 (SD-JWT) §4.2."""

from __future__ import annotations

import base64
import hashlib
import json


def commitment(salt: str, field: str, value: str) -> str:
    """Return the digest of the disclosure [salt, field, value]: 43 characters of base64url."""
    disclosure = json.dumps([salt, field, value], ensure_ascii=False, separators=(",", ":"))
    return _base64url(hashlib.sha256(_base64url(disclosure.encode()).encode()).digest())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
