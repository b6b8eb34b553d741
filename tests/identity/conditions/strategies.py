"""Random people and random conditions about them, for tests that compare two ways of answering."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st
from scim2_models import ScimFilter

from governance.identity.conditions.schemas import ENTERPRISE_USER, USER

START = datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=UTC)
CUSTOM = "urn:example:params:scim:schemas:custom:1.0:User"

#: Small, so that values meet; with what breaks comparisons: letter case that changes length, marks that combine,
#: the dotted I, the final sigma, and characters that mean something to SQL, LIKE, JSON, jsonpath and format().
TEXTS = (
    "", "a", "A", "ab", "aB", "b", "Straße", "STRASSE", "ß", "ss", "İ", "i\u0307", "I",
    "\u0131", "é", "e\u0301", "E\u0301",
    "ΣΟΦΟΣ", "σοφος", "σοφοσ", "ﬁ", "fi", "日本", "🙂", "50%_off", "50__off", 'quo"te', "it's", "back\\slash", "\\",
    "{id}", "%s", "%(a)s", "$[*]", "$.** ? (1 == 1)", "' OR 1=1 --", " a ", "\t", "true", "null", "0", "\u200b",
)  # fmt: skip
URIS = ("https://a.example/x", "https://A.example/X", "https://a.example/x'y", "urn:example:Photo")
ENCODED = tuple(base64.b64encode(each).decode() for each in (b"", b"\x00\xff", b"ada"))
MANAGERS = ("m1", "M1", "m2")
TYPES = ("work", "Work", "home", "")

texts = st.sampled_from(TEXTS)
instants = st.builds(
    lambda seconds, micro: START + timedelta(seconds=seconds, microseconds=micro),
    st.integers(-90_000, 90_000),
    st.sampled_from([0, 1, 500_000]),
)


def _some(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects that have any of these parts, null now and then."""
    return st.fixed_dictionaries({}, optional={name: st.one_of(part, part, st.none()) for name, part in parts.items()})


def _lists(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Return lists of elements of which at most one is primary (RFC 7643 §2.4)."""
    element = _some(value=values, type=st.sampled_from(TYPES), display=texts)
    lists = st.lists(element, max_size=3)
    return st.builds(_with_primary, lists, st.none() | st.integers(0, 2), st.booleans())


def _with_primary(elements: list[dict[str, Any]], at: int | None, others: bool) -> list[dict[str, Any]]:
    if at is None:
        return elements
    rest: dict[str, Any] = {"primary": False} if others else {}
    return [{**each, **({"primary": True} if position == at else rest)} for position, each in enumerate(elements)]


_ENTERPRISE = _some(
    department=texts, employeeNumber=texts, manager=_some(value=st.sampled_from(MANAGERS), displayName=texts)
)
_OPTIONAL: dict[str, st.SearchStrategy[Any]] = {
    "title": texts,
    "displayName": texts,
    "profileUrl": st.sampled_from(URIS),
    "name": _some(givenName=texts, familyName=texts),
    "emails": _lists(texts),
    "photos": _lists(st.sampled_from(URIS)),
    "roles": _lists(texts),
    "addresses": st.lists(_some(locality=texts, type=st.sampled_from(TYPES)), max_size=2),
    "x509Certificates": st.lists(st.fixed_dictionaries({"value": st.sampled_from(ENCODED)}), max_size=2),
    ENTERPRISE_USER: _ENTERPRISE,
    CUSTOM: st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-8, 8) | texts,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
        max_leaves=4,
    ).map(lambda value: {"title": value}),
}


@dataclass(frozen=True)
class Drawn:
    """A person as drawn: their document and what the server knows of them."""

    document: dict[str, Any]
    created_at: datetime
    modified_at: datetime
    version: int
    group_numbers: frozenset[int]


def _drawn(name: str, external_id: str | None, active: bool, more: dict[str, Any], *known: Any) -> Drawn:
    document = {"userName": name, "active": active, **more}
    if external_id is not None:
        document["externalId"] = external_id
    document["schemas"] = [USER, *(urn for urn in (ENTERPRISE_USER, CUSTOM) if urn in document)]
    return Drawn(document, *known)


_names = st.sampled_from(["ada", "Grace", "LINUS", "straße", "STRASSE", "e\u0301ve", "ÉVE", "İda", "50%"])
people = st.lists(
    st.builds(
        _drawn,
        _names,
        st.none() | st.sampled_from(["e1", "E1", "ß", "é", "e\u0301", "x 1"]),
        st.booleans(),
        _some(**_OPTIONAL),
        instants,
        instants,
        st.integers(1, 3),
        st.frozensets(st.integers(0, 2), max_size=2),
    ),
    min_size=1,
    max_size=5,
)

quote = ScimFilter.quote


def _any_case(word: str) -> st.SearchStrategy[str]:
    return st.sampled_from([word, word, word.upper(), word.capitalize()])


def _spelled(*parts: st.SearchStrategy[str] | str) -> st.SearchStrategy[str]:
    return st.tuples(*(st.just(part) if isinstance(part, str) else part for part in parts)).map(" ".join)


_literals = st.sampled_from([*TEXTS, *URIS, *MANAGERS, *TYPES, "ada", "grace", "e1", "E1", "Engineers"]).map(quote)
_operators = st.sampled_from(["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"]).flatmap(_any_case)
_equality = st.sampled_from(["eq", "ne"]).flatmap(_any_case)
_truth = st.sampled_from(["true", "false", "True", '"true"', '"False"'])
_nothing = st.sampled_from(["pr", "PR", "eq null", "ne null"])
_TEXT_NAMES = (
    "userName", "title", "displayName", "externalId", "profileUrl", "name.givenName", "name.familyName", "emails",
    "emails.value", "emails.type", "emails.display", "photos.value", "roles", "roles.value", "addresses.locality",
    "schemas", "groups.display", "meta.version", "meta.resourceType",
    f"{USER}:title", f"{USER}:emails.value", f"{USER}:name.givenName",
    f"{ENTERPRISE_USER}:department", f"{ENTERPRISE_USER}:manager.value",
)  # fmt: skip
_text_names = st.sampled_from(_TEXT_NAMES).flatmap(_any_case)
_COMPLEX = ("name", "emails", "photos", "groups", "meta", "addresses", f"{ENTERPRISE_USER}:manager")

#: RFC 3339 texts with up to seven fraction digits, as Microsoft writes them, in several zones.
_instant_texts = st.builds(
    lambda instant, digits, minutes: _written(instant.astimezone(timezone(timedelta(minutes=minutes))), digits),
    instants,
    st.sampled_from([0, 3, 6, 7]),
    st.sampled_from([0, 0, 330, -480]),
).map(quote)


def _written(instant: datetime, digits: int) -> str:
    fraction = f"{instant.microsecond:06}0"[:digits]
    zone = instant.strftime("%z")
    zone = "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"
    return f"{instant:%Y-%m-%dT%H:%M:%S}{'.' if digits else ''}{fraction}{zone}"


_inside = st.one_of(
    _spelled(st.sampled_from(["value", "type", "display", "VALUE"]), _operators, _literals),
    _spelled("primary", _equality, _truth),
    _spelled(st.sampled_from(["value", "type", "primary"]), _nothing),
)


@dataclass(frozen=True)
class Tree:
    """A condition as the tree it means, so that what a printed condition selects can be told without a parser."""

    word: str
    parts: tuple[Tree | str, ...]

    def __str__(self) -> str:
        """Return the text with only the parentheses it needs (RFC 7644 §3.4.2.2, table 5)."""
        if self.word == "not":
            return f"not ({self.parts[0]})"
        return f" {self.word} ".join(self._guarded(part) for part in self.parts)

    def _guarded(self, part: Tree | str) -> str:
        is_looser = self.word == "and" and isinstance(part, Tree) and part.word == "or"
        return f"({part})" if is_looser else str(part)


def selected(tree: Tree | str, select: Callable[[str], set[int]], everything: set[int]) -> set[int]:
    """Return what a tree selects, given what each of its leaves selects."""
    if isinstance(tree, str):
        return select(tree)
    sets = [selected(part, select, everything) for part in tree.parts]
    match tree.word:
        case "not":
            return everything - sets[0]
        case "and":
            return set[int].intersection(*sets)
        case _:
            return set[int].union(*sets)


def _trees(leaves: st.SearchStrategy[str], size: int) -> st.SearchStrategy[Tree | str]:
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(Tree, st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3).map(tuple)),
            st.builds(Tree, st.just("not"), st.tuples(inner)),
        ),
        max_leaves=size,
    )


_brackets = st.builds(
    lambda name, tree, tail: f"{name}[{tree}]{tail}",
    st.sampled_from(["emails", "photos", "roles", f"{USER}:emails", "EMAILS"]),
    _trees(_inside, 3),
    st.sampled_from(["", "", "", ".value pr", '.value eq "a"', '.value co "ss"']),
)
leaves = st.one_of(
    _spelled(_text_names, _operators, _literals),
    _spelled(_text_names, _nothing),
    _spelled(st.sampled_from(_COMPLEX), "pr"),
    _spelled(st.sampled_from(["active", "emails.primary", "ACTIVE", f"{USER}:active"]), _equality, _truth),
    _spelled(st.sampled_from(["active", "id", "emails.primary", "schemas"]), "pr"),
    _spelled(
        st.sampled_from(["meta.created", "meta.lastModified", "META.CREATED"]),
        st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le"]).flatmap(_any_case),
        _instant_texts,
    ),
    _spelled("id", _operators, st.integers(0, 6).map(lambda number: quote(str(uuid.UUID(int=number))))),
    _spelled(
        "x509Certificates.value",
        _equality,
        st.sampled_from(ENCODED).map(quote),
    ),
    _brackets,
)
conditions = _trees(leaves, 5)
