"""What of an exchange may be kept: its keys and structure, the words of the protocol, and nobody's data. Pure.

A text of a person becomes its first two characters and its length; a secret becomes nothing at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

#: Stands for a secret.
REMOVED = "(not kept)"
#: Deeper than this nothing is kept; no document of the protocol comes near.
MAX_DEPTH = 24
#: Longer lists are cut when they are kept; what was understood is said of the whole.
MAX_ITEMS = 50
MAX_KEY = 120
MAX_WORD = 300

_NAMES = r"[\w:.$\-, ]{1,300}"
_INSTANT = r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)"
#: Keys whose texts are the protocol's and not a person's, each with the form that its texts have then.
_WORDS: Mapping[str, re.Pattern[str]] = {
    name: re.compile(form, re.ASCII)
    for name, form in {
        "op": r"[A-Za-z]{1,10}",
        "type": r"[\w\-]{1,40}",
        "method": r"[A-Za-z]{1,10}",
        "bulkid": r"[\w\-]{1,64}",
        "schemas": r"urn:[\w:.\-]{1,200}",
        "schema": r"urn:[\w:.\-]{1,200}",
        "resourcetype": r"\w{1,40}",
        "created": _INSTANT,
        "lastmodified": _INSTANT,
        "version": r'(W/)?"\w{1,40}"',
        "status": r"\d{3}",
        "scimtype": r"[A-Za-z]{1,40}",
        "attributes": _NAMES,
        "excludedattributes": _NAMES,
        "sortby": _NAMES,
        "sortorder": r"[a-z]{1,12}",
        "endpoint": r"/[\w.]{1,40}",
    }.items()
}
_NUMBERS = frozenset({"totalresults", "startindex", "itemsperpage", "count", "failonerrors", "status", "bytes"})
_PATHS = frozenset({"path", "filter"})
_LINKS = frozenset({"$ref", "location"})
_SECRET = re.compile(r"passw|secret|token|credential|api_?key|authorization|private_?key", re.IGNORECASE)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_TOKENS = re.compile(r'"((?:[^"\\]|\\.)*)"?|\s+|[()\[\]]|[^\s()\[\]"]+')
_ATTRIBUTE = re.compile(r"[A-Za-z.$][\w:.$\-]*", re.ASCII)
_OPERATORS = frozenset({"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"})
_CONSTANTS = frozenset({"true", "false", "null"})
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"?')
_UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_SEGMENTS = frozenset(
    {
        "users", "groups", "me", "bulk", ".search", "serviceproviderconfig", "resourcetypes", "schemas", "entitlements",
        "roles", "user", "group", "entitlement", "role",
    }
)  # fmt: skip


def shortened(text: str) -> str:
    """Return the first two characters and the length; of a very short text only the length."""
    beginning = text[:2] if len(text) > 3 else ""
    return f"{clean(beginning)}… ({len(text)} character{'' if len(text) == 1 else 's'})"


def clean(text: str) -> str:
    """Return the text without what neither a page nor PostgreSQL can hold."""
    return _UNSTORABLE.sub("?", text)


def masked(value: Any, key: str = "", depth: int = 0) -> Any:
    """Return a JSON value with its keys and structure, and without what it says about people.

    True, false and null stay, also as texts ("False" is how Entra says it), and so do ids of our own.
    """
    if _SECRET.search(key):
        return REMOVED
    if depth > MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return _masked_object(value, depth)
    if isinstance(value, list):
        return [masked(each, key, depth + 1) for each in value]
    if isinstance(value, str):
        return _masked_text(value, key.lower())
    return _masked_number(value, key.lower())


def cut(value: Any) -> Any:
    """Return a masked value with long lists cut, and how many there were more."""
    if isinstance(value, dict):
        return {key: cut(inner) for key, inner in value.items()}
    if not isinstance(value, list):
        return value
    more = [f"… and {len(value) - MAX_ITEMS} more"] if len(value) > MAX_ITEMS else []
    return [*(cut(each) for each in value[:MAX_ITEMS]), *more]


def masked_filter(text: str) -> str:
    """Return a filter or a path of a PATCH with its literals shortened; ids of our own and names of attributes stay.

    Also a literal that somebody forgot to quote is one: what follows an operator, and what no attribute is named.
    """
    kept: list[str] = []
    is_after_operator = False
    for found in _TOKENS.finditer(text):
        token = found[0]
        if token.isspace():
            kept.append(token)
            continue
        kept.append(_masked_token(token, found[1] or "", is_after_operator=is_after_operator))
        is_after_operator = token.lower() in _OPERATORS
    return clean("".join(kept))[:MAX_WORD]


def _masked_token(token: str, quoted: str, *, is_after_operator: bool) -> str:
    if token.startswith('"'):
        return f'"{_literal(quoted)}"'
    is_name = _ATTRIBUTE.fullmatch(token) is not None and not is_after_operator
    return token if is_name or token in "()[]" or token.lower() in _CONSTANTS else shortened(token)


def masked_path(path: str) -> str:
    """Return the path of a request; what is neither a word of the protocol nor an id of ours is shortened."""
    return "/".join(_segment(each) for each in path.split("/")[:8])[:MAX_WORD]


def masked_query(query: str) -> str:
    """Return the query of a request, readable: decoded, its literals shortened."""
    return "&".join(f"{clean(name)[:60]}={_parameter(name, value)}" for name, value in parse_qsl(query, True)[:20])


def personal_texts(value: Any, key: str = "", depth: int = 0) -> Iterator[str]:
    """Yield the texts of a body that an error sentence might repeat. Of paths and filters those are their literals."""
    if depth > MAX_DEPTH:
        return
    if isinstance(value, str):
        said = [found[1] for found in _QUOTED.finditer(value)] if key in _PATHS else [value]
        yield from (
            text for text in said if len(text) > 2 and not _is_word(key, text) and _masked_text(text, "") != text
        )
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from personal_texts(inner, str(name).lower(), depth + 1)
    elif isinstance(value, list):
        for inner in value[:MAX_ITEMS]:
            yield from personal_texts(inner, key, depth + 1)


def without(sentence: str, texts: Iterator[str]) -> str:
    """Return a sentence with these texts shortened wherever it repeats them, the longest first."""
    for text in sorted(set(texts), key=len, reverse=True)[:500]:
        sentence = sentence.replace(text, shortened(text))
    return clean(sentence)


def _masked_object(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    # The value of an operation is a secret when its path says so.
    lowered = {str(name).lower(): inner for name, inner in value.items()}
    path = lowered.get("path")
    hides = isinstance(path, str) and "op" in lowered and bool(_SECRET.search(path))
    kept: dict[str, Any] = {}
    for name, inner in value.items():
        key = clean(str(name))[:MAX_KEY]
        kept[key] = REMOVED if hides and key.lower() == "value" else masked(inner, str(name), depth + 1)
    return kept


def _masked_text(text: str, key: str) -> str:
    if _UUID.fullmatch(text) or text.lower() in {"true", "false", ""}:
        return text
    if _is_word(key, text):
        return text
    if key in _PATHS:
        return masked_path(text) if text.startswith("/") else masked_filter(text)
    if key in _LINKS and _UUID.fullmatch(text.rsplit("/", 1)[-1]):
        return clean(text)[:MAX_WORD]
    return shortened(text)


def _is_word(key: str, text: str) -> bool:
    return key in _WORDS and _WORDS[key].fullmatch(text) is not None


def _masked_number(value: Any, key: str) -> Any:
    if value is None or isinstance(value, bool) or key in _NUMBERS:
        return value
    return "… (number)"


def _literal(text: str) -> str:
    return text if _UUID.fullmatch(text) or text.lower() in {"true", "false", ""} else shortened(text)


def _segment(text: str) -> str:
    if not text or text.lower() in _SEGMENTS or _UUID.fullmatch(text) or text.lower().startswith("urn:"):
        return clean(text)
    return shortened(text)


def _parameter(name: str, value: str) -> str:
    lowered = name.lower()
    if _SECRET.search(name):
        return REMOVED
    if lowered == "filter":
        return masked_filter(value)
    if _is_word(lowered, value) or (lowered in _NUMBERS and value.isascii() and value.lstrip("-").isdigit()):
        return value[:MAX_WORD]
    return shortened(value)
